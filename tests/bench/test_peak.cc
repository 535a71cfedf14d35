// What bench/peak.h does with products that cannot be run.
#include "bench/peak.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "kernels/device_error.h"

using namespace doppel;
using namespace doppel::bench;

namespace {

// A case's choice says what becomes of it.
double act(const KernelCase& c) {
  if (c.choice == "refuses") throw std::runtime_error("refused");
  if (c.choice == "ends the card") throw DeviceError("the card is gone");
  return 2;
}

struct Measured {
  std::string names, problem;
};

Measured measured(const std::vector<std::string>& choices) {
  std::vector<KernelCase> cases;
  for (const std::string& choice : choices) cases.push_back({"l", "product", "cuBLASLt", choice, 1, 1, {}});
  Measured m;
  m.problem = measure_each(cases, act, [&](const KernelCase& c, double t) {
    CHECK(t == 2);
    m.names += c.choice + " ";
  });
  return m;
}

}  // namespace

TEST_CASE("peak: a product that cannot be run costs itself and no other", "[peak]") {
  const Measured m = measured({"first", "refuses", "last"});
  CHECK(m.names == "first last ");
  CHECK(m.problem == "");
}

TEST_CASE("peak: where no product can be run it says why", "[peak]") {
  CHECK(measured({"refuses", "refuses"}).problem == "refused");
  CHECK(measured({}).problem != "");
}

TEST_CASE("peak: what ends the card, or does not take the result, ends the measuring", "[peak]") {
  CHECK_THROWS_AS(measured({"first", "ends the card", "last"}), DeviceError);
  const KernelCase c{"l", "product", "cuBLASLt", "first", 1, 1, {}};
  CHECK_THROWS_WITH(measure_each({c}, act, [](const KernelCase&, double) { throw std::runtime_error("full"); }),
                    "full");
}
