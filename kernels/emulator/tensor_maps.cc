// Tensor maps for the emulator.
#include <stdexcept>

#include "kernels/device/tma.h"

namespace doppel::on_emulator {
namespace {

void check(const std::string& problem) {
  if (!problem.empty()) throw std::invalid_argument("tensor map: " + problem);
}

}  // namespace

TensorMap make_tensor_map(const Tiled& t) {
  check(tensor_map_problem(t));
  emulator::TensorMap m{};
  m.data = static_cast<const unsigned char*>(t.data);
  for (int i = 0; i < 4; ++i) m.sizes[i] = t.sizes[i];
  for (int i = 0; i < 3; ++i) m.strides[i] = 2 * t.strides[i];
  m.box[0] = kTmaRow, m.box[1] = t.rows, m.box[2] = t.planes;
  return {m};
}

TensorMap make_tensor_map(const Im2col& t) {
  check(tensor_map_problem(t));
  emulator::TensorMap m{};
  m.data = static_cast<const unsigned char*>(t.data);
  m.im2col = true;
  m.sizes[0] = t.c, m.sizes[1] = t.w, m.sizes[2] = t.h, m.sizes[3] = t.n;
  m.strides[0] = 2 * t.c, m.strides[1] = 2 * t.c * t.w, m.strides[2] = 2 * t.c * t.w * t.h;
  m.lower[0] = t.lower_x, m.lower[1] = t.lower_y, m.upper[0] = t.upper_x, m.upper[1] = t.upper_y;
  m.step = t.step, m.pixels = t.pixels;
  return {m};
}

}  // namespace doppel::on_emulator
