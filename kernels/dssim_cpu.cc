// DSSIM on the CPU: a separable Gaussian over five maps of each picture, and its transpose over three for the gradient
// (docs/kernels/dssim.md derives it).
#include <algorithm>
#include <vector>

#include "kernels/dssim_math.h"
#include "kernels/loss_math.h"
#include "kernels/parallel.h"

namespace doppel::on_cpu {
namespace {

constexpr int kMaps = 5;
// Pictures are split into this many ranges at most; each has a scratch area of its own.
constexpr int kParts = 16;

struct Sizes {
  int h, w, c, window;
  int out_h() const { return h - window + 1; }
  int out_w() const { return w - window + 1; }
  int row() const { return w * c; }            // floats of an input row
  int out_row() const { return out_w() * c; }  // floats of a blurred row
  size_t map() const { return size_t(out_h()) * out_row(); }
};

// Scratch of one picture: kMaps blurred maps, rows of one being blurred, and three maps for the transpose.
size_t scratch_floats(const Sizes& s) {
  return kMaps * s.map() + kMaps * size_t(s.h) * s.out_row() + size_t(s.h) * s.out_row();
}

// Horizontal blurs of y, t, y^2, t^2, y t of one row.
void blur_row(float* const* out, const float* y, const float* t, const float* taps, const Sizes& s) {
  float *a = out[0], *b = out[1], *aa = out[2], *bb = out[3], *ab = out[4];
  const int n = s.out_row();
  for (int m = 0; m < kMaps; ++m) std::fill(out[m], out[m] + n, 0.f);
  for (int k = 0; k < s.window; ++k) {
    const float g = taps[k];
    const float *yk = y + k * s.c, *tk = t + k * s.c;
#pragma omp simd
    for (int i = 0; i < n; ++i) {
      const float u = yk[i], v = tk[i], gu = g * u, gv = g * v;
      a[i] += gu;
      b[i] += gv;
      aa[i] += gu * u;
      bb[i] += gv * v;
      ab[i] += gu * v;
    }
  }
}

// Returns the weighted sum of 1 - SSIM over one picture, and writes or adds scale times the gradient of the weighted
// sum of SSIM.
double picture(float* dy, const float* y, const float* t, const float* taps, const Sizes& s, const Dssim& d,
               const float* weights, float scale, bool accumulate, float* scratch) {
  const int n = s.out_row();
  const size_t rows_map = size_t(s.h) * n;
  float* maps[kMaps];
  float* rows[kMaps];
  for (int m = 0; m < kMaps; ++m) {
    maps[m] = scratch + m * s.map();
    rows[m] = scratch + kMaps * s.map() + m * rows_map;
  }
  float* spare = scratch + kMaps * s.map() + kMaps * rows_map;

  for (int i = 0; i < s.h; ++i) {
    float* out[kMaps];
    for (int m = 0; m < kMaps; ++m) out[m] = rows[m] + size_t(i) * n;
    blur_row(out, y + size_t(i) * s.row(), t + size_t(i) * s.row(), taps, s);
  }
  for (int m = 0; m < kMaps; ++m)
    for (int i = 0; i < s.out_h(); ++i) {
      float* out = maps[m] + size_t(i) * n;
      std::fill(out, out + n, 0.f);
      for (int k = 0; k < s.window; ++k) {
        const float g = taps[k];
        const float* in = rows[m] + size_t(i + k) * n;
#pragma omp simd
        for (int j = 0; j < n; ++j) out[j] += g * in[j];
      }
    }

  const float c1 = d.k1 * d.k1, c2 = d.k2 * d.k2;
  double sum = 0;
  float *my = maps[0], *mt = maps[1], *yy = maps[2], *tt = maps[3], *yt = maps[4];
  for (int i = 0; i < s.out_h(); ++i) {
    float row_sum = 0;
    const size_t at = size_t(i) * n;
#pragma omp simd reduction(+ : row_sum)
    for (int j = 0; j < n; ++j) {
      const float w = weights[at + j];
      row_sum += w * (1 - ssim(my[at + j], mt[at + j], yy[at + j], tt[at + j], yt[at + j], c1, c2));
      my[at + j] *= w;
      yy[at + j] *= w;
      yt[at + j] *= w;
    }
    sum += double(row_sum);
  }

  // The transpose of the blur: vertical into `spare`, horizontal into the gradient.
  if (!accumulate) std::fill(dy, dy + size_t(s.h) * s.row(), 0.f);
  const float* derivatives[3] = {my, yy, yt};
  for (int m = 0; m < 3; ++m) {
    std::fill(spare, spare + rows_map, 0.f);
    for (int i = 0; i < s.out_h(); ++i)
      for (int k = 0; k < s.window; ++k) {
        const float g = taps[k] * scale;
        const float* in = derivatives[m] + size_t(i) * n;
        float* out = spare + size_t(i + k) * n;
#pragma omp simd
        for (int j = 0; j < n; ++j) out[j] += g * in[j];
      }
    for (int i = 0; i < s.h; ++i)
      for (int k = 0; k < s.window; ++k) {
        const float g = taps[k];
        const float* in = spare + size_t(i) * n;
        const size_t at = size_t(i) * s.row() + size_t(k) * s.c;
        float* out = dy + at;
        const float *u = y + at, *v = t + at;
        if (m == 0) {
#pragma omp simd
          for (int j = 0; j < n; ++j) out[j] += g * in[j];
        } else if (m == 1) {
#pragma omp simd
          for (int j = 0; j < n; ++j) out[j] += 2 * g * in[j] * u[j];
        } else {
#pragma omp simd
          for (int j = 0; j < n; ++j) out[j] += g * in[j] * v[j];
        }
      }
  }
  return sum;
}

int parts_of(const LossShape& shape) {
  return std::min(kParts, shape.n);
}

// Weights of the centres of the windows of picture n.
void fill_weights(float* weights, const float* mask, const LossShape& shape, const Sizes& s, int64_t n) {
  const int half = (s.window - 1) / 2;
  for (int row = 0; row < s.out_h(); ++row)
    for (int column = 0; column < s.out_w(); ++column)
      for (int c = 0; c < s.c; ++c) *weights++ = position_weight(mask, shape, n, row + half, column + half);
}

// The loss of one window.
double one_scale(float* dy, const float* y, const float* t, const float* mask, const LossShape& shape, const Dssim& d,
                 float weight, bool accumulate, float* workspace) {
  const Sizes s{shape.h, shape.w, shape.c, d.window};
  float taps[kMaxDssimWindow];
  dssim_taps(taps, d);
  const int parts = parts_of(shape);
  const size_t size = size_t(shape.h) * s.row();
  const double count = double(shape.n) * double(s.map());
  const float scale = float(-0.5 * weight / count);
  std::vector<float> shared(mask ? 0 : s.map());  // the same for all pictures
  if (!mask) fill_weights(shared.data(), nullptr, shape, s, 0);
  double partial[kParts] = {};
  parallel_for(parts, 1, [&](int64_t part0, int64_t part1) {
    std::vector<float> own(mask ? s.map() : 0);
    for (int64_t part = part0; part < part1; ++part) {
      float* scratch = workspace + size_t(part) * scratch_floats(s);
      for (int64_t i = int64_t(shape.n) * part / parts; i < int64_t(shape.n) * (part + 1) / parts; ++i) {
        if (mask) fill_weights(own.data(), mask, shape, s, i);
        partial[part] += picture(dy + i * size, y + i * size, t + i * size, taps, s, d,
                                 mask ? own.data() : shared.data(), scale, accumulate, scratch);
      }
    }
  });
  double sum = 0;
  for (double p : partial) sum += p;
  return sum / count / 2;
}

}  // namespace

size_t dssim_workspace(const LossShape& shape, const DssimScales& scales, Stream) {
  size_t floats = 0;
  for (int i = 0; i < scales.count; ++i)
    floats = std::max(floats, scratch_floats({shape.h, shape.w, shape.c, scales.scale[i].window}));
  return parts_of(shape) * floats * sizeof(float);
}

void dssim_loss(float* loss, float* dy, const float* y, const float* t, const float* mask, const LossShape& shape,
                const DssimScales& scales, float weight, bool accumulate, void* workspace, Stream) {
  double sum = 0;
  for (int i = 0; i < scales.count; ++i)
    sum += one_scale(dy, y, t, mask, shape, scales.scale[i], weight / float(scales.count), accumulate || i > 0,
                     static_cast<float*>(workspace));
  *loss = float(sum / scales.count);
}

}  // namespace doppel::on_cpu
