// Wrong kernels whose warpgroups hand registers to each other (sm_90a).
#include "emulator/defects.h"
#include "kernels/device/device.h"
#include "kernels/device/wgmma.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// 168 registers each: 40 + 2 * 232 are theirs, 40 + 2 * 240 are not.
template <bool Right>
DOPPEL_GLOBAL((384, 1), too_many_registers, float* out, const float*) {
  if (threadIdx.x < 128)
    registers_decrease<40>();
  else
    registers_increase<Right ? 232 : 240>();  // <- too_many_registers
  out[threadIdx.x] = 0;
}

// 128 registers each. What one warpgroup lacks, the other gives back only behind a barrier at which both meet.
template <bool Right>
DOPPEL_GLOBAL((256, 2), registers_given_back_late, float* out, const float*) {
  if (Right && threadIdx.x < 128) registers_decrease<64>();
  if (Right) __syncthreads();
  if (threadIdx.x >= 128) registers_increase<192>();  // <- registers_given_back_late
  if (!Right) __syncthreads();
  if (!Right && threadIdx.x < 128) registers_decrease<64>();
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((384, 1), registers_of_three_warps, float* out, const float*) {
  if (!Right && warp() == 3) return;
  if (threadIdx.x < 128) registers_decrease<40>();  // <- registers_of_three_warps
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((384, 1), registers_of_half_a_group, float* out, const float*) {
  if (Right && blockDim.x < 128) return;
  registers_decrease<40>();  // <- registers_of_half_a_group
  out[threadIdx.x] = 0;
}

// The same number, but two instructions.
template <bool Right>
DOPPEL_GLOBAL((384, 1), registers_in_branches, float* out, const float*) {
  if (Right || warp() % 2 == 0)
    registers_decrease<40>();
  else
    registers_decrease<40>();  // <- registers_in_branches
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((384, 1), increase_to_fewer, float* out, const float*) {
  if (Right)
    registers_decrease<160>();
  else
    registers_increase<160>();  // <- increase_to_fewer
  out[threadIdx.x] = 0;
}

template <bool Right>
DOPPEL_GLOBAL((384, 1), decrease_to_more, float* out, const float*) {
  if (threadIdx.x < 256) registers_decrease<40>();
  if (threadIdx.x < 256) return;
  if (Right)
    registers_increase<176>();
  else
    registers_decrease<176>();  // <- decrease_to_more
  out[threadIdx.x] = 0;
}

}  // namespace

std::vector<Planted> planted_registers() {
  return {
      DOPPEL_PLANT(too_many_registers, Defect::deadlock, false, 1, 384, 0),
      DOPPEL_PLANT(registers_given_back_late, Defect::deadlock, false, 1, 256, 0),
      DOPPEL_PLANT(registers_of_three_warps, Defect::deadlock, false, 1, 128, 0),
      DOPPEL_PLANT(registers_of_half_a_group, Defect::divergent_barrier, false, 1, 64, 0),
      DOPPEL_PLANT(registers_in_branches, Defect::divergent_barrier, false, 1, 128, 0),
      DOPPEL_PLANT(increase_to_fewer, Defect::bad_registers, false, 1, 128, 0),
      DOPPEL_PLANT(decrease_to_more, Defect::bad_registers, false, 1, 384, 0),
  };
}

}  // namespace doppel::testing
