// Parts that the environment leaves out.
#include "kernels/left_out.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "kernels/conv_choices.h"

using doppel::left_out;

TEST_CASE("parts are left out by the words of DOPPEL_WITHOUT", "[left_out]") {
  doppel::testing::Without without;
  CHECK_FALSE(left_out("wgmma"));
  CHECK_FALSE(left_out(""));
  without.set("early_start");
  CHECK(left_out("early_start"));
  CHECK_FALSE(left_out("wgmma"));
  CHECK_FALSE(left_out(""));
  without.set("wgmma,early_start,wgmma");
  CHECK(left_out("early_start"));
  CHECK(left_out("wgmma"));
  CHECK_FALSE(left_out("clusters"));
  for (const char* wrong : {"wgma", "wgmma early_start", "wgmma,,early_start", ",", "wgmma,fast"}) {
    without.set(wrong);
    CAPTURE(wrong);
    CHECK_THROWS_WITH(left_out("wgmma"), Catch::Contains("DOPPEL_WITHOUT=" + std::string(wrong) + ":"));
    CHECK_THROWS_AS(left_out(""), std::invalid_argument);
  }
}
