// The fake cuDNN.
#include <cudnn.h>

#include <algorithm>
#include <vector>

#include "vendor/fake/fake.h"

using doppel::DType;
using namespace doppel::fake;

struct cudnnContext {};
struct cudnnTensorStruct {
  DType type;
  int n, h, w, c;
  size_t at(int i, int y, int x, int channel) const { return ((size_t(i) * h + y) * w + x) * c + channel; }
  size_t count() const { return size_t(n) * h * w * c; }
};
struct cudnnFilterStruct : cudnnTensorStruct {};  // k, r, s, c
struct cudnnConvolutionStruct {
  int pad_h, pad_w, stride;
  cudnnMathType_t math;
};

namespace {

bool set(cudnnTensorStruct& t, cudnnTensorFormat_t format, cudnnDataType_t type, int n, int h, int w, int c) {
  t = {type == CUDNN_DATA_FLOAT ? DType::f32 : DType::bf16, n, h, w, c};
  return format == CUDNN_TENSOR_NHWC && (type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16) && t.count() > 0;
}

// Symmetric padding, and shapes that belong together.
bool fits(const cudnnTensorStruct& x, const cudnnFilterStruct& w, const cudnnConvolutionStruct& conv,
          const cudnnTensorStruct& z) {
  const auto out = [&](int size, int pad, int filter) { return (size + 2 * pad - filter) / conv.stride + 1; };
  return z.n == x.n && z.h == out(x.h, conv.pad_h, w.h) && z.w == out(x.w, conv.pad_w, w.w) && z.c == w.n &&
         x.c == w.c && x.type == w.type && z.type == x.type;
}

// Calls term(x index, w index, z index) for every product of the convolution.
template <typename Term>
void visit(const cudnnTensorStruct& x, const cudnnFilterStruct& w, const cudnnConvolutionStruct& conv,
           const cudnnTensorStruct& z, const Term& term) {
  for (int n = 0; n < z.n; ++n)
    for (int p = 0; p < z.h; ++p)
      for (int q = 0; q < z.w; ++q)
        for (int k = 0; k < z.c; ++k)
          for (int r = 0; r < w.h; ++r)
            for (int s = 0; s < w.w; ++s) {
              const int row = p * conv.stride + r - conv.pad_h, column = q * conv.stride + s - conv.pad_w;
              if (row < 0 || row >= x.h || column < 0 || column >= x.w) continue;
              for (int c = 0; c < w.c; ++c) term(x.at(n, row, column, c), w.at(k, r, s, c), z.at(n, p, q, k));
            }
}

template <typename Found>
cudnnStatus_t propose(const cudnnConvolutionStruct& conv, int most, int* count, Found* found) {
  *count = 0;
  for (const Proposal& p : kProposals) {
    if (*count == most) break;
    Found& f = found[(*count)++];
    f = {};
    f.algo = decltype(f.algo)(p.algorithm);
    f.status = p.works ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
    f.memory = p.workspace;
    f.determinism = p.repeats ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
    // As the real one: mathematics that were not asked for are listed all the same.
    f.mathType = p.tensor_cores                ? CUDNN_TENSOR_OP_MATH
                 : conv.math == CUDNN_FMA_MATH ? CUDNN_FMA_MATH
                                               : CUDNN_DEFAULT_MATH;
  }
  return CUDNN_STATUS_SUCCESS;
}

size_t bytes_of(int algorithm) {
  for (const Proposal& p : kProposals)
    if (p.algorithm == algorithm) return p.workspace;
  return size_t(-1);
}

}  // namespace

extern "C" {

Call last_call;

size_t cudnnGetVersion() {
  return kCudnnVersion;
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_BAD_PARAM ? "bad parameter" : "a failure";
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = make<cudnnContext>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) {
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* t) {
  *t = make<cudnnTensorStruct>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format, cudnnDataType_t type,
                                         int n, int c, int h, int w) {
  return set(*t, format, type, n, h, w, c) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* w) {
  *w = make<cudnnFilterStruct>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t w, cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int k, int c, int r, int s) {
  return set(*w, format, type, k, r, s, c) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* conv) {
  *conv = make<cudnnConvolutionStruct>();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t conv, int pad_h, int pad_w, int u, int v,
                                              int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
  *conv = {pad_h, pad_w, u, CUDNN_DEFAULT_MATH};
  const bool known = u == v && dilation_h == 1 && dilation_w == 1 && mode == CUDNN_CROSS_CORRELATION;
  return known && compute == CUDNN_DATA_FLOAT ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t conv, cudnnMathType_t math) {
  conv->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t x,
                                                     const cudnnFilterDescriptor_t w,
                                                     const cudnnConvolutionDescriptor_t conv,
                                                     const cudnnTensorDescriptor_t z, const int most, int* count,
                                                     cudnnConvolutionFwdAlgoPerf_t* found) {
  return fits(*x, *w, *conv, *z) ? propose(*conv, most, count, found) : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, const cudnnFilterDescriptor_t w,
                                                          const cudnnTensorDescriptor_t z,
                                                          const cudnnConvolutionDescriptor_t conv,
                                                          const cudnnTensorDescriptor_t x, const int most, int* count,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* found) {
  if (w->n == kChannelsWithoutDgrad) return CUDNN_STATUS_NOT_SUPPORTED;
  return fits(*x, *w, *conv, *z) ? propose(*conv, most, count, found) : CUDNN_STATUS_BAD_PARAM;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, const cudnnTensorDescriptor_t x,
                                                            const cudnnTensorDescriptor_t z,
                                                            const cudnnConvolutionDescriptor_t conv,
                                                            const cudnnFilterDescriptor_t w, const int most, int* count,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* found) {
  return fits(*x, *w, *conv, *z) ? propose(*conv, most, count, found) : CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, const cudnnTensorDescriptor_t,
                                                      const cudnnFilterDescriptor_t, const cudnnConvolutionDescriptor_t,
                                                      const cudnnTensorDescriptor_t, cudnnConvolutionFwdAlgo_t a,
                                                      size_t* bytes) {
  *bytes = bytes_of(int(a));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, const cudnnFilterDescriptor_t,
                                                           const cudnnTensorDescriptor_t,
                                                           const cudnnConvolutionDescriptor_t,
                                                           const cudnnTensorDescriptor_t,
                                                           cudnnConvolutionBwdDataAlgo_t a, size_t* bytes) {
  *bytes = bytes_of(int(a));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, const cudnnTensorDescriptor_t,
                                                             const cudnnTensorDescriptor_t,
                                                             const cudnnConvolutionDescriptor_t,
                                                             const cudnnFilterDescriptor_t,
                                                             cudnnConvolutionBwdFilterAlgo_t a, size_t* bytes) {
  *bytes = bytes_of(int(a));
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"

namespace {

struct Operand {
  const cudnnTensorStruct& shape;
  const void* data;
};

// out = sum of a b over the terms of the convolution, for whichever of x, w, z `out` is.
template <typename Indices>
cudnnStatus_t convolve(const Operand& a, const Operand& b, const cudnnTensorStruct& shape, void* out,
                       const cudnnTensorStruct& x, const cudnnFilterStruct& w, const cudnnConvolutionStruct& conv,
                       const cudnnTensorStruct& z, int algorithm, void* workspace, size_t bytes, float alpha,
                       float beta, const Indices& indices) {
  const bool single = x.type == DType::f32;
  if (!fits(x, w, conv, z) || bytes < bytes_of(algorithm) || (bytes > 0 && !workspace) || alpha != 1 || beta != 0 ||
      (single && conv.math != CUDNN_FMA_MATH))
    return CUDNN_STATUS_BAD_PARAM;
  last_call = {algorithm, bytes, int(conv.math)};
  if (bytes > 0) std::memset(workspace, 0xFF, bytes);
  std::vector<double> sums(shape.count());
  visit(x, w, conv, z, [&](size_t xi, size_t wi, size_t zi) {
    const auto [ai, bi, oi] = indices(xi, wi, zi);
    sums[oi] += read(a.data, ai, a.shape.type) * read(b.data, bi, b.shape.type);
  });
  for (size_t i = 0; i < sums.size(); ++i) write(out, i, shape.type, sums[i]);
  return CUDNN_STATUS_SUCCESS;
}

struct Three {
  size_t a, b, out;
};

}  // namespace

extern "C" {

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t, const void* alpha, const cudnnTensorDescriptor_t xd, const void* x,
                                      const cudnnFilterDescriptor_t wd, const void* w,
                                      const cudnnConvolutionDescriptor_t conv, cudnnConvolutionFwdAlgo_t algorithm,
                                      void* workspace, size_t bytes, const void* beta, const cudnnTensorDescriptor_t zd,
                                      void* z) {
  return convolve({*xd, x}, {*wd, w}, *zd, z, *xd, *wd, *conv, *zd, int(algorithm), workspace, bytes,
                  *static_cast<const float*>(alpha), *static_cast<const float*>(beta),
                  [](size_t xi, size_t wi, size_t zi) {
                    return Three{xi, wi, zi};
                  });
}
cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t, const void* alpha, const cudnnFilterDescriptor_t wd,
                                           const void* w, const cudnnTensorDescriptor_t zd, const void* dz,
                                           const cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace, size_t bytes,
                                           const void* beta, const cudnnTensorDescriptor_t xd, void* dx) {
  return convolve({*wd, w}, {*zd, dz}, *xd, dx, *xd, *wd, *conv, *zd, int(algorithm), workspace, bytes,
                  *static_cast<const float*>(alpha), *static_cast<const float*>(beta),
                  [](size_t xi, size_t wi, size_t zi) {
                    return Three{wi, zi, xi};
                  });
}
cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t, const void* alpha, const cudnnTensorDescriptor_t xd,
                                             const void* x, const cudnnTensorDescriptor_t zd, const void* dz,
                                             const cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, size_t bytes,
                                             const void* beta, const cudnnFilterDescriptor_t wd, void* dw) {
  return convolve({*xd, x}, {*zd, dz}, *wd, dw, *xd, *wd, *conv, *zd, int(algorithm), workspace, bytes,
                  *static_cast<const float*>(alpha), *static_cast<const float*>(beta),
                  [](size_t xi, size_t wi, size_t zi) {
                    return Three{xi, zi, wi};
                  });
}

}  // extern "C"
