// Streams of the card, events in them, and graphs recorded from them.
#include "runtime/card/card.h"
#include "runtime/card/cuda_calls.h"

namespace doppel::card {

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
