// On cards of compute capability 9.0 a kernel's blocks may start before the kernel launched before it has
// ended ("programmatic dependent launch", CUDA C++ Programming Guide): on what the last blocks of that one leave free,
// so that a kernel costs less beside its work. What they do before they wait is their own affair; memory is not:
//
//   wait_for_earlier_kernels()   the first line of every kernel, in all of its threads. Lets the blocks of the next
//                                kernel start once all of this one's have, and waits until all that was launched
//                                before is over and its writes are there. PTX ISA, griddepcontrol
//
// No pointer of a kernel may be __restrict__ or read by __ldg: the compiler might read before the wait. Every kernel
// must wait: one that ended without waiting would tell the next one that all before it is over. The
// checked build of the emulator holds them to it (emulator::Options::early_start). Other cards start kernels one after
// the other, and so does DOPPEL_WITHOUT=early_start in the environment (kernels/left_out.h).
#pragma once

#include "kernels/device/platform.h"

namespace doppel {

#if DOPPEL_ON_CARD

__device__ __forceinline__ void wait_for_earlier_kernels() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

#else

inline void wait_for_earlier_kernels() {
  emulator::earlier_kernels_done();
}

#endif

}  // namespace doppel
