#include <catch2/catch.hpp>
#include <limits>

#include "tools/progress.h"

using doppel::duration_text;

TEST_CASE("durations read as people say them") {
  CHECK(duration_text(0.44) == "0.4 s");
  CHECK(duration_text(9.96) == "10 s");
  CHECK(duration_text(59.4) == "59 s");
  CHECK(duration_text(59.6) == "1 min 00 s");
  CHECK(duration_text(185) == "3 min 05 s");
  CHECK(duration_text(3599.6) == "1 h 00 min");
  CHECK(duration_text(7800) == "2 h 10 min");
  CHECK(duration_text(-1) == "?");
  CHECK(duration_text(std::numeric_limits<double>::infinity()) == "?");
  CHECK(duration_text(std::numeric_limits<double>::quiet_NaN()) == "?");
}
