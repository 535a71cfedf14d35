#include "nn/preview.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/activation.h"

namespace doppel {

bool has_bf16() {
  return __builtin_cpu_supports("avx512bf16") != 0;
}

std::string usual_precision(Device device) {
  return device == Device::cuda || has_bf16() ? "bf16" : "fp32";
}

Inference::Inference(const Architecture& arch, std::shared_ptr<ParameterLayout> layout,
                     const std::vector<std::string>& people, int batch, DType precision, bool dry)
    : batch_(batch), elements_(layout->elements) {
  Graph g(std::move(layout), precision);
  input_ = g.value("input", {batch, arch.size, arch.size, 3}, DType::f32, Role::kept);
  const ValueId latent = encode(g, cast(g, input_), arch);
  for (const std::string& person : people) outputs_.push_back(decode(g, latent, arch, person));
  fuse(g);
  // The decoders' last values have no reader in the graph: the host reads them.
  for (ValueId& v : outputs_) g[v].role = Role::kept;
  program_ = std::make_unique<Program>(std::move(g), Stream{}, dry);
  if (precision == DType::bf16 && !dry) copies_ = Buffer(elements_ * sizeof(Bf16));
}

void Inference::set_weights(float* weights) {
  const Graph& g = program_->graph();
  program_->bind(g.weights, weights);
  if (g.copies == kNoValue) return;
  cast_to_bf16(copies_.as<Bf16>(), weights, int64_t(elements_), {});
  program_->bind(g.copies, copies_.data());
}

void Inference::run(const float* in) {
  std::memcpy(program_->data(input_), in, program_->graph()[input_].bytes());
  program_->run();
}

const float* Inference::output(int person) const {
  return static_cast<const float*>(program_->data(outputs_[size_t(person)]));
}

size_t Inference::bytes() const {
  return program_->arena_bytes() + (program_->graph().copies == kNoValue ? 0 : elements_ * sizeof(Bf16));
}

Image draw_preview(Inference& net, const std::vector<std::vector<std::vector<float>>>& inputs, int size) {
  const int people = int(inputs.size()), rows = int(inputs.front().size());
  const size_t pixels = size_t(size) * size * 3;
  std::vector<float> batch(size_t(net.batch()) * pixels);
  for (int p = 0; p < people; ++p)
    for (int r = 0; r < rows; ++r)
      std::copy(inputs[size_t(p)][size_t(r)].begin(), inputs[size_t(p)][size_t(r)].end(),
                batch.begin() + std::ptrdiff_t(size_t(p * rows + r) * pixels));
  net.run(batch.data());

  // One row a face; columns: input, own decoder, the others' in order. People side by side.
  const int gap = std::max(2, size / 16), columns = 1 + people;
  const int block = columns * size + gap;
  Image image(people * block - gap, rows * size);
  std::fill(image.data(), image.data() + image.size_bytes(), uint8_t(255));
  const auto paint = [&](const float* face, int x, int y) {
    for (int i = 0; i < size; ++i)
      for (int k = 0; k < size * 3; ++k)
        image.row(y + i)[3 * x + k] = uint8_t(std::clamp(face[i * size * 3 + k] * 255 + 0.5f, 0.f, 255.f));
  };
  for (int p = 0; p < people; ++p)
    for (int r = 0; r < rows; ++r) {
      const size_t sample = size_t(p * rows + r);
      int x = p * block;
      paint(batch.data() + sample * pixels, x, r * size);
      paint(net.output(p) + sample * pixels, x += size, r * size);
      for (int other = 0; other < people; ++other)
        if (other != p) paint(net.output(other) + sample * pixels, x += size, r * size);
    }
  return image;
}

}  // namespace doppel
