#include "runtime/tuner.h"

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>

#include "kernels/device_error.h"
#include "kernels/kernel_generation.h"
#include "kernels/vendor.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "runtime/kernel_cache.h"
#include "runtime/kernel_timer.h"

namespace doppel {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Nodes that make the same product, and the kernels to choose from.
struct Product {
  std::vector<Node*> nodes;
  std::vector<KernelChoice> kernels;

  const Operator& op() const { return *nodes.front()->op; }
};

// By its words.
using Products = std::map<std::string, Product>;

Products products_of(Graph& graph, Stream stream, bool libraries) {
  Products products;
  for (Node& node : graph.nodes)
    if (const std::string words = node.op->product(); !words.empty()) products[words].nodes.push_back(&node);
  for (auto& [words, product] : products) {
    const std::vector<KernelChoice> all = product.op().choices(stream);
    const size_t most = product.op().with(all.front())->workspace(stream) + kMostExtraWorkspace;
    for (const KernelChoice& choice : all)
      if (product.op().with(choice)->workspace(stream) <= most) product.kernels.push_back(choice);
    if (libraries) product.kernels.push_back({KernelKind::vendor, 1});
  }
  return products;
}

class Tuner {
 public:
  Tuner(const Graph& graph, Stream stream, const Tuning& tuning)
      : graph_(graph),
        stream_(stream),
        tuning_(tuning),
        cache_(tuning.cache, describe(stream.device), kernel_generation()) {}

  void tell(const std::string& line) const {
    if (tuning_.tell) tuning_.tell(line);
  }

  // Whether cuDNN and cuBLASLt take part.
  bool libraries() const {
    if (tuning_.candidates != Candidates::all) return false;
    const std::string problem = stream_.device == Device::cuda ? vendor_problem() : "they need a card";
    if (!problem.empty()) tell("cuDNN and cuBLASLt are left out: " + problem);
    return problem.empty();
  }

  int run(Products& products) {
    read();
    int missing = 0;
    for (const auto& [words, product] : products)
      for (const KernelChoice& choice : product.kernels) missing += !cache_[words].contains(to_string(choice));
    if (missing > 0) time(products, missing);
    for (auto& [words, product] : products) {
      const KernelChoice choice = fastest(words, product);
      for (Node* node : product.nodes) node->op = node->op->with(choice);
    }
    return missing;
  }

 private:
  void read() {
    try {
      cache_.read();
    } catch (const Error& e) {
      damaged_ = true;
      tell(std::string(e.what()) + "; its times are measured anew");
    }
  }

  void time(const Products& products, int missing) {
    tell("times " + std::to_string(missing) + " kernels for " + std::to_string(products.size()) +
         " products of layers, once for " + describe(stream_.device));
    std::optional<KernelTimer> timer;
    try {
      for (const auto& [words, product] : products) time(words, product, timer);
    } catch (const DeviceError& e) {
      throw DeviceError(std::string(e.what()) + "; kernels were being timed, use --conv untimed");
    }
    // Another process may have measured the same: what lies in the file counts, for both.
    if (!damaged_) read();
    keep();
  }

  void time(const std::string& words, const Product& product, std::optional<KernelTimer>& timer) {
    KernelCache::Times& times = cache_[words];
    std::vector<KernelChoice> missing;
    for (const KernelChoice& choice : product.kernels)
      if (!times.contains(to_string(choice))) missing.push_back(choice);
    if (missing.empty()) return;
    try {
      if (!tuning_.seconds) {
        if (!timer) timer.emplace(stream_);
        timer->set_node(graph_, *product.nodes.front());
        timer->keep_results(*product.op().with(product.kernels.front()));
      }
      for (const KernelChoice& choice : missing) {
        if (interrupted()) {
          keep();
          throw Interrupted("stopped while kernels were timed; the same command goes on");
        }
        // To the nanosecond, which is finer than any clock here.
        times[to_string(choice)] = std::round(1e9 * seconds(words, product, choice, timer ? &*timer : nullptr)) / 1e3;
      }
    } catch (const OutOfMemory& e) {
      tell(words + ": no room to time its kernels, it keeps " + to_string(product.kernels.front()) + ": " + e.what());
      // Kept in the file as well, or a run that is stopped might go on with another kernel.
      for (const KernelChoice& choice : missing) times.try_emplace(to_string(choice), kNever);
    }
  }

  // kNever when the kernel is not to be had, or not to be trusted.
  double seconds(const std::string& words, const Product& product, const KernelChoice& choice, KernelTimer* timer) {
    const KernelChoice& model = product.kernels.front();
    const auto measure = [&] {
      const std::shared_ptr<const Operator> op = product.op().with(choice);
      return tuning_.seconds ? tuning_.seconds(*op) : timer->seconds(*op);
    };
    if (choice == model) return measure();  // there is nothing else to train with
    const auto refuse = [&](const std::string& why) {
      tell(words + ": not by " + to_string(choice) + ": " + why);
      return kNever;
    };
    // A library need not have every product, and none need fit into the memory there is.
    try {
      const std::shared_ptr<const Operator> op = product.op().with(choice);
      if (op->workspace(stream_) > product.op().with(model)->workspace(stream_) + kMostExtraWorkspace) return kNever;
      if (timer)
        if (const double distance = timer->distance(*op); !(distance <= timer->most_distance()))
          return refuse("its result differs from that of " + to_string(model) + " by " + std::to_string(distance) +
                        " of its size, left out; please report this line");
      return measure();
    } catch (const DeviceError&) {
      throw;
    } catch (const Interrupted&) {
      throw;
    } catch (const std::runtime_error& e) {
      return refuse(e.what());
    } catch (const std::invalid_argument& e) {
      return refuse(e.what());
    }
  }

  void keep() const {
    try {
      cache_.write();
    } catch (const Error& e) {
      tell(std::string("the times of the kernels are not kept: ") + e.what());
    }
  }

  KernelChoice fastest(const std::string& words, const Product& product) {
    const KernelCache::Times& times = cache_[words];
    KernelChoice best = product.kernels.front();
    double least = times.at(to_string(best)) * (1 - kWorthIt);
    for (const KernelChoice& choice : product.kernels)
      if (const double time = times.at(to_string(choice)); time < least) best = choice, least = time;
    return best;
  }

  const Graph& graph_;
  Stream stream_;
  const Tuning& tuning_;
  KernelCache cache_;
  bool damaged_ = false;  // the file
};

}  // namespace

Tuned choose_kernels(Graph& graph, Stream stream, const Tuning& tuning) {
  const bool measurable = stream.device == Device::cuda || (stream.device == Device::emulator && tuning.seconds);
  if (tuning.candidates == Candidates::untimed) return {};
  Tuner tuner(graph, stream, tuning);
  if (!measurable) {
    tuner.libraries();  // says that they are left out
    return {};
  }
  Products products = products_of(graph, stream, tuner.libraries());
  return {int(products.size()), tuner.run(products)};
}

}  // namespace doppel
