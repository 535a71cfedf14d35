// The largest step that a plan may name: every launch of it is one that a card takes.
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/faults.h"
#include "nn/memory_plan.h"
#include "nn/step_forecast.h"
#include "runtime/error.h"

using namespace doppel;

namespace {

StepOptions options_of(const std::string& arch, int people, DType precision) {
  StepOptions options;
  options.arch = architecture(arch);
  for (int p = 0; p < people; ++p) options.people.push_back(std::string(1, char('a' + p)));
  options.precision = precision;
  options.stream.device = Device::emulator;
  return options;
}

// Launches all of a step without its memory: the emulated device was lost with the first launch and has told nobody
// yet, so that it looks at each grid as ever and runs nothing.
void launch_all(const Graph& g, Stream stream) {
  alignas(64) static unsigned char somewhere[64];
  const emulator::Faults faults({.lost_at = 0, .late = true});
  size_t launches = 0;
  for (const Node& node : g.nodes) {
    INFO(node.op->name());
    Arguments a{std::vector<void*>(node.in.size(), somewhere), std::vector<void*>(node.out.size(), somewhere),
                somewhere, stream};
    CHECK_NOTHROW(node.op->run(a));
    CHECK(faults.operations().size() > launches);
    launches = faults.operations().size();
  }
}

}  // namespace

TEST_CASE("the largest batch that a plan names is one that a card launches", "[plan][emulator]") {
  struct Case {
    const char* arch;
    int people;
    DType precision;
    int largest;
  };
  // 2^30 - 1 pixels of 64 x 64, the encoder's input, of all people.
  for (const auto& [arch, people, precision, largest] :
       {Case{"lite", 2, DType::bf16, 131071}, Case{"lite", 16, DType::f32, 16383},
        Case{"original", 2, DType::bf16, 131071}, Case{"original", 3, DType::f32, 87381}}) {
    INFO(arch << ", " << people << " people");
    StepOptions options = options_of(arch, people, precision);
    CHECK(largest_batch(options, {}, 0, SIZE_MAX) == largest);

    const auto layout = declare_parameters(options.arch, options.people);
    options.batch = largest;
    const WarpFaces faces{};
    for (const int sm : {80, 90}) {
      const int before = emulator::options().sm;
      emulator::options().sm = sm;
      launch_all(TrainingStep(options, layout, &faces, true).program().graph(), options.stream);
      emulator::options().sm = before;
    }

    options.batch = largest + 1;
    try {
      plan_memory(options, {}, 0);
      FAIL("a batch that no kernel counts was planned");
    } catch (const UsageError& e) {
      CHECK_THAT(e.what(), Catch::StartsWith("--batch " + std::to_string(largest + 1) + ": "));
      CHECK_THAT(e.what(), Catch::EndsWith("at most --batch " + std::to_string(largest)));
    }
  }
}

// oneDNN ends the process where it gets no memory for a kernel's code.
TEST_CASE("a process that may not have the memory to plan is told so, and lives", "[plan]") {
  StepOptions options = options_of("lite", 2, DType::f32);
  options.stream.device = Device::cpu;
  options.batch = 1;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  statm >> pages;
  rlimit little = before;
  little.rlim_cur = pages * uint64_t(sysconf(_SC_PAGESIZE)) + (uint64_t(64) << 20);
  REQUIRE(setrlimit(RLIMIT_AS, &little) == 0);
  std::string said;
  try {
    plan_memory(options, {}, 0);
  } catch (const OutOfMemory& e) {
    said = e.what();
  }
  REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK_THAT(said, Catch::Contains("ulimit -v"));
}
