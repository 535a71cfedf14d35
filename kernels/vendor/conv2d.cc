// Convolution by cuDNN 9's classic interface. It knows symmetric padding alone; SAME at stride 2 needs one row more
// below than above, so there x is copied into a padded picture first, and dx cut out of one afterwards.
#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/finish.h"
#include "kernels/vendor.h"
#include "kernels/vendor/library.h"

namespace doppel::on_vendor {
namespace {

using vendor::check;
using vendor::cudnn;
using vendor::Parts;

constexpr size_t kMostWorkspace = size_t(256) << 20;  // bytes of an algorithm's own
constexpr float kOne = 1, kZero = 0;

cudnnDataType_t type_of(DType type) {
  return type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

cudnnTensorDescriptor_t tensor(DType type, int n, int h, int w, int c) {
  cudnnTensorDescriptor_t t = nullptr;
  check(cudnn().cudnnCreateTensorDescriptor(&t), "a tensor for cuDNN");
  check(cudnn().cudnnSetTensor4dDescriptor(t, CUDNN_TENSOR_NHWC, type_of(type), n, c, h, w), "a tensor for cuDNN");
  return t;
}

template <typename Algorithm>
struct Choice {
  Algorithm algorithm{};
  size_t workspace = 0;
  cudnnConvolutionDescriptor_t conv = nullptr;
};

// One layer. Made once for each and kept, with cuDNN's handle (kernels/vendor/library.h).
struct Plan {
  Conv2d conv;
  bool padded;  // x and dx pass through a padded copy, of padded_h rows of padded_w pixels
  int padded_h, padded_w;
  cudnnTensorDescriptor_t x, z;
  cudnnFilterDescriptor_t w;
  Choice<cudnnConvolutionFwdAlgo_t> fprop;
  Choice<cudnnConvolutionBwdDataAlgo_t> dgrad;
  Choice<cudnnConvolutionBwdFilterAlgo_t> wgrad;

  size_t padded_bytes() const {
    return padded ? size_t(conv.n) * size_t(padded_h) * size_t(padded_w) * size_t(conv.c) * size_of(conv.type) : 0;
  }
  size_t z_bytes() const { return size_t(conv.out_pixels()) * size_t(conv.k) * size_of(conv.type); }
};

// The first that works, fits and repeats its bits; cuDNN lists the fastest first.
template <typename Algorithm, typename Get>
Choice<Algorithm> choose(const Plan& plan, const char* what, Get get) {
  Choice<Algorithm> choice;
  check(cudnn().cudnnCreateConvolutionDescriptor(&choice.conv), what);
  const Conv2d& c = plan.conv;
  check(cudnn().cudnnSetConvolution2dDescriptor(choice.conv, plan.padded ? 0 : c.pad_top, plan.padded ? 0 : c.pad_left,
                                                c.stride, c.stride, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        what);
  // fp32 means fp32: no TF32.
  const cudnnMathType_t math = c.type == DType::bf16 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH;
  check(cudnn().cudnnSetConvolutionMathType(choice.conv, math), what);
  const auto found = get(choice.conv);
  for (const auto& f : found) {
    if (f.status != CUDNN_STATUS_SUCCESS || f.determinism != CUDNN_DETERMINISTIC || f.memory > kMostWorkspace) continue;
    check(cudnn().cudnnSetConvolutionMathType(choice.conv, f.mathType), what);
    choice.algorithm = f.algo;
    choice.workspace = f.memory;
    return choice;
  }
  throw std::runtime_error(std::string("cuDNN has no algorithm for ") + what + " of " + std::to_string(c.c) + " to " +
                           std::to_string(c.k) + " channels, " + std::to_string(c.r) + "x" + std::to_string(c.s) +
                           ", stride " + std::to_string(c.stride));
}

template <typename Found, typename Get>
std::vector<Found> all_of(const char* what, Get get) {
  std::array<Found, 16> found{};
  int count = 0;
  check(get(int(found.size()), &count, found.data()), what);
  return {found.begin(), found.begin() + count};
}

std::unique_ptr<Plan> make_plan(const Conv2d& c, Stream stream) {
  auto plan = std::make_unique<Plan>();
  Plan& p = *plan;
  p.conv = c;
  const auto fits = [&](int size, int pad, int filter, int out) {
    return (size + 2 * pad - filter) / c.stride + 1 == out;
  };
  p.padded = !fits(c.h, c.pad_top, c.r, c.out_h()) || !fits(c.w, c.pad_left, c.s, c.out_w());
  p.padded_h = (c.out_h() - 1) * c.stride + c.r;
  p.padded_w = (c.out_w() - 1) * c.stride + c.s;
  p.x = tensor(c.type, c.n, p.padded ? p.padded_h : c.h, p.padded ? p.padded_w : c.w, c.c);
  p.z = tensor(c.type, c.n, c.out_h(), c.out_w(), c.k);
  check(cudnn().cudnnCreateFilterDescriptor(&p.w), "a filter for cuDNN");
  check(cudnn().cudnnSetFilter4dDescriptor(p.w, type_of(c.type), CUDNN_TENSOR_NHWC, c.k, c.c, c.r, c.s),
        "a filter for cuDNN");
  const cudnnHandle_t handle = vendor::cudnn_handle(stream);
  p.fprop = choose<cudnnConvolutionFwdAlgo_t>(p, "fprop", [&](cudnnConvolutionDescriptor_t conv) {
    return all_of<cudnnConvolutionFwdAlgoPerf_t>("fprop", [&](int most, int* count, auto* found) {
      return cudnn().cudnnGetConvolutionForwardAlgorithm_v7(handle, p.x, p.w, conv, p.z, most, count, found);
    });
  });
  p.dgrad = choose<cudnnConvolutionBwdDataAlgo_t>(p, "dgrad", [&](cudnnConvolutionDescriptor_t conv) {
    return all_of<cudnnConvolutionBwdDataAlgoPerf_t>("dgrad", [&](int most, int* count, auto* found) {
      return cudnn().cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, p.w, p.z, conv, p.x, most, count, found);
    });
  });
  p.wgrad = choose<cudnnConvolutionBwdFilterAlgo_t>(p, "wgrad", [&](cudnnConvolutionDescriptor_t conv) {
    return all_of<cudnnConvolutionBwdFilterAlgoPerf_t>("wgrad", [&](int most, int* count, auto* found) {
      return cudnn().cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, p.x, p.z, conv, p.w, most, count, found);
    });
  });
  return plan;
}

const Plan& plan_of(const Conv2d& conv, Stream stream) {
  thread_local std::vector<std::unique_ptr<Plan>> plans;
  Conv2d shape = conv;
  shape.kernels = {};
  for (const auto& plan : plans)
    if (plan->conv == shape) return *plan;
  plans.push_back(make_plan(shape, stream));
  return *plans.back();
}

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
  check(cudaMemsetAsync(to, 0, whole, vendor::cuda_stream(stream)), "padding");
  check(cudaMemcpy3DAsync(&copy, vendor::cuda_stream(stream)), "padding");
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
  fprop.take(p.fprop.workspace);
  dgrad.take(p.dgrad.workspace);
  wgrad.take(p.wgrad.workspace);
  const Stream own{stream.device, stream.handle, Library::doppel};
  const size_t backward_epilogue = ::doppel::conv2d_workspace(conv, epilogue, own).backward_epilogue;
  return {fprop.used(), backward_epilogue, dgrad.used(), wgrad.used()};
}

void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream) {
  const Plan& p = plan_of(conv, stream);
  Parts parts(workspace);
  const void* input = padded_input(p, x, parts, stream);
  void* z = z_is_y(conv, epilogue) ? y : parts.take(p.z_bytes());
  check(cudnn().cudnnConvolutionForward(vendor::cudnn_handle(stream), &kOne, p.x, input, p.w, w, p.fprop.conv,
                                        p.fprop.algorithm, parts.take(p.fprop.workspace), p.fprop.workspace, &kZero,
                                        p.z, z),
        "fprop by cuDNN");
  finish(y, z, b,
         {conv.n, conv.out_h(), conv.out_w(), conv.k, conv.type, conv.out_type, epilogue.activation, epilogue.slope,
          epilogue.shuffle},
         stream);
}

void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  const Plan& p = plan_of(conv, stream);
  Parts parts(workspace);
  void* out = p.padded ? parts.take(p.padded_bytes()) : dx;
  check(cudnn().cudnnConvolutionBackwardData(vendor::cudnn_handle(stream), &kOne, p.w, w, p.z, dz, p.dgrad.conv,
                                             p.dgrad.algorithm, parts.take(p.dgrad.workspace), p.dgrad.workspace,
                                             &kZero, p.x, out),
        "dgrad by cuDNN");
  if (p.padded) copy_inside(p, dx, out, false, stream);
}

void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const Plan& p = plan_of(conv, stream);
  Parts parts(workspace);
  const void* input = padded_input(p, x, parts, stream);
  const bool narrow = conv.type == DType::bf16;
  void* out = narrow ? parts.take(size_t(conv.weights()) * 2) : dw;
  check(cudnn().cudnnConvolutionBackwardFilter(vendor::cudnn_handle(stream), &kOne, p.x, input, p.z, dz, p.wgrad.conv,
                                               p.wgrad.algorithm, parts.take(p.wgrad.workspace), p.wgrad.workspace,
                                               &kZero, p.w, out),
        "wgrad by cuDNN");
  if (narrow) finish(dw, out, nullptr, {conv.k, conv.r, conv.s, conv.c, DType::bf16, DType::f32}, stream);
}

}  // namespace doppel::on_vendor
