// The functions of cuDNN and cuBLASLt that we call, found at run time. Private to kernels/vendor/.
#pragma once

#if defined(DOPPEL_CUDNN)

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <cstddef>
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/stream.h"

#define DOPPEL_CUDNN_FUNCTIONS(F)                   \
  F(cudnnGetVersion)                                \
  F(cudnnCreate)                                    \
  F(cudnnSetStream)                                 \
  F(cudnnGetErrorString)                            \
  F(cudnnCreateTensorDescriptor)                    \
  F(cudnnSetTensor4dDescriptor)                     \
  F(cudnnCreateFilterDescriptor)                    \
  F(cudnnSetFilter4dDescriptor)                     \
  F(cudnnCreateConvolutionDescriptor)               \
  F(cudnnSetConvolution2dDescriptor)                \
  F(cudnnSetConvolutionMathType)                    \
  F(cudnnGetConvolutionForwardAlgorithm_v7)         \
  F(cudnnGetConvolutionBackwardDataAlgorithm_v7)    \
  F(cudnnGetConvolutionBackwardFilterAlgorithm_v7)  \
  F(cudnnGetConvolutionForwardWorkspaceSize)        \
  F(cudnnGetConvolutionBackwardDataWorkspaceSize)   \
  F(cudnnGetConvolutionBackwardFilterWorkspaceSize) \
  F(cudnnConvolutionForward)                        \
  F(cudnnConvolutionBackwardData)                   \
  F(cudnnConvolutionBackwardFilter)

#define DOPPEL_CUBLASLT_FUNCTIONS(F)      \
  F(cublasLtGetVersion)                   \
  F(cublasLtCreate)                       \
  F(cublasLtGetStatusString)              \
  F(cublasLtMatmulDescCreate)             \
  F(cublasLtMatmulDescSetAttribute)       \
  F(cublasLtMatrixLayoutCreate)           \
  F(cublasLtMatmulPreferenceCreate)       \
  F(cublasLtMatmulPreferenceSetAttribute) \
  F(cublasLtMatmulPreferenceDestroy)      \
  F(cublasLtMatmulAlgoGetHeuristic)       \
  F(cublasLtMatmul)

namespace doppel::vendor {

#define DOPPEL_MEMBER(name) decltype(&::name) name;
struct Cudnn {
  DOPPEL_CUDNN_FUNCTIONS(DOPPEL_MEMBER)
};
struct CublasLt {
  DOPPEL_CUBLASLT_FUNCTIONS(DOPPEL_MEMBER)
};
#undef DOPPEL_MEMBER

// Of a product, so many algorithms can be chosen.
constexpr int kMostAlgorithms = 4;

// Opened by the first call; std::runtime_error says what is missing.
const Cudnn& cudnn();
const CublasLt& cublaslt();

// Of this OS thread and the card that is current when it first asks. They live as long as the program: when threads and
// programs end, the driver may be gone before them.
cudnnHandle_t cudnn_handle(Stream stream);
cublasLtHandle_t cublaslt_handle();

// Throw DeviceError (kernels/device_error.h) when the card has failed, which the libraries report as a failure of their
// own, and std::runtime_error when it is theirs: both with what was to be done, the call and its place.
struct CallPlace {
  const char *what, *call, *file;
  int line;
};
void check(cudnnStatus_t status, const CallPlace& place);
void check(cublasStatus_t status, const CallPlace& place);
void check(cudaError_t status, const CallPlace& place);

#define DOPPEL_CHECK_LIBRARY(call, what) \
  ::doppel::vendor::check((call), ::doppel::vendor::CallPlace{what, #call, __FILE__, __LINE__})

inline cudaStream_t cuda_stream(Stream stream) {
  return static_cast<cudaStream_t>(stream.handle);
}

// Hands out parts of a workspace one after another, aligned as the libraries like it. With a null base it only counts.
class Parts {
 public:
  explicit Parts(void* base) : base_(static_cast<unsigned char*>(base)) {}
  void* take(size_t bytes) {
    void* part = base_ ? base_ + used_ : nullptr;
    used_ += (bytes + 255) / 256 * 256;
    return part;
  }
  size_t used() const { return used_; }

 private:
  unsigned char* base_;
  size_t used_ = 0;
};

}  // namespace doppel::vendor

#endif
