#include "bench/peak.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "bench/card.h"
#include "bench/operands.h"
#include "bench/program.h"
#include "kernels/dense.h"
#include "kernels/device_error.h"
#include "kernels/vendor.h"
#include "runtime/error.h"
#include "runtime/kernel_cache.h"

namespace doppel::bench {
namespace {

struct Memory {
  void *y, *x, *w;
  float* b;
};

KernelCase product(const Dense& d, const char* by) {
  const double elements = double(d.n) * d.c + double(d.c) * d.k + double(d.n) * d.k;
  const std::string side = std::to_string(d.n);
  return {side + " x " + side + " x " + side, "product", by, to_string(d.kernels.fprop), d.flops(),
          double(size_of(d.type)) * elements, {}};
}

// cuBLASLt's; throws std::runtime_error where it cannot be used.
std::vector<KernelCase> bare_products(const Dense& shape, const Memory& m, Operands& operands) {
  std::vector<KernelCase> cases;
#if defined(DOPPEL_CUDNN)
  if (const std::string& problem = vendor_libraries().cublaslt.problem; !problem.empty())
    throw std::runtime_error(problem);
  void* workspace = operands.scratch(on_vendor::dense_product_workspace());
  for (const KernelChoice& choice : on_vendor::dense_product_choices(shape)) {
    Dense d = shape;
    d.kernels.fprop = choice;
    cases.push_back(product(d, "cuBLASLt"));
    cases.back().run = [=](Stream s) { on_vendor::dense_product(m.y, m.x, m.w, d, workspace, s); };
  }
#else
  (void)shape, (void)m, (void)operands;
  throw std::runtime_error("this build has no cuBLASLt");
#endif
  return cases;
}

// Our dense layer's: what is taken by itself, or `all` that can be chosen.
std::vector<KernelCase> own_products(const Dense& shape, const Memory& m, Operands& operands, bool all) {
  std::vector<Dense> layers;
  size_t bytes = 0;
  for (const KernelChoice& choice : dense_choices(shape, Pass::fprop, bench_stream())) {
    layers.push_back(shape);
    layers.back().kernels.fprop = choice;
    bytes = std::max(bytes, dense_workspace(layers.back(), bench_stream()).fprop);
    if (!all) break;
  }
  void* workspace = operands.scratch(bytes);
  std::vector<KernelCase> cases;
  for (const Dense& d : layers) {
    cases.push_back(product(d, "doppel"));
    cases.back().run = [=](Stream s) { dense_fprop(m.y, m.x, m.w, m.b, d, workspace, s); };
  }
  return cases;
}

}  // namespace

std::string measure_each(const std::vector<KernelCase>& cases, const std::function<double(const KernelCase&)>& time,
                         const std::function<void(const KernelCase&, double)>& each) {
  std::string problem = "it offers nothing for this product";
  bool any = false;
  for (const KernelCase& c : cases) {
    stop_if_asked();
    double t = 0;
    try {
      t = time(c);
    } catch (const DeviceError&) {
      throw;
    } catch (const Interrupted&) {
      throw;
    } catch (const std::runtime_error& e) {
      problem = e.what();
      tell("%s: not by %s: %s", c.layer.c_str(), c.choice.c_str(), e.what());
      continue;
    }
    any = true;
    each(c, t);
  }
  return any ? "" : problem;
}

Peak measured_peak(double seconds, const std::function<void(const KernelCase&, double)>& each) {
  const bool rehearsed = device_in_use() == Device::emulator;
  const int n = rehearsed ? 64 : 8192;
  const Dense shape{n, n, n, DType::bf16};
  Peak peak;
  Operands operands;
  const int64_t square = int64_t(n) * n;
  const Memory m{operands.add(DType::bf16, square), operands.add(DType::bf16, square),
                 operands.add(DType::bf16, square, -0.05f, 0.05f), operands.add_floats(n)};
  const auto time = [&](const KernelCase& c) { return time_on_card(c.run, seconds); };
  const auto keep = [&](const KernelCase& c, double t) {
    if (c.flops / t > peak.flops) {
      const bool ours = c.by == "doppel";
      peak.flops = c.flops / t;
      peak.by = (ours ? "doppel, with bias, " : vendor_libraries().cublaslt.version + ", bare, ") + c.choice;
    }
    each(c, t);
  };
  std::string problem;
  std::vector<KernelCase> bare;
  try {
    if (rehearsed) throw std::runtime_error("the emulator has no library");
    bare = bare_products(shape, m, operands);
  } catch (const DeviceError&) {
    throw;
  } catch (const std::runtime_error& e) {
    problem = e.what();
  }
  if (problem.empty()) problem = measure_each(bare, time, keep);
  if (!problem.empty()) tell("the peak is measured without cuBLASLt: %s", problem.c_str());
  for (const KernelCase& c : own_products(shape, m, operands, !problem.empty())) {
    stop_if_asked();
    keep(c, time(c));  // ours have to run
  }
  if (!problem.empty()) peak.by += "; without cuBLASLt";

  const size_t bytes = size_t(1) << (rehearsed ? 20 : 30);
  void *to = operands.scratch(bytes), *from = operands.scratch(bytes);
  const KernelCase copy{
      std::to_string(bytes >> 20) + " MiB", "copy", "driver", "", 0, 2.0 * double(bytes), [=](Stream s) {
        copy_on_card(to, from, bytes, s);
      }};
  const double t = time_on_card(copy.run, seconds);
  peak.bytes = copy.bytes / t;
  each(copy, t);
  return peak;
}

}  // namespace doppel::bench
