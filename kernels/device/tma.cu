// Tensor maps for a card; nvcc alone compiles this. The driver packs them; it is asked through the runtime, so that
// nothing links with it.
#include "kernels/device/tma.h"

#include <stdexcept>

#include "kernels/device_error.h"

namespace doppel::on_cuda {
namespace {

void check(cudaError_t error, const char* expression, int line) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // or a later call would report this one again
  throw DeviceError(failure_text(cudaGetErrorString(error), expression, __FILE__, line));
}

// The driver wants a current context, which the runtime makes when a thread first uses the card. One call a thread.
void need_context() {
  static thread_local bool current = false;
  if (current) return;
  // While the thread records a graph (runtime/card/cuda_streams.cc) the call is forbidden but in this mode; nothing is
  // recorded.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  check(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode", __LINE__);
  const cudaError_t error = cudaFree(nullptr);
  check(cudaThreadExchangeStreamCaptureMode(&mode), "cudaThreadExchangeStreamCaptureMode", __LINE__);
  check(error, "cudaFree(nullptr)", __LINE__);
  current = true;
}

template <typename Function>
Function driver_function(const char* name) {
  void* pointer = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION < 12050
  check(cudaGetDriverEntryPoint(name, &pointer, cudaEnableDefault, &found), "cudaGetDriverEntryPoint", __LINE__);
#else
  check(cudaGetDriverEntryPointByVersion(name, &pointer, 12000, cudaEnableDefault, &found),
        "cudaGetDriverEntryPointByVersion", __LINE__);
#endif
  if (found != cudaDriverEntryPointSuccess)
    throw LaunchError(std::string("tensor map: the driver has no ") + name + ": it must be of CUDA 12.0 or newer");
  return reinterpret_cast<Function>(pointer);
}

void check(const std::string& problem) {
  if (!problem.empty()) throw std::invalid_argument("tensor map: " + problem);
}

void check(CUresult result, const char* name) {
  if (result != CUDA_SUCCESS)
    throw LaunchError(std::string("tensor map: ") + name + " fails with error " + std::to_string(int(result)));
}

constexpr CUtensorMapDataType kType = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
constexpr CUtensorMapInterleave kPlain = CU_TENSOR_MAP_INTERLEAVE_NONE;
constexpr CUtensorMapSwizzle kSwizzle = CU_TENSOR_MAP_SWIZZLE_128B;
constexpr CUtensorMapL2promotion kFetch = CU_TENSOR_MAP_L2_PROMOTION_L2_128B;
constexpr CUtensorMapFloatOOBfill kZeros = CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;

}  // namespace

TensorMap make_tensor_map(const Tiled& t) {
  check(tensor_map_problem(t));
  need_context();
  static const auto encode = driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  const cuuint64_t sizes[] = {cuuint64_t(t.sizes[0]), cuuint64_t(t.sizes[1]), cuuint64_t(t.sizes[2]),
                              cuuint64_t(t.sizes[3])};
  const cuuint64_t strides[] = {2 * cuuint64_t(t.strides[0]), 2 * cuuint64_t(t.strides[1]),
                                2 * cuuint64_t(t.strides[2])};  // bytes
  const cuuint32_t box[] = {kTmaRow, cuuint32_t(t.rows), cuuint32_t(t.planes), 1}, steps[] = {1, 1, 1, 1};
  TensorMap m;
  check(
      encode(&m.map, kType, 4, const_cast<void*>(t.data), sizes, strides, box, steps, kPlain, kSwizzle, kFetch, kZeros),
      "cuTensorMapEncodeTiled");
  return m;
}

TensorMap make_tensor_map(const Im2col& t) {
  check(tensor_map_problem(t));
  need_context();
  static const auto encode = driver_function<decltype(&cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
  const cuuint64_t sizes[] = {cuuint64_t(t.c), cuuint64_t(t.w), cuuint64_t(t.h), cuuint64_t(t.n)};
  const cuuint64_t strides[] = {2 * cuuint64_t(t.c), 2 * cuuint64_t(t.c * t.w), 2 * cuuint64_t(t.c * t.w * t.h)};
  // Corners are given like sizes, x before y.
  const int lower[] = {t.lower_x, t.lower_y}, upper[] = {t.upper_x, t.upper_y};
  const cuuint32_t step = cuuint32_t(t.step), steps[] = {1, step, step, 1};
  TensorMap m;
  check(encode(&m.map, kType, 4, const_cast<void*>(t.data), sizes, strides, lower, upper, kTmaRow, cuuint32_t(t.pixels),
               steps, kPlain, kSwizzle, kFetch, kZeros),
        "cuTensorMapEncodeIm2col");
  return m;
}

}  // namespace doppel::on_cuda
