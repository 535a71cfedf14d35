// A dense layer is the 1 x 1 convolution of n pictures of one pixel, so that kernels/conv2d.cu has its three products,
// on tensor cores where the type and the channels allow it; with few rows they are split along the sum. What is left is
// the bias gradient.
#include "kernels/dense.h"

#include "kernels/conv2d.h"
#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {

// kernels/conv2d.cu
decltype(::doppel::conv2d_workspace) conv2d_workspace;
decltype(::doppel::conv2d_choices) conv2d_choices;
decltype(::doppel::conv2d_fprop) conv2d_fprop;
decltype(::doppel::conv2d_dgrad) conv2d_dgrad;
decltype(::doppel::conv2d_wgrad) conv2d_wgrad;

namespace {

constexpr int kColumns = kWarpSize, kLines = 16, kThreads = kColumns * kLines;

// ---- kernels --------------------------------------------------------------------------------------------------------

// sums[k] = sum over n of y[n, k]. A warp reads 32 neighbours of a row; a block's 16 warps take every 16th row each,
// and their sums are added from the first warp to the last.
template <typename T>
DOPPEL_GLOBAL((kThreads), column_sums, float* sums, const T* y, int rows, int columns) {
  wait_for_earlier_kernels();
  DOPPEL_SHARED(float, parts, [kLines][kColumns]);
  const int column = int(blockIdx.x) * kColumns + int(threadIdx.x), line = int(threadIdx.y);
  float sum = 0;
  if (column < columns)
    for (int row = line; row < rows; row += kLines) sum += to_float(y[int64_t(row) * columns + column]);
  parts[line][threadIdx.x] = sum;
  __syncthreads();
  if (line > 0 || column >= columns) return;
  for (int i = 1; i < kLines; ++i) sum += parts[i][threadIdx.x];
  sums[column] = sum;
}

// ---- launchers ------------------------------------------------------------------------------------------------------

Conv2d conv_of(const Dense& d) {
  return {d.n, 1, 1, d.c, d.k, 1, 1, 1, 0, 0, 0, 0, d.type, d.type, d.kernels};
}

template <typename T>
void launch_column_sums(float* sums, const void* y, const Dense& d, Stream stream) {
  DOPPEL_KERNEL(column_sums<T>)
      .launch({blocks_for(d.k, kColumns), dim3(kColumns, kLines)}, sums, static_cast<const T*>(y), d.n, d.k, stream);
}

}  // namespace

DenseWorkspace dense_workspace(const Dense& dense, Stream stream) {
  const ConvWorkspace bytes = DOPPEL_BACKEND::conv2d_workspace(conv_of(dense), {}, stream);
  return {bytes.fprop, bytes.dgrad, bytes.wgrad};
}

std::vector<KernelChoice> dense_choices(const Dense& dense, Pass pass, Stream stream) {
  return DOPPEL_BACKEND::conv2d_choices(conv_of(dense), pass, stream);
}

void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace,
                 Stream stream) {
  DOPPEL_BACKEND::conv2d_fprop(y, x, w, b, conv_of(dense), {}, workspace, stream);
}

void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream stream) {
  DOPPEL_BACKEND::conv2d_dgrad(dx, dy, w, conv_of(dense), workspace, stream);
}

void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace,
                 Stream stream) {
  DOPPEL_BACKEND::conv2d_wgrad(dw, x, dy, conv_of(dense), workspace, stream);
  if (dense.type == DType::bf16)
    launch_column_sums<Bf16>(db, dy, dense, stream);
  else
    launch_column_sums<float>(db, dy, dense, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
