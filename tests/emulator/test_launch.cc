// Launches that no card would take.
#include <catch2/catch.hpp>

#include "emulator/instructions.h"
#include "kernels/device/launch_limits.h"
#include "kernels/emulator/emulator.h"
#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

TEST_CASE("launches are held to the limits of the architecture", "[emulator]") {
  const Stream stream{Device::emulator};
  Values<float> out(1);
  const auto run = [&](int sm, int bytes, int threads) {
    emulator::options().sm = sm;
    std::string problem;
    try {
      run_shared(out.data(), bytes, threads, stream);
    } catch (const emulator::KernelError& e) {
      CHECK(e.defect() == emulator::Defect::launch);
      problem = e.what();
    }
    emulator::options() = {};
    return problem;
  };
  CHECK(run(80, 1, 1) == "");
  CHECK(run(80, 163 << 10, 1) == "");
  CHECK(run(80, (163 << 10) + 1, 1) == "launch: kernel shared: 166913 bytes of shared memory, at most 166912 on sm_80");
  CHECK(run(90, 227 << 10, 1) == "");
  CHECK(run(86, 100 << 10, 1) != "");
  CHECK(run(89, 99 << 10, 1) == "");
  CHECK(run(120, 99 << 10, 1) == "");
  CHECK(run(120, 227 << 10, 1) != "");
  CHECK(run(80, 1, 0) == "launch: kernel shared: block.x is 0, must be 1 .. 1024 on sm_80");
  CHECK(run(80, 1, 1025) != "");
}

TEST_CASE("the limits of grids and blocks", "[emulator]") {
  const LaunchLimits& a = launch_limits(80);
  CHECK(launch_problem({{0x7FFFFFFF, 65535, 65535}, {1024, 1, 1}, 0}, a) == "");
  CHECK(launch_problem({{0x80000000u, 1, 1}, {1, 1, 1}, 0}, a) != "");
  CHECK(launch_problem({{1, 65536, 1}, {1, 1, 1}, 0}, a) != "");
  CHECK(launch_problem({{1, 1, 65536}, {1, 1, 1}, 0}, a) != "");
  CHECK(launch_problem({{1, 0, 1}, {1, 1, 1}, 0}, a) != "");
  CHECK(launch_problem({{1, 1, 1}, {1, 1, 65}, 0}, a) != "");
  CHECK(launch_problem({{1, 1, 1}, {32, 32, 1}, 0}, a) == "");
  CHECK(launch_problem({{1, 1, 1}, {32, 33, 1}, 0}, a) == "1056 threads in a block, at most 1024 on sm_80");
  const std::string beyond = "64 threads in a block, at most 32 by its __launch_bounds__";
  CHECK(launch_problem({{1, 1, 1}, {8, 4, 1}, 0, 32}, a) == "");
  CHECK(launch_problem({{1, 1, 1}, {8, 4, 2}, 0, 32}, a) == beyond);
  const LaunchLimits& hopper = launch_limits(90);
  CHECK(launch_problem({{6, 1, 1}, {32, 1, 1}, 0, 32, 2}, hopper) == "");
  CHECK(launch_problem({{8, 3, 1}, {32, 1, 1}, 0, 32, 8}, hopper) == "");
  CHECK(launch_problem({{6, 1, 1}, {32, 1, 1}, 0, 32, 2}, a) == "clusters of 2 blocks, there are none on sm_80");
  CHECK(launch_problem({{7, 2, 1}, {32, 1, 1}, 0, 32, 2}, hopper) ==
        "clusters of 2 blocks, must be 1 .. 8 and divide grid.x, which is 7");
  CHECK(launch_problem({{16, 1, 1}, {32, 1, 1}, 0, 32, 16}, hopper) != "");
  CHECK(launch_problem({{16, 1, 1}, {32, 1, 1}, 0, 32, 0}, hopper) != "");
  CHECK(launch_limits(75).sm == 80);
  CHECK(launch_limits(87).sm == 86);
  CHECK(launch_limits(100).sm == 90);
  CHECK(launch_limits(121).sm == 120);
}
