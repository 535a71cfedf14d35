// What a kernel source (kernels/*.cu) includes, and all that it may use of CUDA. The same source compiles twice: with
// nvcc for a card, and as plain C++ for the host emulator (kernels/emulator/). Names that CUDA has keep CUDA's names
// (threadIdx, __syncthreads, __shfl_xor_sync, atomicAdd, float4); instructions that CUDA C++ has no name
// for are functions in doppel::, each with inline PTX for nvcc and a plain C++ twin for the host.
#pragma once

#include "kernels/device/async_copy.h"
#include "kernels/device/atomic.h"
#include "kernels/device/barrier.h"
#include "kernels/device/early_start.h"
#include "kernels/device/launch.h"
#include "kernels/device/mbarrier.h"
#include "kernels/device/mma.h"
#include "kernels/device/platform.h"
#include "kernels/device/shared.h"
#include "kernels/device/vector.h"
#include "kernels/device/warp.h"
