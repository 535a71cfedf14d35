// Copies of boxes of a tensor from global to shared memory, which the hardware's copy engine ("TMA", sm_90) makes by
// itself: one thread asks, the engine finds the addresses, writes zeros for what lies outside the tensor, swizzles, and
// counts the bytes on an mbarrier. What it needs to know of the tensor is a tensor map, made on the host and given to
// the kernel by value:
//
//   __global__ void kernel(DOPPEL_GRID_CONSTANT const TensorMap map, ..)
//   tma_load(to, map, {c, j, k, l}, full[s]);                    // the box at (c, j, k, l)
//   tma_load_im2col(to, map, {c, x, y, n}, right, down, full[s]) // pixels from (x, y) of picture n on, each moved
//   tma_load_to(blocks, ..), tma_load_im2col_to(blocks, ..)      // the same to each block of the cluster whose bit is
//                                                                // set, where `to` and full[s] are in this one
//
// Tensors are bf16, and a box has 64 elements of the innermost dimension: rows of 128 bytes, which lie in `to` one
// after the other in the 128-byte swizzle, unit u of 16 bytes of the row at address a in place u ^ (a / 128 % 8). `to`
// is a multiple of 128, of 1024 where wgmma shall read it. All rows count, those outside too: rows * 128 bytes.
//
// im2col: the pixels are taken in the order of memory, every `step`-th of a bounding box in each picture, row by row
// and then picture by picture: the pixels that the first tap of a filter sees. (right, down) is the tap. So a box of
// `pixels` rows is a piece of the matrix that an implicit convolution multiplies, zeros of the padding included.
//
// PTX ISA 5.5.3 and 5.5.4 (tiled and im2col mode), 5.5.6 (swizzling), 9.7.9.27 cp.async.bulk.tensor; CUDA driver API,
// cuTensorMapEncodeTiled, cuTensorMapEncodeIm2col.
#pragma once

#include "kernels/device/launch.h"
#include "kernels/device/mbarrier.h"
#include "kernels/device/tensor_box.h"

#if DOPPEL_ON_CARD
#include <cuda.h>
#define DOPPEL_GRID_CONSTANT __grid_constant__
#else
#include "kernels/emulator/tensor_map.h"
#define DOPPEL_GRID_CONSTANT
#endif

namespace doppel::DOPPEL_BACKEND {

struct TensorMap {
#if DOPPEL_ON_CARD
  CUtensorMap map;
#else
  emulator::TensorMap map;
#endif
};

// Throw std::invalid_argument with the problem, if there is one, LaunchError when the driver makes no
// map, and DeviceError (kernels/device_error.h) when the card fails.
TensorMap make_tensor_map(const Tiled& tensor);
TensorMap make_tensor_map(const Im2col& pictures);

#if DOPPEL_ON_CARD

__device__ __forceinline__ void tma_load(void* to, const TensorMap& map, const int (&at)[4], MBarrier& b) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(b)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
      : "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void tma_load_im2col(void* to, const TensorMap& map, const int (&at)[4], int right, int down,
                                                MBarrier& b) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, "
      "%6}], [%2], {%7, %8};" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(b)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "h"(uint16_t(right)),
      "h"(uint16_t(down))
      : "memory");
#else
  __trap();
#endif
}

__device__ __forceinline__ void tma_load_to(unsigned blocks, void* to, const TensorMap& map, const int (&at)[4],
                                            MBarrier& b) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, "
      "{%3, %4, %5, %6}], [%2], %7;" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(b)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "h"(uint16_t(blocks))
      : "memory");
#else
  __trap();
#endif
}
__device__ __forceinline__ void tma_load_im2col_to(unsigned blocks, void* to, const TensorMap& map, const int (&at)[4],
                                                   int right, int down, MBarrier& b) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%3, %4, %5, %6}], [%2], {%7, %8}, %9;" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(b)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "h"(uint16_t(right)),
      "h"(uint16_t(down)), "h"(uint16_t(blocks))
      : "memory");
#else
  __trap();
#endif
}

#else

inline void tma_load(void* to, const TensorMap& map, const int (&at)[4], MBarrier& b,
                     std::source_location where = std::source_location::current()) {
  emulator::tma_load(to, map.map, at, &b, 0, where);
}
inline void tma_load_im2col(void* to, const TensorMap& map, const int (&at)[4], int right, int down, MBarrier& b,
                            std::source_location where = std::source_location::current()) {
  emulator::tma_load_im2col(to, map.map, at, right, down, &b, 0, where);
}
inline void tma_load_to(unsigned blocks, void* to, const TensorMap& map, const int (&at)[4], MBarrier& b,
                        std::source_location where = std::source_location::current()) {
  emulator::tma_load(to, map.map, at, &b, blocks, where);
}
inline void tma_load_im2col_to(unsigned blocks, void* to, const TensorMap& map, const int (&at)[4], int right, int down,
                               MBarrier& b, std::source_location where = std::source_location::current()) {
  emulator::tma_load_im2col(to, map.map, at, right, down, &b, blocks, where);
}

#endif

}  // namespace doppel::DOPPEL_BACKEND
