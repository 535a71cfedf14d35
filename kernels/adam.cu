// The optimiser: one kernel over all parameters of a model, bound by memory (16 bytes read and 12 written a parameter,
// 2 more with the bf16 copy, 8 with the average). The norm is summed in two fixed steps, so its bits never change.
#include "kernels/adam.h"

#include "kernels/device/device.h"
#include "kernels/device/device_value.h"
#include "kernels/device/reduce.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;
constexpr int kNormParts = 1024;  // fixed: the order of the sum depends on it

// ---- kernels --------------------------------------------------------------------------------------------------------

// Elements i .. i + Width - 1. Width 4 begins at a multiple of 4, where one draw serves all four.
template <int Width, bool Belief, bool Dropout>
__device__ __forceinline__ void adam_at(const AdamRange& r, int64_t i, const AdamStep& step, const AdamOptions& o) {
  using V = Vector<float, Width>;
  V w = load_vector<V>(r.w + i), m = load_vector<V>(r.m + i), v = load_vector<V>(r.v + i);
  const V g = load_vector<V>(r.g + i);
  Philox4 words{};
  if constexpr (Dropout) words = drawn_moves(step.seed, step.step, uint64_t(i / 4));
  for (int k = 0; k < Width; ++k) {
    float lr = step.lr;
    if constexpr (Dropout) lr = is_moved(words.v[Width == 4 ? k : i % 4], o.moved) ? lr : 0;
    if constexpr (Belief)
      adabelief_element(w.v[k], m.v[k], v.v[k], step.clip * g.v[k], lr, step.correction1, step.correction2, o);
    else
      adam_element(w.v[k], m.v[k], v.v[k], step.clip * g.v[k], lr, step.correction1, step.correction2, o);
  }
  store_vector(r.w + i, w);
  store_vector(r.m + i, m);
  store_vector(r.v + i, v);
  if (r.average) {
    V average = load_vector<V>(r.average + i);
    for (int k = 0; k < Width; ++k) average.v[k] += step.keep * (w.v[k] - average.v[k]);
    store_vector(r.average + i, average);
  }
  if (r.copy) {
    Vector<Bf16, Width> copy;
    for (int k = 0; k < Width; ++k) copy.v[k] = to_bf16(w.v[k]);
    store_vector(r.copy + i, copy);
  }
}

template <int Width, bool Belief, bool Dropout>
DOPPEL_GLOBAL((kThreads), adam_kernel, AdamRange range, const float* norm, const StepState* state,
              AdamOptions options) {
  wait_for_earlier_kernels();
  // One thread works out the powers in double; the others would wait for them as well.
  DOPPEL_SHARED(AdamStep, step, [1]);
  if (threadIdx.x == 0) step[0] = adam_step(*state, norm, options);
  __syncthreads();
  const AdamStep& s = step[0];
  if (!s.taken) return;
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i + Width <= range.count)
    adam_at<Width, Belief, Dropout>(range, i, s, options);
  else
    for (int64_t k = i; k < range.count; ++k) adam_at<1, Belief, Dropout>(range, k, s, options);
}

// partial[block] = the sum of squares of the block's part of g.
DOPPEL_GLOBAL((kThreads), norm_parts, double* partial, const float* g, int64_t count) {
  wait_for_earlier_kernels();
  const int64_t begin = count * blockIdx.x / gridDim.x, end = count * (blockIdx.x + 1) / gridDim.x;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) sum += double(g[i]) * double(g[i]);
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

DOPPEL_GLOBAL((kThreads), norm_of_parts, float* norm, const double* partial) {
  wait_for_earlier_kernels();
  double sum = 0;
  for (int i = threadIdx.x; i < kNormParts; i += kThreads) sum += partial[i];
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) norm[0] = float(sqrt(sum));
}

DOPPEL_GLOBAL((1), advance_kernel, StepState* state) {
  wait_for_earlier_kernels();
  state->step += 1;
}

// The exponent of a NaN or an infinity is all ones.
__device__ __forceinline__ bool finite(Bf16 v) {
  return (v.bits & 0x7F80u) != 0x7F80u;
}
__device__ __forceinline__ bool finite(float v) {
  return (std::bit_cast<uint32_t>(v) & 0x7F800000u) != 0x7F800000u;
}

template <typename T>
DOPPEL_GLOBAL((kThreads), nonfinite_kernel, unsigned long long* first, const T* x, int64_t count) {
  wait_for_earlier_kernels();
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count && !finite(x[i])) atomicMin(first, static_cast<unsigned long long>(i));
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <bool Belief, bool Dropout>
void launch_adam(const AdamRange& range, const float* norm, const StepState* state, const AdamOptions& options,
                 Stream stream) {
  using V = Vector<float, 4>;
  const bool aligned = is_aligned<V>(range.w) && is_aligned<V>(range.m) && is_aligned<V>(range.v) &&
                       is_aligned<V>(range.g) && is_aligned<V>(range.average) &&
                       is_aligned<Vector<Bf16, 4>>(range.copy);
  if (aligned)
    DOPPEL_KERNEL(adam_kernel<4, Belief, Dropout>)
        .launch({blocks_for(range.count, 4 * kThreads), kThreads}, range, norm, state, options, stream);
  else
    DOPPEL_KERNEL(adam_kernel<1, Belief, Dropout>)
        .launch({blocks_for(range.count, kThreads), kThreads}, range, norm, state, options, stream);
}

}  // namespace

void adam(const AdamRange& range, const float* norm, const StepState* state, const AdamOptions& options,
          Stream stream) {
  if (range.count == 0) return;
  const bool dropout = options.moved < 1;
  const auto chosen = options.belief ? (dropout ? launch_adam<true, true> : launch_adam<true, false>)
                                     : (dropout ? launch_adam<false, true> : launch_adam<false, false>);
  chosen(range, norm, state, options, stream);
}

size_t global_norm_workspace(int64_t, Stream) {
  return kNormParts * sizeof(double);
}

void global_norm(float* norm, const float* g, int64_t count, void* workspace, Stream stream) {
  double* partial = static_cast<double*>(workspace);
  DOPPEL_KERNEL(norm_parts).launch({kNormParts, kThreads}, partial, g, count, stream);
  DOPPEL_KERNEL(norm_of_parts).launch({1, kThreads}, norm, partial, stream);
}

void advance(StepState* state, Stream stream) {
  DOPPEL_KERNEL(advance_kernel).launch({1, 1}, state, stream);
}

int64_t first_nonfinite(const void* x, int64_t count, DType type, Stream stream) {
  if (count == 0) return -1;
  DeviceValue<unsigned long long> first(~0ull, stream);
  const Geometry geometry{blocks_for(count, kThreads), kThreads};
  if (type == DType::bf16)
    DOPPEL_KERNEL(nonfinite_kernel<Bf16>).launch(geometry, first.pointer(), static_cast<const Bf16*>(x), count, stream);
  else
    DOPPEL_KERNEL(nonfinite_kernel<float>)
        .launch(geometry, first.pointer(), static_cast<const float*>(x), count, stream);
  return int64_t(first.get());  // ~0 is -1
}

}  // namespace doppel::DOPPEL_BACKEND
