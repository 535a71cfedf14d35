#include "nn/parameters.h"

#include "kernels/activation.h"
#include "kernels/philox.h"
#include "runtime/device.h"

namespace doppel {

size_t store_bytes(const ParameterLayout& layout, DType compute, bool with_average) {
  const size_t f32_arenas = with_average ? 5 : 4;
  return layout.elements * (f32_arenas * sizeof(float) + (compute == DType::bf16 ? sizeof(Bf16) : 0));
}

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
    Random random(seed, 0, uint32_t(i));
    for (int64_t k = 0; k < p.shape.elements(); ++k)
      weights[p.offset + size_t(k)] = random.uniform(-p.init_limit, p.init_limit);
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
