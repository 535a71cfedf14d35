// Wrong kernels that reach where they may not, by an address that is no multiple, or by their launch.
#include "emulator/defects.h"
#include "kernels/device/device.h"

namespace doppel::testing {
namespace {

using emulator::Defect;

// ---- out of bounds --------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), read_past_end, float* out, const float* in) {
  const int i = int(blockIdx.x * 256 + threadIdx.x);
  out[i] = in[Right ? i : i + 1];  // <- read_past_end
}

template <bool Right>
DOPPEL_GLOBAL((256), write_past_end, float* out, const float* in) {
  const int i = int(blockIdx.x * 256 + threadIdx.x);
  if (Right ? i < Ground::kSize : i <= Ground::kSize) out[i] = 1 + 0 * in[0];  // <- write_past_end
}

template <bool Right>
DOPPEL_GLOBAL((256), vector_past_end, float* out, const float* in) {
  const int i = int(threadIdx.x) * 4 + Ground::kSize - 128 + (Right ? 0 : 4);
  const float4 v = load_vector<float4>(in + i);  // <- vector_past_end
  out[threadIdx.x] = v.x;
}

template <bool Right>
DOPPEL_GLOBAL((256), null_pointer, float* out, const float* in) {
  const float* p = Right ? in : nullptr;
  out[threadIdx.x] = p[threadIdx.x];  // <- null_pointer
}

template <bool Right>
DOPPEL_GLOBAL((256), inner_extent, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [4][32]);
  const int row = warp(), column = Right ? lane() : lane() + 1;
  tile[row][column] = in[threadIdx.x];  // <- inner_extent
  __syncthreads();
  out[threadIdx.x] = tile[row][column];
}

template <bool Right>
DOPPEL_GLOBAL((256), past_dynamic, float* out, const float* in) {
  DOPPEL_SHARED_DYNAMIC(bytes);
  float* tile = reinterpret_cast<float*>(bytes);
  tile[Right ? threadIdx.x : threadIdx.x + 1] = in[threadIdx.x];  // <- past_dynamic
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

// Through a pointer, so that no extent is known: into the gap behind the array.
template <bool Right>
DOPPEL_GLOBAL((256), past_static, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [32]);
  DOPPEL_SHARED(float, next, [32]);
  float* p = tile;
  const int i = Right ? lane() : lane() + 1;
  p[i] = in[lane()];  // <- past_static
  next[lane()] = p[i];
  out[lane()] = next[lane()];
}

template <bool Right>
DOPPEL_GLOBAL((256), local_array, float* out, const float* in) {
  float v[4] = {in[0], in[1], in[2], in[3]};
  const unsigned i = Right ? threadIdx.x % 4 : threadIdx.x % 5;
  v[i] += 1;  // <- local_array
  out[threadIdx.x] = v[0] + v[1] + v[2] + v[3];
}

// ---- misaligned vectors ---------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_load, float* out, const float* in) {
  const float4 v = load_vector<float4>(in + (Right ? 4 : 2));  // <- misaligned_load
  out[threadIdx.x] = v.x + v.w;
}

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_cast, float* out, const float* in) {
  const float2 v = *reinterpret_cast<const float2*>(in + (Right ? 2 : 1));  // <- misaligned_cast
  out[threadIdx.x] = v.x + v.y;
}

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_copy, float* out, const float* in) {
  DOPPEL_SHARED(float4, tile, [2]);
  copy_async<16>(&tile[0], in + (Right ? 4 : 1));  // <- misaligned_copy
  copy_async_commit();
  copy_async_wait<0>();
  out[0] = tile[0].x;
}

template <bool Right>
DOPPEL_GLOBAL((256), misaligned_row, float* out, const float* in) {
  DOPPEL_SHARED(float4, tile, [9]);
  if (lane() < 9) tile[lane()] = load_vector<float4>(in);
  __syncwarp();
  uint32_t r[1];
  ldmatrix<1>(r, reinterpret_cast<const float*>(&tile[lane() % 8]) + (Right ? 0 : 1));  // <- misaligned_row
  out[lane()] = float(r[0]);
}

// ---- launches -------------------------------------------------------------------------------------------------------

template <bool Right>
DOPPEL_GLOBAL((Right ? 64 : 32, 2), beyond_bounds, float* out, const float* in) {
  out[threadIdx.x] = in[threadIdx.x];
}

template <bool Right>
DOPPEL_GLOBAL((256), static_too_large, float* out, const float* in) {
  DOPPEL_SHARED(float, tile, [Right ? 12 * 1024 : 13 * 1024]);
  tile[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = tile[threadIdx.x];
}

}  // namespace

std::vector<Planted> planted_bounds() {
  return {
      DOPPEL_PLANT(read_past_end, Defect::out_of_bounds, true, 4, 256, 0),
      DOPPEL_PLANT(write_past_end, Defect::out_of_bounds, true, 5, 256, 0),
      DOPPEL_PLANT(vector_past_end, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(null_pointer, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(inner_extent, Defect::out_of_bounds, true, 1, 128, 0),
      DOPPEL_PLANT(past_dynamic, Defect::out_of_bounds, true, 1, 64, 64 * sizeof(float)),
      DOPPEL_PLANT(past_static, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(local_array, Defect::out_of_bounds, true, 1, 32, 0),
      DOPPEL_PLANT(misaligned_load, Defect::misaligned, false, 1, 1, 0),
      DOPPEL_PLANT(misaligned_cast, Defect::misaligned, true, 1, 1, 0),
      DOPPEL_PLANT(misaligned_copy, Defect::misaligned, false, 1, 1, 0),
      DOPPEL_PLANT(misaligned_row, Defect::misaligned, false, 1, 32, 0),
      DOPPEL_PLANT(static_too_large, Defect::launch, false, 1, 32, 0),
      DOPPEL_PLANT(beyond_bounds, Defect::launch, false, 1, 64, 0),
  };
}

}  // namespace doppel::testing
