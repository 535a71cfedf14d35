// Mean absolute and mean squared error on the CPU.
#include <vector>

#include "kernels/loss.h"
#include "kernels/loss_math.h"
#include "kernels/parallel.h"

namespace doppel::on_cpu {
namespace {

// Ranges of the sum: fixed, so that its order is.
constexpr int kParts = 32;

// The weighted mean of Loss::error over all elements.
template <typename Loss>
void pointwise_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& s,
                    float weight, bool accumulate) {
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
          weights[size_t(i)] = position_weight(mask, s, r / s.h, int(r % s.h), int(i / s.c));
        const float *w = weights.data(), *yr = y + r * row, *tr = t + r * row;
        float* out = dy + r * row;
        float row_sum = 0;
#pragma omp simd reduction(+ : row_sum)
        for (int64_t i = 0; i < row; ++i) row_sum += w[i] * Loss::error(yr[i] - tr[i]);
        sum += double(row_sum);
        if (accumulate) {
#pragma omp simd
          for (int64_t i = 0; i < row; ++i) out[i] += scale * w[i] * Loss::slope(yr[i] - tr[i]);
        } else {
#pragma omp simd
          for (int64_t i = 0; i < row; ++i) out[i] = scale * w[i] * Loss::slope(yr[i] - tr[i]);
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

size_t pointwise_loss_workspace(const LossShape&, Stream) {
  return 0;
}

void l1_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
             float weight, bool accumulate, void*, Stream) {
  pointwise_loss<AbsoluteError>(loss, dy, y, t, mask, shape, weight, accumulate);
}

void mse_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
              float weight, bool accumulate, void*, Stream) {
  pointwise_loss<SquaredError>(loss, dy, y, t, mask, shape, weight, accumulate);
}

void total_loss(float* losses, float l1, float mse, float dssim, Stream) {
  if (!(mse > 0)) losses[2] = 0;
  if (!(dssim > 0)) losses[3] = 0;
  losses[0] = l1 * losses[1] + mse * losses[2] + dssim * losses[3];
}

}  // namespace doppel::on_cpu
