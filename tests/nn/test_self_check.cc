// The check that a card goes through before it is trained on: it passes where the kernels are right, and notices what
// is wrong.
#include "nn/self_check.h"

#include <catch2/catch.hpp>
#include <vector>

#include "kernels/device_error.h"
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

namespace {

std::string checked(const FaultPlan& plan) {
  const Faults faults(plan);
  return self_check(Device::emulator);
}

// The numbers of a whole check's operations of that kind.
std::vector<uint64_t> all_of(Operation kind) {
  static const std::vector<Operation> all = [] {
    const Faults none({});
    REQUIRE(self_check(Device::emulator) == "");
    return none.operations();
  }();
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < all.size(); ++i)
    if (all[i] == kind) numbers.push_back(i);
  return numbers;
}

}  // namespace

TEST_CASE("whichever kernel does not run, the check notices", "[self_check][emulator]") {
  // Of some 280: those of both steps, in fp32 and then in bf16. The first, the last, and every so many between; an odd
  // stride that is no divisor of a step's launches meets other kernels in each of the four steps.
  const std::vector<uint64_t> launches = all_of(Operation::launch);
  REQUIRE(launches.size() > 200);
  std::vector<size_t> some{launches.size() - 1};
  for (size_t n = 0; n < launches.size(); n += 47) some.push_back(n);
  for (const size_t n : some) {
    INFO("launch " << n);
    CHECK(checked({.left_out = launches[n]}) != "");
  }
}

TEST_CASE("the check notices small parts of a gradient, in every step", "[self_check][emulator]") {
  // Launches whose absence a norm over all gradients does not feel in bf16: sums of bias gradients and the like.
  const std::vector<uint64_t> launches = all_of(Operation::launch);
  const size_t step = (launches.size() - 1) / 4;  // bf16 begins with one launch more, that of the weights' copies
  for (const size_t n : {step + 35, 2 * step + 1 + 36, 3 * step + 1 + 36}) {
    INFO("launch " << n);
    CHECK(checked({.left_out = launches[n]}) != "");
  }
}

TEST_CASE("a copy that is not made, a wrong bit and a failing device are noticed by the check",
          "[self_check][emulator]") {
  const std::vector<uint64_t> launches = all_of(Operation::launch), downloads = all_of(Operation::download),
                              uploads = all_of(Operation::upload);
  // In fp32 come the four arenas at the start, and after each step losses, the gradients' norm, gradients, the four
  // arenas and the state; in bf16, after as much, a fifth arena.
  const auto names = [&](size_t download, const std::string& what) {
    const std::string said = checked({.corrupted = downloads[download]});
    CAPTURE(download, said);
    CHECK(said.find(what) != std::string::npos);
    CHECK(said.find('\n') == std::string::npos);
  };
  names(1, "in fp32 its weights at the start differ");
  names(5, "in fp32 its losses of step 1 differ");
  names(7, "in fp32 its gradients of step 1 differ");
  names(8, "in fp32 its weights of step 1 differ");
  names(9, "in fp32 its moments of step 1 differ");
  names(15, "in fp32 its gradients of step 2 differ");
  // The faces of a person and the weights that a run starts from.
  for (const size_t n : {1, 2}) CHECK(checked({.left_out = uploads[n]}) != "");
  CHECK_THROWS_AS(checked({.lost_at = launches[5], .late = true}), DeviceError);
}

TEST_CASE("a device that has no room for the check is not said to compute wrongly", "[self_check][emulator]") {
  const Faults faults({.memory = 1 << 16});
  CHECK_THROWS_AS(self_check(Device::emulator), OutOfMemory);
}
