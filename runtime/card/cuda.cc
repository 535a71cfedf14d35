// The CUDA runtime behind runtime/card/card.h.
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "kernels/device_error.h"
#include "runtime/buffer.h"
#include "runtime/card/card.h"
#include "runtime/error.h"

namespace doppel::card {
namespace {

// The oldest architecture that the kernels are compiled for (cmake/Kernels.cmake).
constexpr int kOldest = 80;

// The card that use() named; -1: none yet, and CUDA's own choice holds.
std::atomic<int> chosen{-1};

// The pool that cudaMallocAsync takes from; null where the driver has none (cudaDevAttrMemoryPoolsSupported), and on a
// card that has failed.
cudaMemPool_t pool_of_card() {
  int index = chosen, supported = 0;
  cudaMemPool_t pool = nullptr;
  if (index < 0 && cudaGetDevice(&index) != cudaSuccess) return nullptr;
  if (cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, index) != cudaSuccess || !supported)
    return nullptr;
  return cudaDeviceGetDefaultMemPool(&pool, index) == cudaSuccess ? pool : nullptr;
}

// What CUDA calls free, and what our pool holds of what is not. 0 when nobody can say: this serves error texts.
size_t free_or_ours() {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  uint64_t reserved = 0, used = 0;
  const cudaMemPool_t pool = pool_of_card();
  if (pool && cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved) == cudaSuccess &&
      cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used) == cudaSuccess)
    free += reserved - used;
  return free;
}

void check(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or a later call would report this one again
  const std::string text = failure_text(cudaGetErrorString(status), expression, file, line);
  // Also of calls that allocate behind our back: a stream, a graph, a kernel's code.
  if (status == cudaErrorMemoryAllocation)
    throw OutOfMemory(text + "; " + std::to_string(free_or_ours() >> 20) +
                      " MiB of the card are free; use a smaller --batch (doppel plan shows what a run needs), or close "
                      "what else uses the card");
  throw DeviceError(text);
}

#define CHECK_CUDA(expression) check((expression), #expression, __FILE__, __LINE__)

// What destructors call. There is no error that somebody could act upon: what is given back is ours to give, so that an
// error here is that of earlier work, which every call reports once a kernel or the card has failed. Whoever waits for
// that work is told; the memory has gone with the card's context. The call returns at once then, and does not hang.
void give_back(cudaError_t status) {
  if (status != cudaSuccess) cudaGetLastError();
}

// Makes the process's card that of this thread.
void enter() {
  static thread_local int current = -1;
  const int index = chosen.load(std::memory_order_relaxed);
  if (index == current) return;
  CHECK_CUDA(cudaSetDevice(index));
  current = index;
}

cudaStream_t stream_of(void* handle) {
  return static_cast<cudaStream_t>(handle);
}
cudaEvent_t event_of(void* handle) {
  return static_cast<cudaEvent_t>(handle);
}

// Of page-locked memory the stream copies while the host goes on. Of other memory CUDA does not promise that it has let
// go of it when the call returns, so it is waited for; nothing that is in a hurry copies so.
void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, void* stream) {
  enter();
  cudaPointerAttributes host{};
  CHECK_CUDA(cudaPointerGetAttributes(&host, kind == cudaMemcpyHostToDevice ? from : to));
  CHECK_CUDA(cudaMemcpyAsync(to, from, bytes, kind, stream_of(stream)));
  if (host.type == cudaMemoryTypeUnregistered) CHECK_CUDA(cudaStreamSynchronize(stream_of(stream)));
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
  chosen = index;
  enter();
  // What is given back to the pool stays the process's, so that what it has once had it need not fear to lose. The
  // default threshold is 0: the pool shrinks whenever somebody waits.
  uint64_t threshold = UINT64_MAX;
  if (const cudaMemPool_t pool = pool_of_card())
    CHECK_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
}

std::string name() {
  enter();
  int index = 0;
  cudaDeviceProp properties{};
  CHECK_CUDA(cudaGetDevice(&index));
  CHECK_CUDA(cudaGetDeviceProperties(&properties, index));
  return properties.name;
}

size_t free_memory() {
  enter();
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return free_or_ours();
}

size_t total_memory() {
  enter();
  size_t free = 0, total = 0;
  CHECK_CUDA(cudaMemGetInfo(&free, &total));
  return total;
}

// Memory of a stream comes from the pool and is ordered in that stream at both ends. Memory of no stream is
// cudaMalloc's and not the pool's, because cudaFree waits by itself for whatever may still use it (that of a pool it
// would not), and because it may be called while another thread records a graph, when cudaDeviceSynchronize is
// forbidden: recording is cudaStreamCaptureModeThreadLocal, which restricts the recording thread alone. In that thread
// a pool's allocation would become part of the graph and its address worthless outside, hence the check.
void* allocate(size_t bytes, void* stream, bool zeroed) {
  enter();
  cudaStreamCaptureStatus recording = cudaStreamCaptureStatusNone;
  if (stream) CHECK_CUDA(cudaStreamIsCapturing(stream_of(stream), &recording));
  if (recording != cudaStreamCaptureStatusNone)
    throw std::logic_error("memory is allocated in a stream while a graph is recorded from it");
  const cudaMemPool_t pool = pool_of_card();
  const bool ordered = stream && pool;
  void* memory = nullptr;
  const auto attempt = [&] {
    return ordered ? cudaMallocAsync(&memory, bytes, stream_of(stream)) : cudaMalloc(&memory, bytes);
  };
  cudaError_t status = attempt();
  if (status == cudaErrorMemoryAllocation && pool) {
    // The pool may hold what would do, in pieces, or of what other calls have given back and the stream not yet
    // reached.
    cudaGetLastError();
    if (stream) CHECK_CUDA(cudaStreamSynchronize(stream_of(stream)));
    CHECK_CUDA(cudaMemPoolTrimTo(pool, 0));
    status = attempt();
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(bytes, "of the card", free_or_ours());
  }
  check(status, ordered ? "cudaMallocAsync(&memory, bytes, stream)" : "cudaMalloc(&memory, bytes)", __FILE__, __LINE__);
  if (!zeroed) return memory;
  try {
    CHECK_CUDA(cudaMemsetAsync(memory, 0, bytes, stream_of(stream)));
    // Our streams do not wait for the default one, in which memory of no stream is zeroed.
    if (!stream) CHECK_CUDA(cudaStreamSynchronize(nullptr));
  } catch (...) {
    release(memory, stream);
    throw;
  }
  return memory;
}

void release(void* memory, void* stream) noexcept {
  give_back(stream && pool_of_card() ? cudaFreeAsync(memory, stream_of(stream)) : cudaFree(memory));
}

void* allocate_pinned(size_t bytes) {
  enter();
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(bytes, "of page-locked host memory", available_memory());
  }
  check(status, "cudaMallocHost(&memory, bytes)", __FILE__, __LINE__);
  std::memset(memory, 0, bytes);
  return memory;
}

void release_pinned(void* memory) noexcept {
  give_back(cudaFreeHost(memory));
}

void* new_stream() {
  enter();
  cudaStream_t stream = nullptr;
  CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

void delete_stream(void* stream) noexcept {
  give_back(cudaStreamDestroy(stream_of(stream)));
}

void wait_for_stream(void* stream) {
  enter();
  CHECK_CUDA(cudaStreamSynchronize(stream_of(stream)));
}

void* new_event() {
  enter();
  cudaEvent_t event = nullptr;
  // Who waits for it sleeps: previews and files want the core.
  CHECK_CUDA(cudaEventCreateWithFlags(&event, cudaEventBlockingSync));
  return event;
}

void delete_event(void* event) noexcept {
  give_back(cudaEventDestroy(event_of(event)));
}

void record(void* event, void* stream) {
  enter();
  CHECK_CUDA(cudaEventRecord(event_of(event), stream_of(stream)));
}

void wait_for_event(void* event) {
  enter();
  CHECK_CUDA(cudaEventSynchronize(event_of(event)));
}

void order(void* stream, void* event) {
  enter();
  CHECK_CUDA(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0));
}

double seconds_between(void* start, void* end) {
  float milliseconds = 0;
  wait_for_event(end);
  CHECK_CUDA(cudaEventElapsedTime(&milliseconds, event_of(start), event_of(end)));
  return double(milliseconds) * 1e-3;
}

void upload(void* to, const void* from, size_t bytes, void* stream) {
  copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
}

void download(void* to, const void* from, size_t bytes, void* stream) {
  copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
}

void begin_recording(void* stream) {
  enter();
  CHECK_CUDA(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal));
}

void* end_recording(void* stream) {
  enter();
  cudaGraph_t recorded = nullptr;
  CHECK_CUDA(cudaStreamEndCapture(stream_of(stream), &recorded));
  cudaGraphExec_t graph = nullptr;
  const cudaError_t status = cudaGraphInstantiateWithFlags(&graph, recorded, 0);
  give_back(cudaGraphDestroy(recorded));
  check(status, "cudaGraphInstantiateWithFlags(&graph, recorded, 0)", __FILE__, __LINE__);
  return graph;
}

void abandon_recording(void* stream) noexcept {
  cudaGraph_t recorded = nullptr;
  // Fails when what ended the recording has invalidated it, or the card is lost: the reason is under way already.
  const cudaError_t status = cudaStreamEndCapture(stream_of(stream), &recorded);
  give_back(status == cudaSuccess && recorded ? cudaGraphDestroy(recorded) : status);
}

void launch_graph(void* graph, void* stream) {
  enter();
  CHECK_CUDA(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(stream)));
}

void delete_graph(void* graph) noexcept {
  give_back(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)));
}

}  // namespace doppel::card
