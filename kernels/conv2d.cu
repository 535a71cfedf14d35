// Convolution on a card and on the emulator: which of the kernels takes a shape.
//
//   conv2d_ends*.cu     from and to at most 4 channels
//   conv2d_mma*.cu      bf16 on tensor cores, channels in multiples of 8
//   conv2d_simt*.cu     fp32 arithmetic, any shape
//   conv2d_epilogue.cu  the backward epilogue, any shape
#include "kernels/conv2d.h"

#include <limits>
#include <stdexcept>

#include "kernels/conv2d_ends.h"
#include "kernels/conv2d_epilogue.h"
#include "kernels/conv2d_mma.h"
#include "kernels/conv2d_simt.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

// The kernels number pixels, and the elements of one picture, with int, and look a filter's size beyond the last.
void check_size(const Conv2d& conv) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() / 2;
  const int64_t in = int64_t(conv.h) * conv.w, out = int64_t(conv.out_h()) * conv.out_w();
  if (in * std::max(conv.n, conv.c) > kMost || out * std::max(conv.n, conv.k) > kMost ||
      conv.weights() / conv.k > kMost)
    throw std::invalid_argument("conv2d: more pixels or elements of a picture than CUDA kernels count");
}

}  // namespace

ConvWorkspace conv2d_workspace(const Conv2d& conv, const Epilogue& epilogue, Stream) {
  check(conv, epilogue);
  check_size(conv);
  const ConvWorkspace ends = ends_workspace(conv, epilogue),
                      rest = (takes_mma(conv) ? mma_workspace : simt_workspace)(conv, epilogue);
  ConvWorkspace bytes;
  bytes.fprop = takes_ends_fprop(conv) ? ends.fprop : rest.fprop;
  bytes.backward_epilogue = epilogue_workspace(conv);
  bytes.dgrad = takes_ends_dgrad(conv) ? ends.dgrad : rest.dgrad;
  bytes.wgrad = takes_ends_wgrad(conv) ? ends.wgrad : rest.wgrad;
  return bytes;
}

void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream) {
  const auto fprop = takes_ends_fprop(conv) ? ends_fprop : takes_mma(conv) ? mma_fprop : simt_fprop;
  fprop(y, x, w, b, conv, epilogue, workspace, stream);
}

void conv2d_backward_epilogue(void* dz, float* db, const void* dy, const void* y, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream stream) {
  launch_backward_epilogue(dz, db, dy, y, conv, epilogue, workspace, stream);
}

void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  const auto dgrad = takes_ends_dgrad(conv) ? ends_dgrad : takes_mma(conv) ? mma_dgrad : simt_dgrad;
  dgrad(dx, dz, w, conv, workspace, stream);
}

void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const auto wgrad = takes_ends_wgrad(conv) ? ends_wgrad : takes_mma(conv) ? mma_wgrad : simt_wgrad;
  wgrad(dw, x, dz, conv, workspace, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
