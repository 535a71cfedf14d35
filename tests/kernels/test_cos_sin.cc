// cos_sin of kernels/activation.h against the cosine and sine in double precision: the bounds that its header states.
#include <limits>

#include "kernels/activation.h"
#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr float kLargest = 0x1p20f;
constexpr double kBound = 3 * 0x1p-24;
constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

// The largest of some errors, and where; a NaN is larger than all.
struct Worst {
  double error = 0;
  float x = 0;
  void add(double e, float at) {
    if (e <= error || std::isnan(error)) return;
    error = e, x = at;
  }
};

// From |v| to the next float.
double ulp(double v) {
  const float size = std::abs(float(v));
  return double(std::nextafter(size, kInfinity)) - double(size);
}

// `measure(got, want)` of cosine and sine at all points.
template <typename Measure>
void check_points(const std::vector<float>& points, double most, const Measure& measure) {
  Worst cosine, sine;
  for (const float x : points) {
    const CosSin got = cos_sin(x);
    cosine.add(measure(double(got.cos), std::cos(double(x))), x);
    sine.add(measure(double(got.sin), std::sin(double(x))), x);
  }
  INFO("the cosine worst at " << std::hexfloat << cosine.x << ", the sine at " << sine.x);
  CHECK(cosine.error <= most);
  CHECK(sine.error <= most);
}

double distance(double got, double want) {
  return std::abs(got - want);
}
double distance_in_ulps(double got, double want) {
  return std::abs(got - want) / ulp(want);
}

// Of either sign, as many for each power of 2 from 2^low on and below 2^high.
std::vector<float> of_all_sizes(uint64_t seed, int64_t count, int low, int high) {
  const Doubles exponents = uniform(seed, count, float(low), float(high)), signs = uniform(seed + 1, count);
  std::vector<float> points;
  for (size_t i = 0; i < exponents.size(); ++i)
    points.push_back(std::copysign(float(std::exp2(exponents[i])), float(signs[i])));
  return points;
}

}  // namespace

TEST_CASE("cos_sin is within three units of 2^-24 up to 2^20", "[activation]") {
  std::vector<float> points = of_all_sizes(1, 100000, -30, 20);
  for (const double x : uniform(3, 200000, -kLargest, kLargest)) points.push_back(float(x));
  points.insert(points.end(), {kLargest, -kLargest});
  check_points(points, kBound, distance);
}

TEST_CASE("cos_sin is within three units of 2^-24 next to the multiples of pi / 2", "[activation]") {
  // Where one of the two is 0, and where the multiple of pi that is taken off is another one.
  std::vector<float> points;
  const double step = std::acos(-1.0) / 2;
  const int64_t last = int64_t(double(kLargest) / step);
  for (int64_t k = 0; k <= last; k += k < 2000 || k > last - 2000 ? 1 : 13)
    for (const float side : {0.0f, -kInfinity, kInfinity}) {
      const float near = float(double(k) * step), x = side == 0 ? near : std::nextafter(near, side);
      points.insert(points.end(), {x, -x});
    }
  CHECK(points.size() > 100000);
  check_points(points, kBound, distance);
}

TEST_CASE("cos_sin is within one unit in the last place up to 1", "[activation]") {
  std::vector<float> points = of_all_sizes(5, 100000, -149, 0);
  for (const double x : uniform(7, 100000)) points.push_back(float(x));
  for (float x = 1; x > 0.999f; x = std::nextafter(x, 0.0f)) points.push_back(x);
  check_points(points, 1, distance_in_ulps);
}

TEST_CASE("cos_sin of the smallest numbers and of 0", "[activation]") {
  for (const float x : {0x1p-149f, 3 * 0x1p-149f, 0x1.8p-130f, 0x1p-126f, 0x1p-100f, 0x1p-40f})
    for (const float sign : {1.0f, -1.0f}) {
      CHECK(cos_sin(sign * x).cos == 1);
      CHECK(cos_sin(sign * x).sin == sign * x);
    }
  for (const float zero : {0.0f, -0.0f}) {
    CHECK(cos_sin(zero).cos == 1);
    CHECK(cos_sin(zero).sin == 0);
  }
}

TEST_CASE("cos_sin beyond 2^20 stays between -1 and 1, and what is not finite gives NaN", "[activation]") {
  Worst cosine, sine;
  std::vector<float> points = of_all_sizes(9, 100000, 20, 128);
  points.insert(points.end(), {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()});
  for (const float x : points)
    if (std::isfinite(x))
      cosine.add(std::abs(double(cos_sin(x).cos)), x), sine.add(std::abs(double(cos_sin(x).sin)), x);
  INFO("the cosine largest at " << cosine.x << ", the sine at " << sine.x);
  CHECK(cosine.error <= 1 + kBound);
  CHECK(sine.error <= 1 + kBound);
  for (const float x : {kInfinity, -kInfinity, kNan, -kNan}) {
    CHECK(std::isnan(cos_sin(x).cos));
    CHECK(std::isnan(cos_sin(x).sin));
  }
}

// The same code as each backend compiles it, vectorised on the CPU.
TEST_CASE("x cos x has the cosine's error up to 2^20 on every backend", "[activation][emulator]") {
  on_backends(emulator::Order::shuffled, [](Stream stream) {
    const std::vector<float> points = of_all_sizes(11, 6001, -30, 20);
    Buffer x(DType::f32, Doubles(points.begin(), points.end())), y(DType::f32, x.count());
    activation_forward(y.data(), x.data(), x.count(), DType::f32, Activation::x_cos_x, 0, stream);
    Doubles want, allowed;
    for (const float p : points) {
      want.push_back(double(p) * std::cos(double(p)));
      allowed.push_back(std::abs(double(p)) * kBound + std::abs(want.back()) * 1.01 * unit_roundoff(DType::f32));
    }
    CHECK(mismatch(y, want, allowed) == "");
  });
}
