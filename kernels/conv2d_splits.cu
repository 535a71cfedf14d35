// Second step of sums that several blocks share: bound by memory; one element a thread, neighbours in neighbouring
// lanes.
#include "kernels/conv2d_splits.h"

#include "kernels/conv2d_output.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;

// ---- kernels --------------------------------------------------------------------------------------------------------

__device__ __forceinline__ float sum_of_splits(const float* partial, int64_t i, int64_t count, int splits) {
  float sum = 0;
  for (int split = 0; split < splits; ++split) sum += partial[split * count + i];
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    add_kernel(void* out, DType type, const float* partial, int64_t count, int splits) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) store_output(out, i, sum_of_splits(partial, i, count, splits), type);
}

__global__ void __launch_bounds__(kThreads)
    finish_kernel(void* y, const float* partial, const float* b, Conv2d conv, Epilogue epilogue, int splits) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x, count = conv.out_pixels() * conv.k;
  if (i >= count) return;
  const int k = int(i % conv.k), pixel = int(i / conv.k);
  const float z = sum_of_splits(partial, i, count, splits);
  store_output(y, output_offset(conv, epilogue.shuffle, 0, pixel / conv.out_w(), pixel % conv.out_w(), k),
               finish_output(z, b[k], epilogue), conv.out_type);
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

void add_splits(void* out, DType type, const float* partial, int64_t count, int splits, Stream stream) {
  DOPPEL_KERNEL(add_kernel).launch({blocks_for(count, kThreads), kThreads}, out, type, partial, count, splits, stream);
}

void finish_splits(void* y, const float* partial, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                   int splits, Stream stream) {
  DOPPEL_KERNEL(finish_kernel)
      .launch({blocks_for(conv.out_pixels() * conv.k, kThreads), kThreads}, y, partial, b, conv, epilogue, splits,
              stream);
}

}  // namespace doppel::DOPPEL_BACKEND
