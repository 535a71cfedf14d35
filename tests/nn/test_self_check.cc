// The check that a card goes through before it is trained on: it passes where the kernels are right, and notices what
// is wrong.
#include "nn/self_check.h"

#include <catch2/catch.hpp>
#include <vector>

#include "kernels/emulator/faults.h"
#include "runtime/devices.h"
#include "runtime/error.h"

using namespace doppel;
using emulator::FaultPlan;
using emulator::Faults;
using emulator::Operation;

TEST_CASE("every device that works passes the check", "[self_check][emulator]") {
  const testing::Guard guard;
  for (const Device device : testing::devices()) {
    INFO(testing::name_of(device));
    CHECK(self_check(device) == "");
  }
}

TEST_CASE("a kernel that does not run, a wrong bit and a failing device are noticed by the check",
          "[self_check][emulator]") {
  const auto checked = [](const FaultPlan& plan) {
    const Faults faults(plan);
    return self_check(Device::emulator);
  };
  std::vector<uint64_t> launches, downloads;
  {
    const Faults none({});
    REQUIRE(self_check(Device::emulator) == "");
    const std::vector<Operation> all = none.operations();
    for (uint64_t i = 0; i < all.size(); ++i) {
      if (all[i] == Operation::launch) launches.push_back(i);
      if (all[i] == Operation::download) downloads.push_back(i);
    }
  }
  // In fp32, which comes first: the warp, a convolution.
  REQUIRE(downloads.size() == 10);
  for (const size_t n : {0, 8}) {
    INFO("launch " << n);
    CHECK(checked({.left_out = launches[n]}) != "");
  }
  // After the weights at the start come a step's losses, the gradients, the moments and a second step's losses.
  CHECK(checked({.corrupted = downloads[1]}).find("losses") != std::string::npos);
  CHECK(checked({.corrupted = downloads[2]}).find("gradients") != std::string::npos);
  CHECK(checked({.corrupted = downloads[3]}).find("moments") != std::string::npos);
  CHECK(checked({.corrupted = downloads[7]}).find("in bf16 its gradients") != std::string::npos);
  CHECK(checked({.lost_at = launches[5], .late = true}).find("lost") != std::string::npos);
}

TEST_CASE("a device that has no room for the check is not said to compute wrongly", "[self_check][emulator]") {
  const Faults faults({.memory = 1 << 16});
  CHECK_THROWS_AS(self_check(Device::emulator), OutOfMemory);
}
