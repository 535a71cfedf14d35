// The launch on a card; nvcc alone compiles this.
#include "kernels/device/launch.h"

#include <algorithm>
#include <string>

#include "kernels/device/device_value.h"
#include "kernels/device_error.h"
#include "kernels/left_out.h"

namespace doppel {
namespace {

void check(cudaError_t error, const char* expression, int line, const char* kernel = nullptr) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // or a later call would report this one again
  throw DeviceError(failure_text(cudaGetErrorString(error),
                                 kernel ? expression + std::string(" of kernel ") + kernel : expression, __FILE__,
                                 line));
}

#define CHECK_CUDA(expression) check((expression), #expression, __LINE__)

cudaStream_t stream_of(Stream stream) {
  return static_cast<cudaStream_t>(stream.handle);
}

int attribute_here(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  CHECK_CUDA(cudaGetDevice(&device));
  CHECK_CUDA(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}

// Whether the kernel may start before earlier ones have ended: the card can, and the code that runs on it, which may be
// of an older architecture, waits (kernels/device/early_start.h). Not on cards after 9.x, where recording a graph of
// such launches is said to fail (sgl-project/sglang, pull request 18596) and nobody has tried ours.
bool starts_early(const cudaFuncAttributes& kernel) {
  return on_cuda::device_sm() / 10 == 9 && kernel.ptxVersion >= 90 && !left_out("early_start");
}

// Whether the driver has stream-ordered memory: some virtual cards have none.
bool has_pool() {
  static thread_local const bool has = attribute_here(cudaDevAttrMemoryPoolsSupported) != 0;
  return has;
}

}  // namespace

int on_cuda::device_sm() {
  static thread_local const int sm =
      10 * attribute_here(cudaDevAttrComputeCapabilityMajor) + attribute_here(cudaDevAttrComputeCapabilityMinor);
  return sm;
}

int on_cuda::multiprocessors() {
  static thread_local const int count = attribute_here(cudaDevAttrMultiProcessorCount);
  return count;
}

void launch_on_card(const char* name, const void* kernel, const Geometry& g, void** arguments, Stream stream) {
  const LaunchLimits& a = launch_limits(on_cuda::device_sm());
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes", __LINE__, name);
  const std::string problem = launch_problem({{g.grid.x, g.grid.y, g.grid.z},
                                              {g.block.x, g.block.y, g.block.z},
                                              g.shared + attributes.sharedSizeBytes,
                                              attributes.maxThreadsPerBlock,
                                              g.cluster},
                                             a);
  if (!problem.empty()) throw LaunchError("launch: kernel " + std::string(name) + ": " + problem);
  // What is more than 48 KB with the static arrays must be asked for, and so must more than was asked for before. Never
  // lowered: another thread may be about to launch the same kernel with more.
  const size_t allowed = size_t(attributes.maxDynamicSharedSizeBytes);
  if (g.shared > 0 && (g.shared > allowed || g.shared + attributes.sharedSizeBytes > a.shared_static))
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(std::max(g.shared, allowed))),
          "cudaFuncSetAttribute", __LINE__, name);
  cudaLaunchAttribute given[2]{};
  unsigned count = 0;
  if (starts_early(attributes)) {
    cudaLaunchAttribute& early = given[count++];
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
  }
  if (g.cluster > 1) {
    cudaLaunchAttribute& cluster = given[count++];
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = unsigned(g.cluster);
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  }
  cudaLaunchConfig_t config{};
  config.gridDim = g.grid;
  config.blockDim = g.block;
  config.dynamicSmemBytes = g.shared;
  config.stream = stream_of(stream);
  config.attrs = given;
  config.numAttrs = count;
  check(cudaLaunchKernelExC(&config, kernel, arguments), "cudaLaunchKernelExC", __LINE__, name);
}

void* device_value_new(const void* value, size_t bytes, Stream stream) {
  void* pointer = nullptr;
  if (has_pool())
    CHECK_CUDA(cudaMallocAsync(&pointer, bytes, stream_of(stream)));
  else
    CHECK_CUDA(cudaMalloc(&pointer, bytes));
  cudaError_t copied = cudaMemcpyAsync(pointer, value, bytes, cudaMemcpyHostToDevice, stream_of(stream));
  // The value is the caller's, and on its stack.
  if (copied == cudaSuccess) copied = cudaStreamSynchronize(stream_of(stream));
  if (copied != cudaSuccess) device_value_delete(pointer, stream);
  check(copied, "cudaMemcpyAsync(pointer, value, ..)", __LINE__);
  return pointer;
}

void device_value_get(void* value, const void* pointer, size_t bytes, Stream stream) {
  CHECK_CUDA(cudaMemcpyAsync(value, pointer, bytes, cudaMemcpyDeviceToHost, stream_of(stream)));
  CHECK_CUDA(cudaStreamSynchronize(stream_of(stream)));
}

void device_value_delete(void* pointer, Stream stream) {
  // A destructor calls this; an error here is that of earlier work, which whoever waits for that work is told of.
  const cudaError_t status = has_pool() ? cudaFreeAsync(pointer, stream_of(stream)) : cudaFree(pointer);
  if (status != cudaSuccess) cudaGetLastError();
}

}  // namespace doppel
