// This build has no CUDA: there is no card, and nothing can be asked of one.
#include <stdexcept>

#include "runtime/card/card.h"

namespace doppel::card {
namespace {

[[noreturn]] void no_card() {
  throw std::logic_error("this build of doppel has no CUDA");
}

}  // namespace

bool built() {
  return false;
}
int count() {
  return 0;
}
std::string problem(int) {
  return "this build of doppel has no CUDA; build it where nvcc is installed, or use --device cpu";
}
void use(int) {
  no_card();
}
std::string name() {
  no_card();
}
size_t free_memory() {
  no_card();
}
size_t total_memory() {
  no_card();
}
void* allocate(size_t, void*, bool) {
  no_card();
}
void release(void*, void*) noexcept {}
void* allocate_pinned(size_t) {
  no_card();
}
void release_pinned(void*) noexcept {}
void* new_stream() {
  no_card();
}
void delete_stream(void*) noexcept {}
void wait_for_stream(void*) {
  no_card();
}
void* new_event() {
  no_card();
}
void delete_event(void*) noexcept {}
void record(void*, void*) {
  no_card();
}
void wait_for_event(void*) {
  no_card();
}
void order(void*, void*) {
  no_card();
}
double seconds_between(void*, void*) {
  no_card();
}
void upload(void*, const void*, size_t, void*) {
  no_card();
}
void download(void*, const void*, size_t, void*) {
  no_card();
}
void begin_recording(void*) {
  no_card();
}
void* end_recording(void*) {
  no_card();
}
void abandon_recording(void*) noexcept {}
void launch_graph(void*, void*) {
  no_card();
}
void delete_graph(void*) noexcept {}

}  // namespace doppel::card
