// Memory of the card and page-locked memory of the host, and the copies between them.
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "runtime/buffer.h"
#include "runtime/card/card.h"
#include "runtime/card/cuda_calls.h"
#include "runtime/error.h"

namespace doppel::card {
namespace {

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

void upload(void* to, const void* from, size_t bytes, void* stream) {
  copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
}

void download(void* to, const void* from, size_t bytes, void* stream) {
  copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
}

}  // namespace doppel::card
