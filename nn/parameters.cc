#include "nn/parameters.h"

#include "kernels/activation.h"
#include "kernels/parallel.h"
#include "kernels/philox.h"
#include "runtime/device.h"

namespace doppel {

ParameterStore make_store(std::shared_ptr<ParameterLayout> layout, DType compute, bool with_average, Stream stream) {
  const size_t bytes = layout->elements * sizeof(float);
  ParameterStore s;
  s.layout = std::move(layout);
  s.stream = stream;
  s.weights = Buffer(bytes, stream);
  s.gradients = Buffer(bytes, stream);
  s.m = Buffer(bytes, stream);
  s.v = Buffer(bytes, stream);
  if (with_average) s.average = Buffer(bytes, stream);
  if (compute == DType::bf16) s.copies = Buffer(bytes / 2, stream);
  return s;
}

void initialize(ParameterStore& store, uint64_t seed) {
  HostCopy host(store.weights, store.stream);
  float* weights = host.as<float>();
  for (size_t i = 0; i < store.layout->parameters.size(); ++i) {
    const Parameter& p = store.layout->parameters[i];
    if (p.init_limit == 0) continue;
    parallel_for(p.shape.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      Random random(seed, 0, uint32_t(i), uint32_t(begin));
      for (int64_t k = begin; k < end; ++k) weights[p.offset + size_t(k)] = random.uniform(-p.init_limit, p.init_limit);
    });
  }
  host.write_back();
  if (store.average.bytes()) upload(store.average.data(), weights, store.average.bytes(), store.stream);
  refresh_copies(store);
}

void refresh_copies(ParameterStore& store) {
  if (!store.copies.bytes()) return;
  cast_to_bf16(store.copies.as<Bf16>(), store.weights.as<float>(), int64_t(store.layout->elements), store.stream);
}

}  // namespace doppel
