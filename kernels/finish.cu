// Passes over what a library computed: bound by memory, one element a thread; neighbouring threads have neighbouring
// channels, which stay neighbours in the shuffled picture.
#include "kernels/finish.h"

#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;

// ---- kernels --------------------------------------------------------------------------------------------------------

template <typename Out, typename In>
DOPPEL_GLOBAL((kThreads), finish_kernel, Out* y, const In* z, const float* b, Finish f) {
  wait_for_earlier_kernels();
  const int64_t from = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (from >= int64_t(f.n) * f.h * f.w * f.k) return;
  const int k = int(from % f.k);
  int64_t to = from;
  if (f.shuffle) {
    // Channel (2i + j) C + c of pixel (h, w) goes to channel c of pixel (2h + i, 2w + j): kernels/pixel_shuffle.h.
    const int64_t pixel = from / f.k, row = pixel / f.w, w = pixel % f.w;
    const int channels = f.k / 4, i = k / channels / 2, j = k / channels % 2;
    to = ((2 * row + i) * (2 * f.w) + 2 * w + j) * channels + k % channels;
  }
  y[to] = from_float<Out>(activate(f.activation, to_float(z[from]) + (b ? b[k] : 0.0f), f.slope));
}

template <typename T>
DOPPEL_GLOBAL((kThreads), column_sums_kernel, float* sums, const T* x, int64_t rows, int columns) {
  wait_for_earlier_kernels();
  const int k = int(blockIdx.x) * kThreads + int(threadIdx.x);
  if (k >= columns) return;
  float sum = 0;
  for (int64_t row = 0; row < rows; ++row) sum += to_float(x[row * columns + k]);
  sums[k] = sum;
}

// ---- launchers ------------------------------------------------------------------------------------------------------

template <typename Out, typename In>
void launch_finish(void* y, const void* z, const float* b, const Finish& f, Stream stream) {
  DOPPEL_KERNEL(finish_kernel<Out, In>)
      .launch({blocks_for(int64_t(f.n) * f.h * f.w * f.k, kThreads), kThreads}, static_cast<Out*>(y),
              static_cast<const In*>(z), b, f, stream);
}

}  // namespace

void finish(void* y, const void* z, const float* b, const Finish& f, Stream stream) {
  const bool from_bf16 = f.z_type == DType::bf16, to_bf16 = f.y_type == DType::bf16;
  const auto launch = from_bf16 ? to_bf16 ? launch_finish<Bf16, Bf16> : launch_finish<float, Bf16>
                      : to_bf16 ? launch_finish<Bf16, float>
                                : launch_finish<float, float>;
  launch(y, z, b, f, stream);
}

void column_sums(float* sums, const void* x, int64_t rows, int columns, DType type, Stream stream) {
  const Geometry geometry{blocks_for(columns, kThreads), kThreads};
  if (type == DType::bf16)
    DOPPEL_KERNEL(column_sums_kernel<Bf16>).launch(geometry, sums, static_cast<const Bf16*>(x), rows, columns, stream);
  else
    DOPPEL_KERNEL(column_sums_kernel<float>)
        .launch(geometry, sums, static_cast<const float*>(x), rows, columns, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
