// Parts that the environment leaves out.
#include "kernels/left_out.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <stdexcept>

using doppel::left_out;

namespace {

struct Without {
  explicit Without(const char* parts) { setenv("DOPPEL_WITHOUT", parts, 1); }
  ~Without() { unsetenv("DOPPEL_WITHOUT"); }
};

}  // namespace

TEST_CASE("parts are left out by the words of DOPPEL_WITHOUT", "[left_out]") {
  unsetenv("DOPPEL_WITHOUT");
  CHECK_FALSE(left_out("wgmma"));
  {
    const Without nothing("");
    CHECK_FALSE(left_out("wgmma"));
  }
  {
    const Without one("early_start");
    CHECK(left_out("early_start"));
    CHECK_FALSE(left_out("wgmma"));
  }
  {
    const Without both("wgmma,early_start");
    CHECK(left_out("early_start"));
    CHECK(left_out("wgmma"));
  }
  for (const char* wrong : {"wgma", "wgmma early_start", "wgmma,,early_start", ",", "wgmma,fast"}) {
    const Without word(wrong);
    CAPTURE(wrong);
    CHECK_THROWS_WITH(left_out("wgmma"), Catch::Contains("DOPPEL_WITHOUT=" + std::string(wrong) + ":"));
  }
}
