#include <cstring>

#include "kernels/parallel.h"
#include "kernels/pixel_shuffle.h"

namespace doppel::on_cpu {
namespace {

// Calls move(offset in the small picture, offset in the large picture, bytes) for every run of both pictures' common
// order.
template <typename Move>
void for_each_run(const PixelShuffle& p, Move move) {
  const size_t run = size_t(2) * p.c * size_of(p.type);
  parallel_for(int64_t(p.n) * p.h, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int i = 0; i < 2; ++i)
        for (int w = 0; w < p.w; ++w)
          move((size_t(row * p.w + w) * 2 + i) * run, (size_t(2 * row + i) * p.w + w) * run, run);
  });
}

}  // namespace

void pixel_shuffle_forward(void* y, const void* x, const PixelShuffle& p, Stream) {
  for_each_run(p, [=](size_t small, size_t large, size_t bytes) {
    std::memcpy(static_cast<char*>(y) + large, static_cast<const char*>(x) + small, bytes);
  });
}

void pixel_shuffle_backward(void* dx, const void* dy, const PixelShuffle& p, Stream) {
  for_each_run(p, [=](size_t small, size_t large, size_t bytes) {
    std::memcpy(static_cast<char*>(dx) + small, static_cast<const char*>(dy) + large, bytes);
  });
}

}  // namespace doppel::on_cpu
