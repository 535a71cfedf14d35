#include "runtime/relative_distance.h"

#include <catch2/catch.hpp>
#include <limits>

using namespace doppel;

TEST_CASE("relative distance: by hand, of both types", "[relative_distance]") {
  const std::vector<float> b{3, 0, 4};
  CHECK(relative_distance(b, b) == 0);
  CHECK(relative_distance({3, 0.5f, 4}, b) == Approx(0.1));
  CHECK(relative_distance({0, 0, 0}, b) == 1);
  CHECK(relative_distance(b.data(), b.data() + 1, 1) == std::numeric_limits<double>::infinity());
  CHECK(relative_distance({0, 0, 0}, std::vector<float>{0, 0, 0}) == 0);
  const Bf16 narrow[] = {to_bf16(3), to_bf16(0.5f), to_bf16(4)}, wanted[] = {to_bf16(3), to_bf16(0), to_bf16(4)};
  CHECK(relative_distance(narrow, wanted, 3) == Approx(0.1));
}

TEST_CASE("relative distance: a NaN on either side is one, so that no bound lets it pass", "[relative_distance]") {
  const std::vector<float> good{1, 2}, bad{1, std::numeric_limits<float>::quiet_NaN()};
  CHECK(std::isnan(relative_distance(bad, good)));
  CHECK(std::isnan(relative_distance(good, bad)));
  CHECK(std::isnan(relative_distance(bad, bad)));
}
