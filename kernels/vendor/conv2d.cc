// Convolution by cuDNN 9's classic interface.
#include <algorithm>

#include "kernels/finish.h"
#include "kernels/vendor.h"
#include "kernels/vendor/conv2d_plan.h"

namespace doppel::on_vendor {
namespace {

using vendor::bytes_of;
using vendor::choices_of;
using vendor::chosen;
using vendor::cudnn;
using vendor::Parts;
using vendor::Plan;
using vendor::plan_of;

constexpr float kOne = 1, kZero = 0;

// Between a picture and its place in the padded one.
void copy_inside(const Plan& p, void* to, const void* from, bool into_padded, Stream stream) {
  const Conv2d& c = p.conv;
  const size_t pixel = size_t(c.c) * size_of(c.type), row = size_t(c.w) * pixel, wide = size_t(p.padded_w) * pixel;
  // The last rows and columns of x may be of no use to the output.
  const int h = std::min(c.h, p.padded_h - c.pad_top), w = std::min(c.w, p.padded_w - c.pad_left);
  const cudaPitchedPtr large{into_padded ? to : const_cast<void*>(from), wide, wide, size_t(p.padded_h)};
  const cudaPitchedPtr small{into_padded ? const_cast<void*>(from) : to, row, row, size_t(c.h)};
  const cudaPos inside{size_t(c.pad_left) * pixel, size_t(c.pad_top), 0};
  cudaMemcpy3DParms copy{};
  copy.srcPtr = into_padded ? small : large;
  copy.dstPtr = into_padded ? large : small;
  (into_padded ? copy.dstPos : copy.srcPos) = inside;
  copy.extent = {size_t(w) * pixel, size_t(h), size_t(c.n)};
  copy.kind = cudaMemcpyDeviceToDevice;
  const size_t whole = into_padded ? p.padded_bytes() : size_t(c.n) * size_t(c.h) * row;
  DOPPEL_CHECK_LIBRARY(cudaMemsetAsync(to, 0, whole, vendor::cuda_stream(stream)), "padding");
  DOPPEL_CHECK_LIBRARY(cudaMemcpy3DAsync(&copy, vendor::cuda_stream(stream)), "padding");
}

// x, or a padded copy of it in the workspace.
const void* padded_input(const Plan& p, const void* x, Parts& parts, Stream stream) {
  if (!p.padded) return x;
  void* copy = parts.take(p.padded_bytes());
  copy_inside(p, copy, x, true, stream);
  return copy;
}

bool z_is_y(const Conv2d& conv, const Epilogue& epilogue) {
  return conv.type == conv.out_type && !epilogue.shuffle;
}

}  // namespace

ConvWorkspace conv2d_workspace(const Conv2d& conv, const Epilogue& epilogue, Stream stream) {
  const Plan& p = plan_of(conv, stream);
  Parts fprop(nullptr), dgrad(nullptr), wgrad(nullptr);
  for (Parts* parts : {&fprop, &dgrad, &wgrad}) parts->take(p.padded_bytes());
  fprop.take(z_is_y(conv, epilogue) ? 0 : p.z_bytes());
  wgrad.take(conv.type == DType::bf16 ? size_t(conv.weights()) * 2 : 0);
  fprop.take(bytes_of(p.fprop, conv.kernels.fprop));
  dgrad.take(bytes_of(p.dgrad, conv.kernels.dgrad));
  wgrad.take(bytes_of(p.wgrad, conv.kernels.wgrad));
  const Stream own{stream.device, stream.handle, Library::doppel};
  const size_t backward_epilogue = ::doppel::conv2d_workspace(p.conv, epilogue, own).backward_epilogue;
  return {fprop.used(), backward_epilogue, dgrad.used(), wgrad.used()};
}

std::vector<KernelChoice> conv2d_choices(const Conv2d& conv, Pass pass, Stream stream) {
  if (!vendor_libraries().cudnn.problem.empty()) return {};
  const Plan& p = plan_of(conv, stream);
  return pass == Pass::fprop ? choices_of(p.fprop) : pass == Pass::dgrad ? choices_of(p.dgrad) : choices_of(p.wgrad);
}

void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream, void*) {
  const Plan& p = plan_of(conv, stream);
  const auto& way = chosen(p.fprop, conv, Pass::fprop);
  Parts parts(workspace);
  const void* input = padded_input(p, x, parts, stream);
  void* z = z_is_y(conv, epilogue) ? y : parts.take(p.z_bytes());
  DOPPEL_CHECK_LIBRARY(
      cudnn().cudnnConvolutionForward(vendor::cudnn_handle(stream), &kOne, p.x, input, p.w, w, way.conv, way.algorithm,
                                      parts.take(way.workspace), way.workspace, &kZero, p.z, z),
      "fprop by cuDNN");
  finish(y, z, b,
         {conv.n, conv.out_h(), conv.out_w(), conv.k, conv.type, conv.out_type, epilogue.activation, epilogue.slope,
          epilogue.shuffle},
         stream);
}

void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  const Plan& p = plan_of(conv, stream);
  const auto& way = chosen(p.dgrad, conv, Pass::dgrad);
  Parts parts(workspace);
  void* out = p.padded ? parts.take(p.padded_bytes()) : dx;
  DOPPEL_CHECK_LIBRARY(
      cudnn().cudnnConvolutionBackwardData(vendor::cudnn_handle(stream), &kOne, p.w, w, p.z, dz, way.conv,
                                           way.algorithm, parts.take(way.workspace), way.workspace, &kZero, p.x, out),
      "dgrad by cuDNN");
  if (p.padded) copy_inside(p, dx, out, false, stream);
}

void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const Plan& p = plan_of(conv, stream);
  const auto& way = chosen(p.wgrad, conv, Pass::wgrad);
  Parts parts(workspace);
  const void* input = padded_input(p, x, parts, stream);
  const bool narrow = conv.type == DType::bf16;
  void* out = narrow ? parts.take(size_t(conv.weights()) * 2) : dw;
  DOPPEL_CHECK_LIBRARY(
      cudnn().cudnnConvolutionBackwardFilter(vendor::cudnn_handle(stream), &kOne, p.x, input, p.z, dz, way.conv,
                                             way.algorithm, parts.take(way.workspace), way.workspace, &kZero, p.w, out),
      "wgrad by cuDNN");
  if (narrow) finish(dw, out, nullptr, {conv.k, conv.r, conv.s, conv.c, DType::bf16, DType::f32}, stream);
}

}  // namespace doppel::on_vendor
