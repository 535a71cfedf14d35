#include "kernels/vendor/library.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

#include "kernels/device_error.h"
#include "kernels/vendor.h"

#define DOPPEL_TEXT_OF(x) #x
#define DOPPEL_TEXT(x) DOPPEL_TEXT_OF(x)

namespace doppel {
namespace vendor {
namespace {

// Of the major version that the headers belong to: another one may have other structures.
constexpr const char* kCudnn = "libcudnn.so." DOPPEL_TEXT(CUDNN_MAJOR);
constexpr const char* kCublasLt = "libcublasLt.so." DOPPEL_TEXT(CUBLAS_VER_MAJOR);

void* open(const char* library) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw std::runtime_error(std::string(library) + " cannot be opened: " + dlerror());
  return handle;
}

template <typename F>
void find(F& function, void* handle, const char* library, const char* name) {
  function = reinterpret_cast<F>(dlsym(handle, name));
  if (!function) throw std::runtime_error(std::string(library) + " has no " + name);
}

Cudnn load_cudnn() {
  void* handle = open(kCudnn);
  Cudnn c;
#define DOPPEL_FIND(name) find(c.name, handle, kCudnn, #name);
  DOPPEL_CUDNN_FUNCTIONS(DOPPEL_FIND)
#undef DOPPEL_FIND
  return c;
}

CublasLt load_cublaslt() {
  void* handle = open(kCublasLt);
  CublasLt c;
#define DOPPEL_FIND(name) find(c.name, handle, kCublasLt, #name);
  DOPPEL_CUBLASLT_FUNCTIONS(DOPPEL_FIND)
#undef DOPPEL_FIND
  return c;
}

[[noreturn]] void fail(const CallPlace& place, const char* why) {
  // Of the call its name: the arguments fill lines.
  std::string call = place.call;
  const size_t member = call.find(").");  // "cudnn().cudnnCreate(&made)", or "cudaMemsetAsync(..)"
  const size_t open = call.find('(', member == std::string::npos ? 0 : member);
  if (open != std::string::npos) call.resize(open);
  // An error that is still there when it has been taken is the card's, and every later call will report it.
  cudaGetLastError();
  const cudaError_t lost = cudaGetLastError();
  const std::string text =
      failure_text(std::string(place.what) + ": " + (lost == cudaSuccess ? why : cudaGetErrorString(lost)), call,
                   place.file, place.line);
  if (lost != cudaSuccess) throw DeviceError(text);
  throw std::runtime_error(text);
}

}  // namespace

const Cudnn& cudnn() {
  static const Cudnn c = load_cudnn();
  return c;
}

const CublasLt& cublaslt() {
  static const CublasLt c = load_cublaslt();
  return c;
}

cudnnHandle_t cudnn_handle(Stream stream) {
  thread_local const cudnnHandle_t handle = [] {
    cudnnHandle_t made = nullptr;
    DOPPEL_CHECK_LIBRARY(cudnn().cudnnCreate(&made), "starting cuDNN");
    return made;
  }();
  DOPPEL_CHECK_LIBRARY(cudnn().cudnnSetStream(handle, cuda_stream(stream)), "giving cuDNN a stream");
  return handle;
}

cublasLtHandle_t cublaslt_handle() {
  thread_local const cublasLtHandle_t handle = [] {
    cublasLtHandle_t made = nullptr;
    DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtCreate(&made), "starting cuBLASLt");
    return made;
  }();
  return handle;
}

void check(cudnnStatus_t status, const CallPlace& place) {
  if (status != CUDNN_STATUS_SUCCESS) fail(place, cudnn().cudnnGetErrorString(status));
}
void check(cublasStatus_t status, const CallPlace& place) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(place, cublaslt().cublasLtGetStatusString(status));
}
void check(cudaError_t status, const CallPlace& place) {
  if (status != cudaSuccess) fail(place, cudaGetErrorString(status));
}

}  // namespace vendor

const VendorLibraries& vendor_libraries() {
  // What `start` says of a library, which it opens, and gives a handle of.
  const auto found = [](const auto& start) -> VendorLibraries::One {
    try {
      int cards = 0;
      DOPPEL_CHECK_LIBRARY(cudaGetDeviceCount(&cards), "looking for a card");
      if (cards == 0) return {"", "there is no card"};
      return {start(), ""};
    } catch (const std::exception& e) {
      return {"", e.what()};
    }
  };
  static const VendorLibraries libraries{found([] {
                                           vendor::cudnn_handle({Device::cuda, nullptr});
                                           return "cuDNN " + std::to_string(vendor::cudnn().cudnnGetVersion());
                                         }),
                                         found([] {
                                           vendor::cublaslt_handle();
                                           return "cuBLASLt " + std::to_string(vendor::cublaslt().cublasLtGetVersion());
                                         })};
  return libraries;
}

}  // namespace doppel
