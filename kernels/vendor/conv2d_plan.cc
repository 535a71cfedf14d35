#include "kernels/vendor/conv2d_plan.h"

#include <algorithm>
#include <array>
#include <memory>

namespace doppel::vendor {
namespace {

constexpr size_t kMostWorkspace = size_t(256) << 20;  // bytes of an algorithm's own

cudnnDataType_t type_of(DType type) {
  return type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

cudnnTensorDescriptor_t tensor(DType type, int n, int h, int w, int c) {
  cudnnTensorDescriptor_t t = nullptr;
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnCreateTensorDescriptor(&t), "a tensor for cuDNN");
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnSetTensor4dDescriptor(t, CUDNN_TENSOR_NHWC, type_of(type), n, c, h, w),
                       "a tensor for cuDNN");
  return t;
}

cudnnConvolutionDescriptor_t convolution(const Plan& plan, cudnnMathType_t math, const char* what) {
  cudnnConvolutionDescriptor_t conv = nullptr;
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnCreateConvolutionDescriptor(&conv), what);
  const Conv2d& c = plan.conv;
  DOPPEL_CHECK_LIBRARY(
      cudnn().cudnnSetConvolution2dDescriptor(conv, plan.padded ? 0 : c.pad_top, plan.padded ? 0 : c.pad_left, c.stride,
                                              c.stride, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
      what);
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnSetConvolutionMathType(conv, math), what);
  return conv;
}

// Of what cuDNN proposes, the fastest first by its heuristics, those that work, fit and repeat their bits.
//
//   get(conv, most, &count, found)           cudnnGetConvolution*Algorithm_v7
//   bytes(conv, algorithm, &workspace)       cudnnGetConvolution*WorkspaceSize
template <typename Found, typename Get, typename Bytes>
auto ways_of(const Plan& plan, const char* what, const Get& get, const Bytes& bytes) {
  Ways<decltype(Found::algo)> ways;
  const bool narrow = plan.conv.type == DType::bf16;
  std::array<Found, 16> found{};
  int count = 0;
  const cudnnStatus_t status = get(convolution(plan, narrow ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH, what),
                                   int(found.size()), &count, found.data());
  if (status == CUDNN_STATUS_NOT_SUPPORTED) return ways;
  DOPPEL_CHECK_LIBRARY(status, what);
  for (int i = 0; i < count && ways.size() < vendor::kMostAlgorithms; ++i) {
    const Found& f = found[size_t(i)];
    // The same algorithm may follow with other mathematics; the first is the better one.
    const bool known = std::any_of(ways.begin(), ways.end(), [&](const auto& way) { return way.algorithm == f.algo; });
    if (f.status != CUDNN_STATUS_SUCCESS || f.determinism != CUDNN_DETERMINISTIC || known) continue;
    // fp32 means fp32: what is listed with other mathematics, TF32, is asked for without.
    const cudnnConvolutionDescriptor_t conv = convolution(plan, narrow ? f.mathType : CUDNN_FMA_MATH, what);
    size_t workspace = 0;
    if (bytes(conv, f.algo, &workspace) != CUDNN_STATUS_SUCCESS || workspace > kMostWorkspace) continue;
    ways.push_back({f.algo, workspace, conv});
  }
  return ways;
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
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnCreateFilterDescriptor(&p.w), "a filter for cuDNN");
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnSetFilter4dDescriptor(p.w, type_of(c.type), CUDNN_TENSOR_NHWC, c.k, c.c, c.r, c.s),
                       "a filter for cuDNN");
  const cudnnHandle_t handle = vendor::cudnn_handle(stream);
  p.fprop = ways_of<cudnnConvolutionFwdAlgoPerf_t>(
      p, "fprop",
      [&](cudnnConvolutionDescriptor_t conv, int most, int* count, auto* found) {
        return cudnn().cudnnGetConvolutionForwardAlgorithm_v7(handle, p.x, p.w, conv, p.z, most, count, found);
      },
      [&](cudnnConvolutionDescriptor_t conv, auto algorithm, size_t* bytes) {
        return cudnn().cudnnGetConvolutionForwardWorkspaceSize(handle, p.x, p.w, conv, p.z, algorithm, bytes);
      });
  p.dgrad = ways_of<cudnnConvolutionBwdDataAlgoPerf_t>(
      p, "dgrad",
      [&](cudnnConvolutionDescriptor_t conv, int most, int* count, auto* found) {
        return cudnn().cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, p.w, p.z, conv, p.x, most, count, found);
      },
      [&](cudnnConvolutionDescriptor_t conv, auto algorithm, size_t* bytes) {
        return cudnn().cudnnGetConvolutionBackwardDataWorkspaceSize(handle, p.w, p.z, conv, p.x, algorithm, bytes);
      });
  p.wgrad = ways_of<cudnnConvolutionBwdFilterAlgoPerf_t>(
      p, "wgrad",
      [&](cudnnConvolutionDescriptor_t conv, int most, int* count, auto* found) {
        return cudnn().cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, p.x, p.z, conv, p.w, most, count, found);
      },
      [&](cudnnConvolutionDescriptor_t conv, auto algorithm, size_t* bytes) {
        return cudnn().cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, p.x, p.z, conv, p.w, algorithm, bytes);
      });
  return plan;
}

}  // namespace

const Plan& plan_of(const Conv2d& conv, Stream stream) {
  thread_local std::vector<std::unique_ptr<Plan>> plans;
  Conv2d shape = conv;
  shape.kernels = {};
  for (const auto& plan : plans)
    if (plan->conv == shape) return *plan;
  plans.push_back(make_plan(shape, stream));
  return *plans.back();
}

}  // namespace doppel::vendor
