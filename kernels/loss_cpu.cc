// Mean absolute and mean squared error on the CPU.
#include <vector>

#include "kernels/loss.h"
#include "kernels/parallel.h"

namespace doppel {
namespace {

// Ranges of the sum: fixed, so that its order is.
constexpr int kParts = 32;

// error(d) and slope(d) of d = y - t; the loss is their weighted mean over all elements.
template <typename Error, typename Slope>
void pointwise_loss(float* loss, float* dy, const float* y, const float* t, const LossShape& s, float weight,
                    bool accumulate, Error error, Slope slope) {
  const int64_t rows = int64_t(s.n) * s.h, row = int64_t(s.w) * s.c;
  const double count = double(rows) * double(row);
  const float scale = float(weight / count);
  double partial[kParts];
  parallel_for(kParts, 1, [&](int64_t part0, int64_t part1) {
    std::vector<float> weights(static_cast<size_t>(row));
    for (int64_t part = part0; part < part1; ++part) {
      double sum = 0;
      for (int64_t r = rows * part / kParts; r < rows * (part + 1) / kParts; ++r) {
        for (int64_t i = 0; i < row; ++i)
          weights[size_t(i)] = s.focus > 0 ? focus_weight(s.focus, float(i / s.c), float(r % s.h), s.h, s.w) : 1;
        const float *w = weights.data(), *yr = y + r * row, *tr = t + r * row;
        float* out = dy + r * row;
        float row_sum = 0;
#pragma omp simd reduction(+ : row_sum)
        for (int64_t i = 0; i < row; ++i) row_sum += w[i] * error(yr[i] - tr[i]);
        sum += double(row_sum);
        if (accumulate) {
#pragma omp simd
          for (int64_t i = 0; i < row; ++i) out[i] += scale * w[i] * slope(yr[i] - tr[i]);
        } else {
#pragma omp simd
          for (int64_t i = 0; i < row; ++i) out[i] = scale * w[i] * slope(yr[i] - tr[i]);
        }
      }
      partial[part] = sum;
    }
  });
  double sum = 0;
  for (double p : partial) sum += p;
  *loss = float(sum / count);
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
