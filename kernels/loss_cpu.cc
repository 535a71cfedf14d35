// Mean absolute and mean squared error on the CPU.
#include <vector>

#include "kernels/loss.h"
#include "kernels/parallel.h"

namespace doppel {
namespace {

// Ranges of the sum: fixed, so that its order is.
constexpr int kParts = 32;

// error(d) and slope(d) of d = y - t; the loss is their mean over all elements.
template <typename Error, typename Slope>
void pointwise_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& s, float weight,
                    bool accumulate, Error error, Slope slope) {
  const int64_t count = int64_t(s.n) * s.h * s.w * s.c;
  const float scale = weight / float(count);
  double partial[kParts];
  parallel_for(kParts, 1, [&](int64_t part0, int64_t part1) {
    for (int64_t part = part0; part < part1; ++part) {
      const int64_t begin = count * part / kParts, end = count * (part + 1) / kParts;
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = begin; i < end; ++i) sum += double(error(y[i] - t[i]));
      partial[part] = sum;
      if (accumulate) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) dy[i] += scale * slope(y[i] - t[i]);
      } else {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) dy[i] = scale * slope(y[i] - t[i]);
      }
    }
  });
  double sum = 0;
  for (double p : partial) sum += p;
  *loss = float(sum / double(count));
}

}  // namespace

void l1_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& shape, float weight,
             bool accumulate, Stream) {
  pointwise_loss(
      loss, dy, y, t, shape, weight, accumulate, [](float d) { return d < 0 ? -d : d; },
      [](float d) { return d > 0   ? 1.f
                           : d < 0 ? -1.f
                                   : 0.f; });
}

void mse_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& shape, float weight,
              bool accumulate, Stream) {
  pointwise_loss(
      loss, dy, y, t, shape, weight, accumulate, [](float d) { return d * d; }, [](float d) { return 2 * d; });
}

}  // namespace doppel
