// The launch on a card; nvcc alone compiles this.
#include "kernels/device/launch.h"

#include <string>

#include "kernels/device/device_value.h"

namespace doppel {
namespace {

void check(cudaError_t error, const char* what, const char* name) {
  if (error == cudaSuccess) return;
  throw LaunchError(std::string(what) + " of " + name + ": " + cudaGetErrorString(error));
}

cudaStream_t stream_of(Stream stream) {
  return static_cast<cudaStream_t>(stream.handle);
}

int attribute_here(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), "finding the card", "launches");
  check(cudaDeviceGetAttribute(&value, attribute, device), "asking for an attribute", "the card");
  return value;
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
  const Architecture& a = architecture(on_cuda::device_sm());
  const std::string problem =
      launch_problem({{g.grid.x, g.grid.y, g.grid.z}, {g.block.x, g.block.y, g.block.z}, g.shared}, a);
  if (!problem.empty()) throw LaunchError("launch: kernel " + std::string(name) + ": " + problem);
  if (g.shared > 0)  // with the static arrays this may be more than the 48 KB that need not be asked for
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(g.shared)),
          "asking for the shared memory", name);
  check(cudaLaunchKernel(kernel, g.grid, g.block, arguments, g.shared, stream_of(stream)), "launch", name);
}

void* device_value_new(const void* value, size_t bytes, Stream stream) {
  void* pointer = nullptr;
  check(cudaMallocAsync(&pointer, bytes, stream_of(stream)), "allocation", "a value");
  check(cudaMemcpyAsync(pointer, value, bytes, cudaMemcpyHostToDevice, stream_of(stream)), "copy", "a value");
  return pointer;
}

void device_value_get(void* value, const void* pointer, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(value, pointer, bytes, cudaMemcpyDeviceToHost, stream_of(stream)), "copy", "a value");
  check(cudaStreamSynchronize(stream_of(stream)), "waiting", "a value");
}

void device_value_delete(void* pointer, Stream stream) {
  cudaFreeAsync(pointer, stream_of(stream));
}

}  // namespace doppel
