// The CUDA runtime behind runtime/card/card.h.
#include <cuda_runtime_api.h>

#include <cstring>

#include "runtime/card/card.h"
#include "runtime/error.h"

namespace doppel::card {
namespace {

// The oldest architecture that the kernels are compiled for (cmake/Kernels.cmake).
constexpr int kOldest = 80;

void check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next launch would report this one
  const char* name = std::strrchr(file, '/');
  throw Error("CUDA: " + std::string(cudaGetErrorString(status)) + ": " + expression + " (" + (name ? name + 1 : file) +
              ":" + std::to_string(line) + ")");
}

#define CHECK_CUDA(expression) check((expression), #expression, __FILE__, __LINE__)

cudaStream_t stream_of(void* handle) {
  return static_cast<cudaStream_t>(handle);
}
cudaEvent_t event_of(void* handle) {
  return static_cast<cudaEvent_t>(handle);
}

[[noreturn]] void out_of_memory(size_t bytes, const std::string& where, const std::string& advice) {
  cudaGetLastError();
  throw Error("out of memory: " + std::to_string(bytes >> 20) + " MiB " + where + " could not be had; " + advice);
}

}  // namespace

bool built() {
  return true;
}

int count() {
  int cards = 0;
  if (cudaGetDeviceCount(&cards) == cudaSuccess) return cards;
  cudaGetLastError();
  return 0;
}

std::string problem(int index) {
  int cards = 0;
  const cudaError_t status = cudaGetDeviceCount(&cards);
  if (status != cudaSuccess && status != cudaErrorNoDevice) {
    cudaGetLastError();
    return "no NVIDIA driver that this build can use (" + std::string(cudaGetErrorString(status)) +
           "); install or update the driver, or use --device cpu";
  }
  if (cards == 0) return "there is no NVIDIA card here; use --device cpu";
  if (index < 0 || index >= cards)
    return "there is no card " + std::to_string(index) + ", only 0 to " + std::to_string(cards - 1) +
           "; name one of those, or use --device cpu";
  int major = 0, minor = 0;
  CHECK_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
  CHECK_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index));
  if (10 * major + minor < kOldest)
    return "card " + std::to_string(index) + " is of compute capability " + std::to_string(major) + "." +
           std::to_string(minor) + ", the kernels need 8.0; use another card, or --device cpu";
  return "";
}

void use(int index) {
  CHECK_CUDA(cudaSetDevice(index));
}

std::string name() {
  int index = 0;
  cudaDeviceProp properties{};
  CHECK_CUDA(cudaGetDevice(&index));
  CHECK_CUDA(cudaGetDeviceProperties(&properties, index));
  return properties.name;
}

size_t free_memory() {
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return free;
}

size_t total_memory() {
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return total;
}

void* allocate(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) out_of_memory(bytes, "on the card", "use a smaller --batch");
  check(status, "cudaMalloc(&memory, bytes)", __FILE__, __LINE__);
  try {
    CHECK_CUDA(cudaMemset(memory, 0, bytes));
    // Streams of ours do not wait for the default one, in which the memory was cleared.
    CHECK_CUDA(cudaStreamSynchronize(nullptr));
  } catch (...) {
    release(memory);
    throw;
  }
  return memory;
}

void release(void* memory) noexcept {
  cudaFree(memory);
}

void* allocate_pinned(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) out_of_memory(bytes, "of page-locked memory", "close other programs");
  check(status, "cudaMallocHost(&memory, bytes)", __FILE__, __LINE__);
  std::memset(memory, 0, bytes);
  return memory;
}

void release_pinned(void* memory) noexcept {
  cudaFreeHost(memory);
}

void* new_stream() {
  cudaStream_t stream = nullptr;
  CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

void delete_stream(void* stream) noexcept {
  cudaStreamDestroy(stream_of(stream));
}

void wait_for_stream(void* stream) {
  CHECK_CUDA(cudaStreamSynchronize(stream_of(stream)));
}

void* new_event() {
  cudaEvent_t event = nullptr;
  CHECK_CUDA(cudaEventCreate(&event));
  return event;
}

void delete_event(void* event) noexcept {
  cudaEventDestroy(event_of(event));
}

void record(void* event, void* stream) {
  CHECK_CUDA(cudaEventRecord(event_of(event), stream_of(stream)));
}

void wait_for_event(void* event) {
  CHECK_CUDA(cudaEventSynchronize(event_of(event)));
}

void order(void* stream, void* event) {
  CHECK_CUDA(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0));
}

double seconds_between(void* start, void* end) {
  float milliseconds = 0;
  wait_for_event(end);
  CHECK_CUDA(cudaEventElapsedTime(&milliseconds, event_of(start), event_of(end)));
  return double(milliseconds) * 1e-3;
}

void upload(void* to, const void* from, size_t bytes, void* stream) {
  CHECK_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(stream)));
}

void download(void* to, const void* from, size_t bytes, void* stream) {
  CHECK_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(stream)));
}

void begin_recording(void* stream) {
  CHECK_CUDA(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal));
}

void* end_recording(void* stream) {
  cudaGraph_t recorded = nullptr;
  CHECK_CUDA(cudaStreamEndCapture(stream_of(stream), &recorded));
  cudaGraphExec_t graph = nullptr;
  const cudaError_t status = cudaGraphInstantiateWithFlags(&graph, recorded, 0);
  cudaGraphDestroy(recorded);
  check(status, "cudaGraphInstantiateWithFlags(&graph, recorded, 0)", __FILE__, __LINE__);
  return graph;
}

void abandon_recording(void* stream) noexcept {
  cudaGraph_t recorded = nullptr;
  if (cudaStreamEndCapture(stream_of(stream), &recorded) == cudaSuccess && recorded) cudaGraphDestroy(recorded);
  cudaGetLastError();
}

void launch_graph(void* graph, void* stream) {
  CHECK_CUDA(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(stream)));
}

void delete_graph(void* graph) noexcept {
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

}  // namespace doppel::card
