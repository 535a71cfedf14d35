// What every backend's convolution shares: paddings, checks, and the choice of the backend.
#include "kernels/conv2d.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/backends.h"
#include "kernels/vendor.h"

namespace doppel {
namespace {

void same(int size, int filter, int stride, int& low, int& high) {
  const int out = (size + stride - 1) / stride;
  const int total = std::max(0, (out - 1) * stride + filter - size);
  low = total / 2;
  high = total - low;
}

void require(bool ok, const char* what, const Conv2d& c) {
  if (ok) return;
  throw std::invalid_argument(std::string("conv2d: ") + what + " (x [" + std::to_string(c.n) + "," +
                              std::to_string(c.h) + "," + std::to_string(c.w) + "," + std::to_string(c.c) + "], w [" +
                              std::to_string(c.k) + "," + std::to_string(c.r) + "," + std::to_string(c.s) +
                              "], stride " + std::to_string(c.stride) + ", groups " + std::to_string(c.groups) + ")");
}

}  // namespace

void pad_same(Conv2d& conv) {
  same(conv.h, conv.r, conv.stride, conv.pad_top, conv.pad_bottom);
  same(conv.w, conv.s, conv.stride, conv.pad_left, conv.pad_right);
}

void pad_symmetric(Conv2d& conv) {
  conv.pad_top = conv.pad_bottom = conv.r / 2;
  conv.pad_left = conv.pad_right = conv.s / 2;
}

Conv2d one_group(Conv2d conv) {
  conv.groups = 1;
  conv.weight_stride = conv.bias_stride = 0;
  return conv;
}

void check(const Conv2d& c, const Epilogue& e) {
  require(c.n > 0 && c.h > 0 && c.w > 0 && c.c > 0 && c.k > 0, "every size must be positive", c);
  require(c.r % 2 == 1 && c.s % 2 == 1 && c.r > 0 && c.s > 0, "the filter must be odd", c);
  require(c.stride == 1 || c.stride == 2, "the stride must be 1 or 2", c);
  require(c.pad_top >= 0 && c.pad_left >= 0 && c.pad_bottom >= 0 && c.pad_right >= 0, "paddings must not be negative",
          c);
  require(c.pad_top < c.r && c.pad_bottom < c.r && c.pad_left < c.s && c.pad_right < c.s,
          "paddings must be below the filter's size", c);
  require(c.h + c.pad_top + c.pad_bottom >= c.r && c.w + c.pad_left + c.pad_right >= c.s, "the output would be empty",
          c);
  require(c.type != DType::u8 && c.out_type != DType::u8, "operands are fp32 or bf16", c);
  require(!e.shuffle || c.k % 4 == 0, "the pixel shuffle needs k divisible by 4", c);
  require(c.groups > 0, "there must be a group", c);
  require(c.groups == 1 || (c.weight_stride >= c.weights() && c.bias_stride >= c.k),
          "the strides must keep the groups' weights apart", c);
}

std::string size_problem(const Conv2d& conv) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() / 2;
  const int64_t in = int64_t(conv.h) * conv.w, out = int64_t(conv.out_h()) * conv.out_w();
  if (in * std::max(conv.n, conv.c) <= kMost && out * std::max(conv.n, conv.k) <= kMost &&
      conv.weights() / conv.k <= kMost)
    return "";
  return "conv2d: " + std::to_string(conv.n) + " pictures of " + std::to_string(conv.h) + " x " +
         std::to_string(conv.w) + " are more pixels, or elements of a picture, than kernels count";
}

void check_size(const Conv2d& conv) {
  if (const std::string problem = size_problem(conv); !problem.empty()) throw std::invalid_argument(problem);
}

namespace {

// By oneDNN or cuDNN.
bool by_library(Stream stream) {
  return stream.device == Device::cpu || (stream.device == Device::cuda && stream.library == Library::vendor);
}

// They take one group after the other; so does the backward epilogue that goes with them.
bool one_by_one(const Conv2d& conv, Stream stream) {
  return conv.groups > 1 && by_library(stream);
}

// Whether the activation is a pass of its own: they know no epilogue that stores two tensors.
bool activates_apart(const Epilogue& e, Stream stream) {
  return saves_input(e.activation) && by_library(stream);
}
Epilogue without_activation(Epilogue e) {
  e.activation = Activation::none;
  return e;
}

// `base` moved by an offset in elements of a type. No memory stays none.
template <typename Byte, typename Void>
Void* moved(Void* base, int64_t elements, DType type) {
  return base ? static_cast<Byte*>(base) + elements * int64_t(size_of(type)) : nullptr;
}
const void* at(const void* base, int64_t elements, DType type) {
  return moved<const char>(base, elements, type);
}
void* at(void* base, int64_t elements, DType type) {
  return moved<char>(base, elements, type);
}

}  // namespace

DOPPEL_BACKENDS(conv2d_workspace)
ConvWorkspace conv2d_workspace(const Conv2d& conv, const Epilogue& epilogue, Stream stream) {
  check(conv, epilogue);
  check_size(conv);
  return workspace_by_choice(conv.kernels, stream, [&](Stream on, const KernelChoices& kernels) {
    Conv2d chosen = one_by_one(conv, on) ? one_group(conv) : conv;
    chosen.kernels = kernels;
    return DOPPEL_PICK_LIBRARY(conv2d_workspace, on)(
        chosen, activates_apart(epilogue, on) ? without_activation(epilogue) : epilogue, on);
  });
}

DOPPEL_BACKENDS(conv2d_choices)
std::vector<KernelChoice> conv2d_choices(const Conv2d& conv, Pass pass, Stream stream) {
  return DOPPEL_PICK_LIBRARY(conv2d_choices, stream)(one_by_one(conv, stream) ? one_group(conv) : conv, pass, stream);
}

DOPPEL_BACKENDS(conv2d_fprop)
void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream, void* saved) {
  if (saves_input(epilogue.activation) && !saved)
    throw std::invalid_argument("conv2d: this activation's derivative needs memory for z");
  stream = by_choice(stream, conv.kernels.fprop);
  if (activates_apart(epilogue, stream)) {
    conv2d_fprop(saved, x, w, b, conv, without_activation(epilogue), workspace, stream);
    return activation_forward(y, saved, conv.groups * conv.out_elements(), conv.out_type, epilogue.activation, 0,
                              stream);
  }
  const auto launch = DOPPEL_PICK_LIBRARY(conv2d_fprop, stream);
  if (!one_by_one(conv, stream)) return launch(y, x, w, b, conv, epilogue, workspace, stream, saved);
  for (int64_t g = 0; g < conv.groups; ++g)
    launch(at(y, g * conv.out_elements(), conv.out_type), at(x, g * conv.in_elements(), conv.type),
           at(w, g * conv.weight_stride, conv.type), b + g * conv.bias_stride, one_group(conv), epilogue, workspace,
           stream, nullptr);
}

DOPPEL_BACKENDS(conv2d_backward_epilogue)
void conv2d_backward_epilogue(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream stream) {
  const auto launch = DOPPEL_PICK(conv2d_backward_epilogue, stream);
  if (!one_by_one(conv, stream)) return launch(dz, db, dy, saved, conv, epilogue, workspace, stream);
  for (int64_t g = 0; g < conv.groups; ++g) {
    const int64_t first = g * conv.out_elements();
    launch(at(dz, first, conv.type), db + g * conv.bias_stride, at(dy, first, conv.out_type),
           at(saved, first, conv.out_type), one_group(conv), epilogue, workspace, stream);
  }
}

DOPPEL_BACKENDS(conv2d_dgrad)
void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  stream = by_choice(stream, conv.kernels.dgrad);
  const auto launch = DOPPEL_PICK_LIBRARY(conv2d_dgrad, stream);
  if (!one_by_one(conv, stream)) return launch(dx, dz, w, conv, workspace, stream);
  for (int64_t g = 0; g < conv.groups; ++g)
    launch(at(dx, g * conv.in_elements(), conv.type), at(dz, g * conv.out_elements(), conv.type),
           at(w, g * conv.weight_stride, conv.type), one_group(conv), workspace, stream);
}

DOPPEL_BACKENDS(conv2d_wgrad)
void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  stream = by_choice(stream, conv.kernels.wgrad);
  const auto launch = DOPPEL_PICK_LIBRARY(conv2d_wgrad, stream);
  if (!one_by_one(conv, stream)) return launch(dw, x, dz, conv, workspace, stream);
  for (int64_t g = 0; g < conv.groups; ++g)
    launch(dw + g * conv.weight_stride, at(x, g * conv.in_elements(), conv.type),
           at(dz, g * conv.out_elements(), conv.type), one_group(conv), workspace, stream);
}

}  // namespace doppel
