// What the engine asks of the CUDA runtime, in plain types: cuda*.cc where nvcc was found, else none.cc, where there
// never is a card. Used by runtime/device.h and runtime/buffer.h only. Every failure is a DeviceError
// (kernels/device_error.h), or OutOfMemory, that names the call, the file and the line.
//
// The process uses one card. CUDA's "current device" is a thread's own and starts as card 0; each function here makes
// the process's card that of its thread, so that host threads need not know of it. A thread that launches kernels has
// called one of these before.
#pragma once

#include <cstddef>
#include <string>

namespace doppel::card {

// Whether this build has the CUDA kernels.
bool built();
// Cards that the driver shows; 0 without a driver.
int count();
// "" when card `index` can be used, else what is missing and what to do about it.
std::string problem(int index);
// Makes it the card of the process. Once, before everything below.
void use(int index);
std::string name();
// Free on the card, and what we hold of it without using it.
size_t free_memory();
size_t total_memory();

// Zeroed, unless that is not wanted. Of a stream: in the order of the stream, nothing is waited for; not while a graph
// is recorded from it. Of none (null): there for every stream when this returns. Throws OutOfMemory when there is not
// so much.
void* allocate(size_t bytes, void* stream, bool zeroed);
// With the stream of its allocation. Of none: waits for the card.
void release(void* memory, void* stream) noexcept;
// Page-locked memory of the host, zeroed: copies from and to it run beside the host.
void* allocate_pinned(size_t bytes);
void release_pinned(void* memory) noexcept;

// A stream that does not wait for the default one.
void* new_stream();
void delete_stream(void* stream) noexcept;
void wait_for_stream(void* stream);

void* new_event();
void delete_event(void* event) noexcept;
void record(void* event, void* stream);
void wait_for_event(void* event);
// What comes later in `stream` waits for the event; the host does not.
void order(void* stream, void* event);
// Both recorded; waits for `end`.
double seconds_between(void* start, void* end);

void upload(void* to, const void* from, size_t bytes, void* stream);
void download(void* to, const void* from, size_t bytes, void* stream);

// What this thread puts into the stream from here on is recorded and not done, until it is ended or abandoned.
void begin_recording(void* stream);
// The recorded work as one graph, ready to be launched.
void* end_recording(void* stream);
void abandon_recording(void* stream) noexcept;
void launch_graph(void* graph, void* stream);
void delete_graph(void* graph) noexcept;

}  // namespace doppel::card
