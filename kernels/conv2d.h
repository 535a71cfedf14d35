// 2D convolution (cross-correlation, as everywhere in the field), NHWC, with a fused epilogue.
//
//   z[n, p, q, k] = b[k] + sum over r, s, c of x[n, p*stride + r - pad_top, q*stride + s - pad_left, c] w[k, r, s, c]
//   y = shuffle(f(z))
//
// x [N,H,W,C], w [K,R,S,C], b [K] (fp32), z [N,P,Q,K]; y is z's shape, or [N,2P,2Q,K/4] with the pixel shuffle
// (kernels/pixel_shuffle.h). Elements outside x count as 0. x and w are of type `type`, y of `out_type`; sums are fp32.
//
// Backward, with dy of y's shape:
//
//   dz = unshuffle(dy) f'(saved)           conv2d_backward_epilogue; also db[k] = sum over n, p, q of dz
//   dx = sum over k, r, s of dz w          conv2d_dgrad
//   dw = sum over n, p, q of dz x          conv2d_wgrad
//
// Groups: `groups` such convolutions, of one shape and with weights of their own, in one launch. The pictures of one
// follow those of the other: x, dx [groups N,H,W,C], z, dz [groups N,P,Q,K], y, dy alike. The w, b, dw and db of group
// g begin g times a stride behind those of group 0. Sizes below, and N, are one group's.
//
// CPU: oneDNN's convolutions and matrix products. CUDA and emulator: hand-written kernels, chosen in kernels/conv2d.cu;
// bf16 tensors with c and k multiples of 8 must lie at multiples of 16 bytes there, each group's; else they throw
// std::invalid_argument. On every backend sums have a fixed order that depends on the shapes and the chosen kernel
// alone (bf16 fprop to at most 4 channels: also on whether x and each group's w lie at multiples of 16 bytes), so that
// the same inputs give the same bits. CPU, cuDNN: group by group; ours: all in one launch, sums as in a group's own.
//
// Every launcher writes (=) its outputs; none adds (+=). Outputs must not overlap inputs, except where said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/activation.h"
#include "kernels/both.h"
#include "kernels/dtype.h"
#include "kernels/kernel_choice.h"
#include "kernels/stream.h"

namespace doppel {

struct Conv2d {
  int n, h, w, c;         // input
  int k, r, s;            // output channels, filter
  int stride;             // 1 or 2, both axes
  int pad_top, pad_left;  // 0 .. r-1, 0 .. s-1
  int pad_bottom, pad_right;
  DType type;      // x, w, dz, dx
  DType out_type;  // y, dy
  KernelChoices kernels = {};
  int groups = 1;
  int64_t weight_stride = 0, bias_stride = 0;  // elements from a group's w and dw, b and db to the next one's

  DOPPEL_BOTH int out_h() const { return strided(h + pad_top + pad_bottom - r) + 1; }
  DOPPEL_BOTH int out_w() const { return strided(w + pad_left + pad_right - s) + 1; }
  DOPPEL_BOTH int64_t out_pixels() const { return int64_t(n) * out_h() * out_w(); }
  DOPPEL_BOTH int64_t in_elements() const { return int64_t(n) * h * w * c; }  // of x
  DOPPEL_BOTH int64_t out_elements() const { return out_pixels() * k; }       // of z
  DOPPEL_BOTH int64_t weights() const { return int64_t(k) * r * s * c; }
  // Multiplications and additions of one of fprop, dgrad, wgrad, padding counted as if it were data.
  double flops() const { return 2.0 * groups * double(out_pixels()) * double(weights()); }
  // size / stride: kernels ask for it at every pixel, and cards have no instruction that divides by a variable.
  DOPPEL_BOTH int strided(int size) const { return stride == 2 ? size / 2 : size; }
  bool operator==(const Conv2d&) const = default;
};

struct Epilogue {
  Activation activation = Activation::none;
  float slope = 0;
  bool shuffle = false;  // needs k % 4 == 0
  bool operator==(const Epilogue&) const = default;
};

// TensorFlow's SAME: output = ceil(input / stride), the odd one of the padding goes to the bottom and the right.
// Fills the paddings of `conv` from its other fields.
void pad_same(Conv2d& conv);
// Zero padding r/2, s/2 on all sides.
void pad_symmetric(Conv2d& conv);

// Group 0 alone: the shape of each.
Conv2d one_group(Conv2d conv);

// Throws std::invalid_argument when a field is out of the ranges above (even filters, empty outputs, k not divisible
// for the shuffle, groups whose weights or biases overlap).
void check(const Conv2d& conv, const Epilogue& epilogue);

// "", or why no launcher takes so much at once: kernels number the pixels of a group, and the elements of one picture,
// with int (oneDNN's too), and look a filter's size beyond the last.
std::string size_problem(const Conv2d& conv);
// Throws std::invalid_argument with it.
void check_size(const Conv2d& conv);

// Bytes of scratch memory that the four launchers below need at `workspace` (64-byte aligned; contents are lost).
// Throws std::invalid_argument as check() and check_size().
struct ConvWorkspace {
  size_t fprop = 0, backward_epilogue = 0, dgrad = 0, wgrad = 0;
};
ConvWorkspace conv2d_workspace(const Conv2d& conv, const Epilogue& epilogue, Stream stream);

// Our own kernels for a pass of `conv`, each once, whatever conv.kernels says. The first is what KernelKind::by_model
// is; of the other mma and simt kernels those are listed that their models of time (kernels/conv2d_mma_plan.h) do not
// think far slower, of the wgmma kernels all tiles, whatever a model thinks. On the CPU: KernelKind::by_model.
//
// On Device::cuda with Library::vendor: cuDNN's algorithms for it (kernels/vendor.h), the one that it takes by itself
// first; it may have none. Throws std::runtime_error where it cannot be used.
std::vector<KernelChoice> conv2d_choices(const Conv2d& conv, Pass pass, Stream stream);

// Where saves_input(activation), `saved` becomes shuffle(z), of y's shape and type; else it may be null. y is f of z
// before that rounding or after it (CPU, cuDNN, and from or to at most 4 channels, where the activation is a pass of
// its own).
void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream, void* saved = nullptr);

// dz [N,P,Q,K] of `type`; dy and saved in y's shape, of `out_type`; db [K]. saved is y, or where
// saves_input(activation) what fprop saved; it is not read (may be null) without an activation. Column sums are taken
// over a fixed number of row ranges in a fixed order: equal on every run and thread count.
void conv2d_backward_epilogue(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream stream);

void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream);

// dw [K,R,S,C] in fp32.
void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream);

}  // namespace doppel
