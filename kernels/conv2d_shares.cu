// Second step of sums that were dealt in equal shares: bound by memory, four neighbours a thread at a time.
#include "kernels/conv2d_shares.h"

#include "kernels/device/device.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kThreads = 256;
constexpr int kQuadsOfThread = 4;  // what finding the parts costs is shared by them

// ---- kernels --------------------------------------------------------------------------------------------------------

// blockIdx.y: which of the tiles that are cut. A filter has `units` of 64 channels, `of_tap` for each tap, of which the
// last may have fewer: c of a tap.
DOPPEL_GLOBAL((kThreads), add_kernel, float* dw, const float* parts, Shares shares, int rows, int columns, int k, int c,
              int taps, int64_t stride) {
  wait_for_earlier_kernels();
  const int i = int(blockIdx.y), first = shares.first_slot(i), last = shares.last_slot(i);
  if (first == last) return;  // whole, and stored
  const int of_tap = (c + 63) / 64, units = taps * of_tap, tile = shares.whole + i;
  const int across = (units * 64 + columns - 1) / columns, down = (k + rows - 1) / rows;
  const int row0 = tile / across % down * rows, unit0 = tile % across * (columns / 64);
  dw += tile / across / down * stride;
#pragma unroll 1  // all at once would take more registers than keep a multiprocessor full
  for (int n = 0; n < kQuadsOfThread; ++n) {
    const int at = ((int(blockIdx.x) * kQuadsOfThread + n) * kThreads + int(threadIdx.x)) * 4;
    const int row = row0 + at / columns, unit = unit0 + at % columns / 64, channel = unit % of_tap * 64 + at % 64;
    if (row >= k || unit >= units || channel >= c) continue;
    const float* part = parts + int64_t(first) * rows * columns + at;
    float4 sum = load_vector<float4>(part);
#pragma unroll 2  // mostly there are two to five
    for (int slot = first + 1; slot <= last; ++slot) {
      part += rows * columns;
      const float4 more = load_vector<float4>(part);
      sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
    }
    store_vector(dw + int64_t(row) * taps * c + unit / of_tap * c + channel, sum);
  }
}

}  // namespace

// ---- launchers ------------------------------------------------------------------------------------------------------

void add_shares(float* dw, const float* parts, const Shares& shares, int rows, int columns, const Conv2d& conv,
                Stream stream) {
  if (shares.count == shares.cut) return;  // a share is a tile
  const dim3 grid(unsigned(rows * columns / (4 * kThreads * kQuadsOfThread)), unsigned(shares.cut));
  DOPPEL_KERNEL(add_kernel)
      .launch({grid, kThreads}, dw, parts, shares, rows, columns, conv.k, conv.c, conv.r * conv.s, conv.weight_stride,
              stream);
}

}  // namespace doppel::DOPPEL_BACKEND
