#include "nn/swapper.h"

#include <algorithm>

#include "nn/training_step.h"

namespace doppel {

Swapper::Swapper(const std::string& model_path, int max_batch)
    : description_(load_description(model_path)),
      max_batch_(max_batch),
      arch_(architecture(description_.architecture)) {
  store_.layout = declare_parameters(arch_, description_.people);
  store_.weights = Buffer(store_.layout->elements * sizeof(float));
  load_parameters(model_path, store_, false);
  weights_ = store_.weights.as<float>();
}

Swapper::Swapper(ModelDescription description, std::shared_ptr<ParameterLayout> layout, float* weights, int max_batch)
    : description_(std::move(description)),
      max_batch_(max_batch),
      arch_(architecture(description_.architecture)),
      weights_(weights) {
  store_.layout = std::move(layout);
}

void Swapper::run(const float* in, int n, int person, float* out, int source) {
  auto& net = nets_[person];
  if (!net) {
    net = std::make_unique<Inference>(arch_, store_.layout, std::vector{people()[size_t(person)]}, max_batch_,
                                      has_bf16() ? DType::bf16 : DType::f32);
    net->set_weights(weights_);
  }
  if (source < 0 && people().size() == 2) source = 1 - person;
  const float none[3] = {0, 0, 0};
  const auto shift_of = [&](int p) { return p < 0 ? none : &description_.colour_shift[size_t(p) * 3]; };
  const float *shift_in = shift_of(source), *shift_out = shift_of(person);
  const size_t count = size_t(n) * size_t(description_.size) * size_t(description_.size) * 3;
  batch_.assign(size_t(max_batch_) * count / size_t(n), 0.f);
  for (size_t i = 0; i < count; ++i) batch_[i] = std::clamp(in[i] + shift_in[i % 3], 0.f, 1.f);
  net->run(batch_.data());
  const float* y = net->output(0);
  for (size_t i = 0; i < count; ++i) out[i] = std::clamp(y[i] - shift_out[i % 3], 0.f, 1.f);
}

}  // namespace doppel
