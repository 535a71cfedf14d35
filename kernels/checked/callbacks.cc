// What the compiler calls in the checked build. Kernel sources are compiled with -fsanitize=thread and
// -fsanitize=bounds,alignment, but linked with neither runtime: here are the functions that those would provide, as far
// as kernels need them. Every load and store of a kernel calls one first, with its address; __builtin_return_address
// tells which line it was. Names and signatures are those of LLVM's compiler-rt (tsan_interface.h, ubsan_handlers.h).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/checked/checker.h"
#include "kernels/checked/location.h"

using namespace doppel::emulator;

namespace {

void access(void* address, size_t bytes, Access kind, void* return_address) {
  // Outside kernels (launchers, inlined functions that other code shares) there is nothing to check.
  if (Block* block = running_block(); block && !block->reporting())
    shadow_checker().check(*block, address, bytes, kind, place_of(return_address));
}

// ubsan_handlers.h
struct SourceLocation {
  const char* file;
  uint32_t line, column;
};
struct TypeDescriptor {
  uint16_t kind, info;
  char name[1];
};
struct OutOfBoundsData {
  SourceLocation where;
  TypeDescriptor *array, *index;
};
struct TypeMismatchData {
  SourceLocation where;
  TypeDescriptor* type;
  unsigned char log_alignment, kind;
};

void fail(Defect defect, const SourceLocation& where, const char* text) {
  Block* block = running_block();
  const char* slash = std::strrchr(where.file, '/');
  char full[512];
  std::snprintf(full, sizeof(full), "%s at %s:%u", text, slash ? slash + 1 : where.file, where.line);
  if (block) block->fail(defect, block->place(block->current().number) + full);
  std::fprintf(stderr, "doppel: %s: %s, in a launcher\n", name_of(defect), full);
  std::abort();
}

}  // namespace

extern "C" {

#define DOPPEL_CALLBACKS(size)                                   \
  void __tsan_read##size(void* p) {                              \
    access(p, size, Access::read, __builtin_return_address(0));  \
  }                                                              \
  void __tsan_write##size(void* p) {                             \
    access(p, size, Access::write, __builtin_return_address(0)); \
  }                                                              \
  void __tsan_unaligned_read##size(void* p) {                    \
    access(p, size, Access::read, __builtin_return_address(0));  \
  }                                                              \
  void __tsan_unaligned_write##size(void* p) {                   \
    access(p, size, Access::write, __builtin_return_address(0)); \
  }                                                              \
  void __tsan_volatile_read##size(void* p) {                     \
    access(p, size, Access::read, __builtin_return_address(0));  \
  }                                                              \
  void __tsan_volatile_write##size(void* p) {                    \
    access(p, size, Access::write, __builtin_return_address(0)); \
  }
DOPPEL_CALLBACKS(1)
DOPPEL_CALLBACKS(2)
DOPPEL_CALLBACKS(4)
DOPPEL_CALLBACKS(8)
DOPPEL_CALLBACKS(16)
#undef DOPPEL_CALLBACKS

void __tsan_read_range(void* p, size_t bytes) {
  access(p, bytes, Access::read, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t bytes) {
  access(p, bytes, Access::write, __builtin_return_address(0));
}
void __tsan_vptr_update(void** p, void*) {
  access(p, sizeof(void*), Access::write, __builtin_return_address(0));
}
void __tsan_vptr_read(void** p) {
  access(p, sizeof(void*), Access::read, __builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

void __ubsan_handle_out_of_bounds(OutOfBoundsData* data, uintptr_t index) {
  char text[256];
  std::snprintf(text, sizeof(text), "uses index %lld of %s", static_cast<long long>(index), data->array->name);
  fail(Defect::out_of_bounds, data->where, text);
}
void __ubsan_handle_type_mismatch_v1(TypeMismatchData* data, uintptr_t address) {
  char text[256];
  std::snprintf(text, sizeof(text), "uses a %s at an address that is no multiple of %d", data->type->name,
                1 << data->log_alignment);
  (void)address;
  fail(Defect::misaligned, data->where, text);
}

}  // extern "C"

namespace doppel::emulator {

// The built-in indices, out of line (kernels/emulator/thread.h).
uint3 thread_index() {
  return running_block()->current().thread;
}
uint3 block_index() {
  return running_block()->block;
}
dim3 block_dim() {
  return running_block()->block_dim;
}
dim3 grid_dim() {
  return running_block()->grid_dim;
}

}  // namespace doppel::emulator
