// Products of warpgroups ("wgmma", sm_90a): four warps, 128 threads from a multiple of 128 on, issue together a product
// that reads both operands from shared memory by itself and goes on while they do something else.
//
//   d [64, N] (+)= a [64, 16] b [16, N], bf16 operands, fp32 sums; N is 128 or 256 here
//
//   float d[N / 2];                     // per thread, compile-time indices only. With g = lane / 4, t = lane % 4:
//                                       // d[4 j + 2 h + e] is row 16 (warp % 4) + g + 8 h, column 8 j + 2 t + e
//   wgmma_fence(d);                     // before the first, and after d was touched: orders registers
//   wgmma<AAcross, BAcross>(d, descriptor(a), descriptor(b), accumulate);  // issues; not `accumulate`: d = a b
//   wgmma_commit();                     // what was issued since the last commit is one group
//   wgmma_wait<Groups>(d);              // until at most the Groups youngest groups go on; then the others' d may be
//                                       // read, and their operands overwritten
//
// Operands are tiles of rows of 128 bytes in the 128-byte swizzle (kernels/device/tma.h), 8 rows a pattern of 1024
// bytes that begins at a multiple of 1024. Memory runs along the sum ("K-major": a row is 64 terms of one row of a or
// column of b) or, with AAcross or BAcross, across it ("MN-major": a row is 64 rows of a, or columns of b, at one
// term):
//
//   along    wgmma_along(tile + 32 * i)            terms 16 i .. of the 64; rows 8 further are 1024 bytes further
//   across   wgmma_across(tile + 2048 * i, next)   terms 16 i ..; 8 terms are 1024 bytes; the next 64 rows or columns
//                                                  are `next` bytes further
//
// Whoever wrote the operands with ordinary stores needs fence_proxy_async() and a barrier before the product; bulk
// copies that were waited for at their mbarrier need nothing.
//
//   registers_decrease<N>(), registers_increase<N>()   all threads of a warpgroup have N registers from here on, a
//                                                      multiple of 8: gives what it had more back to the block, or
//                                                      waits until others have given back what it lacks. A block has
//                                                      what its threads begin with (registers_per_thread)
//
// PTX ISA 9.7.15: wgmma.mma_async, wgmma.fence, wgmma.commit_group, wgmma.wait_group, 9.7.15.5.1 on the layouts of
// shared memory; 9.7.19.5 setmaxnreg. Code that was not compiled for sm_90a traps.
#pragma once

#include "kernels/device/mbarrier.h"

namespace doppel {

// The first multiple of 1024 from `bytes` on.
__device__ __forceinline__ unsigned char* wgmma_aligned(unsigned char* bytes) {
  return bytes + (0u - shared_address(bytes)) % 1024;
}

// A matrix descriptor, all distances and the address in units of 16 bytes: bits 0-13 the address, 16-29 the distance of
// 64 rows across the sum ("leading"), 32-45 that of 8 rows of memory ("stride"), 62-63 the swizzle, 1 for 128 bytes.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* tile, uint32_t leading) {
  constexpr uint64_t kStride = 1024 / 16, kSwizzle = 1;
  return uint64_t((shared_address(tile) & 0x3FFFF) >> 4) | uint64_t(leading >> 4) << 16 | kStride << 32 |
         kSwizzle << 62;
}
__device__ __forceinline__ uint64_t wgmma_along(const void* tile) {
  return wgmma_descriptor(tile, 16);  // not used, by convention 1
}
__device__ __forceinline__ uint64_t wgmma_across(const void* tile, uint32_t next) {
  return wgmma_descriptor(tile, next);
}

#if DOPPEL_ON_CARD

// The operands of the assembler's text: 64 or 128 registers of d, and the constraints for eight of them.
#define DOPPEL_WGMMA_64                      \
  "%0, %1, %2, %3, %4, %5, %6, %7, "         \
  "%8, %9, %10, %11, %12, %13, %14, %15, "   \
  "%16, %17, %18, %19, %20, %21, %22, %23, " \
  "%24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, " \
  "%40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, " \
  "%56, %57, %58, %59, %60, %61, %62, %63"
#define DOPPEL_WGMMA_128                             \
  "%0, %1, %2, %3, %4, %5, %6, %7, "                 \
  "%8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, "         \
  "%24, %25, %26, %27, %28, %29, %30, %31, "         \
  "%32, %33, %34, %35, %36, %37, %38, %39, "         \
  "%40, %41, %42, %43, %44, %45, %46, %47, "         \
  "%48, %49, %50, %51, %52, %53, %54, %55, "         \
  "%56, %57, %58, %59, %60, %61, %62, %63, "         \
  "%64, %65, %66, %67, %68, %69, %70, %71, "         \
  "%72, %73, %74, %75, %76, %77, %78, %79, "         \
  "%80, %81, %82, %83, %84, %85, %86, %87, "         \
  "%88, %89, %90, %91, %92, %93, %94, %95, "         \
  "%96, %97, %98, %99, %100, %101, %102, %103, "     \
  "%104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, " \
  "%120, %121, %122, %123, %124, %125, %126, %127"
#define DOPPEL_D8(i)                                                                                          \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
      "+f"(d[i + 7])
#define DOPPEL_D32(i) DOPPEL_D8(i), DOPPEL_D8(i + 8), DOPPEL_D8(i + 16), DOPPEL_D8(i + 24)

template <bool AAcross, bool BAcross>
__device__ __forceinline__ void wgmma(float (&d)[64], uint64_t a, uint64_t b, bool accumulate) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{" DOPPEL_WGMMA_64 "}, %64, %65, p, 1, 1, %67, %68; }"
      : DOPPEL_D32(0), DOPPEL_D32(32)
      : "l"(a), "l"(b), "r"(int(accumulate)), "n"(int(AAcross)), "n"(int(BAcross)));
#else
  __trap();
#endif
}
template <bool AAcross, bool BAcross>
__device__ __forceinline__ void wgmma(float (&d)[128], uint64_t a, uint64_t b, bool accumulate) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %130, 0; wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
      "{" DOPPEL_WGMMA_128 "}, %128, %129, p, 1, 1, %131, %132; }"
      : DOPPEL_D32(0), DOPPEL_D32(32), DOPPEL_D32(64), DOPPEL_D32(96)
      : "l"(a), "l"(b), "r"(int(accumulate)), "n"(int(AAcross)), "n"(int(BAcross)));
#else
  __trap();
#endif
}

#undef DOPPEL_WGMMA_64
#undef DOPPEL_WGMMA_128
#undef DOPPEL_D8
#undef DOPPEL_D32

__device__ __forceinline__ void wgmma_fence() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void wgmma_commit() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  __trap();
#endif
}
template <int Groups>
__device__ __forceinline__ void wgmma_wait() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Groups) : "memory");
#else
  __trap();
#endif
}
// The compiler must have d ready before the fence, and must not take it for known before the wait: in both places it
// seems to change.
template <int Count>
__device__ __forceinline__ void wgmma_fence(float (&d)[Count]) {
#pragma unroll
  for (int i = 0; i < Count; ++i) asm volatile("" : "+f"(d[i])::"memory");
  wgmma_fence();
}
template <int Groups, int Count>
__device__ __forceinline__ void wgmma_wait(float (&d)[Count]) {
  wgmma_wait<Groups>();
#pragma unroll
  for (int i = 0; i < Count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
template <int Registers>
__device__ __forceinline__ void registers_decrease() {
  static_assert(Registers >= 24 && Registers <= 256 && Registers % 8 == 0);
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}
template <int Registers>
__device__ __forceinline__ void registers_increase() {
  static_assert(Registers >= 24 && Registers <= 256 && Registers % 8 == 0);
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
#endif
}

#else

template <bool AAcross, bool BAcross, int Count>
void wgmma(float (&d)[Count], uint64_t a, uint64_t b, bool accumulate,
           std::source_location where = std::source_location::current()) {
  static_assert(Count == 64 || Count == 128, "128 or 256 columns");
  emulator::wgmma(d, a, b, accumulate, {2 * Count, AAcross, BAcross}, where);
}
inline void wgmma_fence() {
  emulator::wgmma_fence();
}
template <int Count>
void wgmma_fence(float (&)[Count]) {
  emulator::wgmma_fence();
}
inline void wgmma_commit() {
  emulator::wgmma_commit();
}
template <int Groups>
void wgmma_wait(std::source_location where = std::source_location::current()) {
  emulator::wgmma_wait(Groups, where);
}
template <int Groups, int Count>
void wgmma_wait(float (&)[Count], std::source_location where = std::source_location::current()) {
  emulator::wgmma_wait(Groups, where);
}
template <int Registers>
void registers_decrease(std::source_location where = std::source_location::current()) {
  static_assert(Registers >= 24 && Registers <= 256 && Registers % 8 == 0);
  emulator::change_registers(Registers, false, where);
}
template <int Registers>
void registers_increase(std::source_location where = std::source_location::current()) {
  static_assert(Registers >= 24 && Registers <= 256 && Registers % 8 == 0);
  emulator::change_registers(Registers, true, where);
}

#endif

}  // namespace doppel
