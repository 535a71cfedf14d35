#include "runtime/tuner.h"

#include <algorithm>
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
#include "runtime/kernel_trial.h"

namespace doppel {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Nodes that make the same product, and the kernels to choose from: what is taken by itself first.
struct Product {
  std::vector<Node*> nodes;
  std::vector<KernelChoice> kernels;

  const Operator& op() const { return *nodes.front()->op; }

  // Adds the kernels of ours or of the library's that do not need much more workspace than the first of all.
  void add_choices(Stream stream, Library library) {
    const auto workspace = [&](const KernelChoice& choice) { return op().with(choice)->workspace(stream); };
    for (const KernelChoice& choice : op().choices({stream.device, stream.handle, library}))
      if (kernels.empty() || workspace(choice) <= workspace(kernels.front()) + kMostExtraWorkspace)
        kernels.push_back(choice);
  }
};

// By its words.
using Products = std::map<std::string, Product>;

Products products_of(Graph& graph, Stream stream) {
  Products products;
  for (Node& node : graph.nodes)
    if (const std::string words = node.op->product(); !words.empty()) products[words].nodes.push_back(&node);
  for (auto& [words, product] : products) product.add_choices(stream, Library::doppel);
  return products;
}

class Tuner {
 public:
  Tuner(const Graph& graph, Stream stream, const Tuning& tuning)
      : graph_(graph),
        stream_(stream),
        tuning_(tuning),
        libraries_(library_versions()),
        cache_(tuning.cache, describe(stream.device), kernel_generation(), libraries_),
        trial_(tuning.cache, describe(stream.device), kernel_generation()) {}

  void tell(const std::string& line) const {
    if (tuning_.tell) tuning_.tell(line);
  }

  int run(Products& products) {
    if (!libraries_.empty()) add_libraries(products);
    read();
    blame();
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
  // Of those of cuDNN and cuBLASLt that take part.
  std::string library_versions() const {
    if (tuning_.candidates != Candidates::all) return {};
    if (!tuning_.libraries.empty()) return tuning_.libraries;
    const VendorLibraries::One useless{"", "they need a card"};
    const VendorLibraries found =
        stream_.device == Device::cuda ? vendor_libraries() : VendorLibraries{useless, useless};
    for (const std::string& line : found.lines()) tell(line);
    return found.versions();
  }

  // A library need not have every product.
  void add_libraries(Products& products) const {
    for (auto& [words, product] : products) try {
        product.add_choices(stream_, Library::vendor);
      } catch (const DeviceError&) {
        throw;
      } catch (const std::runtime_error& e) {
        tell(words + ": not by a library: " + e.what());
      }
  }

  void read() {
    try {
      cache_.read();
    } catch (const Error& e) {
      damaged_ = true;
      tell(std::string(e.what()) + "; its times are measured anew");
    }
  }

  // The kernel in whose trial the last start ended is left out from here on.
  void blame() {
    const std::optional<Trial> trial = trial_.left_behind();
    if (!trial) return;
    const std::string what = trial->product + ": the last start ended while " + trial->kernel + " was tried";
    if (trial->by_itself) {
      tell(what + ", which is taken by itself; where that happens again, \"untimed\" leaves out timing");
      return;
    }
    tell(what + "; left out until " + cache_.path() + " is deleted; please report this line");
    cache_[trial->product][trial->kernel] = kNever;
    keep();  // what the file says of it, which has been read, is older
  }

  void time(const Products& products, int missing) {
    tell("times " + std::to_string(missing) + " kernels for " + std::to_string(products.size()) +
         " products of layers, once for " + describe(stream_.device));
    std::optional<KernelTimer> timer;
    try {
      for (const auto& [words, product] : products) {
        time(words, product, timer);
        if (&words != &products.rbegin()->first) save();  // so that a process that is killed loses little
      }
    } catch (const DeviceError& e) {
      trial_.leave_behind();
      save();
      throw DeviceError(std::string(e.what()) + "; kernels were being timed (" + tried_ +
                        "), which \"untimed\" leaves out" +
                        (skippable_ ? "; or start again, which leaves that one out" : ""));
    }
    save();
  }

  // Another process may have measured the same: what lies in the file counts, for both.
  void save() {
    if (!damaged_) read();
    keep();
  }

  void begin(const std::string& words, const Product& product, const KernelChoice& choice) {
    const bool by_itself = choice == product.kernels.front();
    tried_ = to_string(choice) + " for " + words;
    skippable_ = !by_itself && !cache_.path().empty();
    trial_.begin({words, to_string(choice), by_itself});
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
        begin(words, product, product.kernels.front());
        timer->set_node(graph_, *product.nodes.front());
        timer->keep_results(*product.op().with(product.kernels.front()));
      }
      for (const KernelChoice& choice : missing) {
        if (interrupted()) {
          keep();
          throw Interrupted("stopped while kernels were timed; the same command goes on");
        }
        begin(words, product, choice);
        // To the nanosecond, which is finer than any clock here. No time is kept of what had no room: another run may
        // have it.
        if (const auto time = seconds(words, product, choice, timer ? &*timer : nullptr))
          times[to_string(choice)] = std::round(1e9 * *time) / 1e3;
      }
    } catch (const OutOfMemory& e) {
      tell(words + ": no room to time its kernels, those without a time are left out until the next run: " + e.what());
    }
  }

  // kNever when the kernel is not to be had, or not to be trusted; none when there is no room for it now. Throws
  // OutOfMemory when there is none for the model's.
  std::optional<double> seconds(const std::string& words, const Product& product, const KernelChoice& choice,
                                KernelTimer* timer) {
    const KernelChoice& model = product.kernels.front();
    const auto measure = [&]() -> std::optional<double> {
      const std::shared_ptr<const Operator> op = product.op().with(choice);
      return tuning_.seconds ? tuning_.seconds(*op) : timer->seconds(*op);
    };
    if (choice == model) return measure();  // there is nothing else to train with
    const auto refuse = [&](const std::string& why) -> std::optional<double> {
      tell(words + ": not by " + to_string(choice) + ": " + why);
      return kNever;
    };
    // A library may not have what it has said.
    try {
      const std::shared_ptr<const Operator> op = product.op().with(choice);
      if (timer)
        if (const double distance = timer->distance(*op); !(distance <= timer->most_distance()))
          return refuse("its result differs from that of " + to_string(model) + " by " + std::to_string(distance) +
                        " of its size, left out; please report this line");
      return measure();
    } catch (const DeviceError&) {
      throw;
    } catch (const Interrupted&) {
      throw;
    } catch (const OutOfMemory& e) {
      tell(words + ": no room to time " + to_string(choice) + ", left out until the next run: " + e.what());
      return std::nullopt;
    } catch (const std::runtime_error& e) {
      return refuse(e.what());
    } catch (const std::invalid_argument& e) {
      return refuse(e.what());
    }
  }

  void keep() {
    try {
      cache_.write();
    } catch (const Error& e) {
      if (!kept_nowhere_) tell(std::string("the times of the kernels are not kept: ") + e.what());
      kept_nowhere_ = true;
    }
  }

  // Of those that have a time; the model's where it has none itself.
  KernelChoice fastest(const std::string& words, const Product& product) {
    const KernelCache::Times& times = cache_[words];
    const auto time_of = [&](const KernelChoice& choice) {
      const auto time = times.find(to_string(choice));
      return time == times.end() ? kNever : time->second;
    };
    KernelChoice best = product.kernels.front();
    if (!times.contains(to_string(best))) return best;
    double least = time_of(best) * (1 - kWorthIt);
    for (const KernelChoice& choice : product.kernels)
      if (const double time = time_of(choice); time < least) best = choice, least = time;
    return best;
  }

  const Graph& graph_;
  Stream stream_;
  const Tuning& tuning_;
  const std::string libraries_;
  KernelCache cache_;
  KernelTrial trial_;
  std::string tried_;          // last, in words
  bool skippable_ = false;     // by the next start
  bool damaged_ = false;       // the file
  bool kept_nowhere_ = false;  // it cannot be written, which has been told
};

}  // namespace

Tuning named_tuning(const std::string& name, std::string cache, std::function<void(const std::string&)> tell) {
  const auto found = std::find(std::begin(kCandidateNames), std::end(kCandidateNames), name);
  if (found == std::end(kCandidateNames)) throw std::invalid_argument(name + ": no kernels are called so");
  Tuning tuning;
  tuning.candidates = Candidates(found - std::begin(kCandidateNames));
  tuning.cache = std::move(cache);
  tuning.tell = std::move(tell);
  return tuning;
}

Tuned choose_kernels(Graph& graph, Stream stream, const Tuning& tuning) {
  const bool measurable = stream.device == Device::cuda || (stream.device == Device::emulator && tuning.seconds);
  if (tuning.candidates == Candidates::untimed) return {};
  Tuner tuner(graph, stream, tuning);
  if (!measurable) return {};  // the libraries have been told to be left out
  Products products = products_of(graph, stream);
  return {int(products.size()), tuner.run(products)};
}

}  // namespace doppel
