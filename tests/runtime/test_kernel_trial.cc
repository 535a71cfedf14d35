// What a start knows of the last one's end: the kernel in whose trial the device failed or the process was killed.
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "kernels/device_error.h"
#include "runtime/atomic_file.h"
#include "runtime/kernel_cache.h"
#include "runtime/tuner_bench.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("tuner: a device that fails is told with the kernel that was tried", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const auto lost = [](const Operator&) -> double { throw DeviceError("lost"); };
  for (int run = 0; run < 2; ++run) {  // the second knows of the first, and has nothing else to begin with
    CHECK_THROWS_AS(bench.tune(g, lost), DeviceError);
    CHECK(bench.was_told("the last start ended while") == (run == 1));
    CHECK(bench.timed == 1);
  }
  CHECK_THROWS_WITH(bench.tune(g, lost), Catch::Contains("lost; kernels were being timed (") &&
                                             Catch::EndsWith("which \"untimed\" leaves out"));
}

TEST_CASE("tuner: a kernel in whose trial the device failed is left out by the next start", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const std::string product = g.nodes.front().op->product();
  const KernelChoice bad = g.nodes.front().op->choices(kEmulator).back();
  REQUIRE(g.nodes.front().op->choices(kEmulator).size() > 2);
  // It would be chosen.
  const auto one_fails = [&](const Operator& op) {
    if (op.product() == product && op.choice() == bad) throw DeviceError("lost");
    return last_is_fastest(op);
  };
  CHECK_THROWS_WITH(bench.tune(g, one_fails), Catch::Contains(to_string(bad) + " for " + product) &&
                                                  Catch::Contains("start again, which leaves that one out"));
  const int first = bench.timed;
  REQUIRE(first > 1);
  REQUIRE(fs::exists(bench.file + ".trying"));
  Graph again = network(), all = network();
  bench.tune(again, one_fails);
  const int second = bench.timed;
  CHECK(bench.was_told(product + ": the last start ended while " + to_string(bad) + " was tried; left out"));
  CHECK(again.nodes.front().op->choice() != bad);
  CHECK_FALSE(fs::exists(bench.file + ".trying"));
  // What had been timed before it was kept.
  Graph third = network();
  CHECK(bench.tune(third, one_fails).timed == 0);
  CHECK(bench.told.empty());
  CHECK(chosen(third) == chosen(again));
  fs::remove(bench.file);
  CHECK(bench.tune(all, last_is_fastest).timed == first + second);
}

TEST_CASE("tuner: a kernel that never comes back is left out once its process was killed", "[tuner]") {
  TunerBench bench;
  Graph g = network();
  const std::string product = g.nodes.front().op->product();
  const KernelChoice bad = g.nodes.front().op->choices(kEmulator).back();
  const pid_t child = fork();
  if (child == 0) {
    bench.tune(g, [&](const Operator& op) {
      if (op.product() == product && op.choice() == bad) kill(getpid(), SIGKILL);
      return last_is_fastest(op);
    });
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  bench.tune(g, last_is_fastest);
  CHECK(bench.was_told(product + ": the last start ended while " + to_string(bad) + " was tried; left out"));
  CHECK(g.nodes.front().op->choice() != bad);
  CHECK(g.nodes.front().op->choice() != KernelChoice{});
}

TEST_CASE("tuner: another process that is timing is not taken for a dead one", "[tuner]") {
  TunerBench bench;
  bool nested = false;
  const auto another_starts = [&](const Operator& op) {
    if (!nested) {
      nested = true;
      Tuning tuning;
      tuning.candidates = Candidates::handwritten;
      tuning.cache = bench.file;
      tuning.tell = [](const std::string& line) { CHECK(line.find("the last start ended") == std::string::npos); };
      tuning.seconds = last_is_fastest;
      Graph theirs = network();
      choose_kernels(theirs, kEmulator, tuning);
      CHECK(fs::exists(bench.file + ".trying"));
    }
    return last_is_fastest(op);
  };
  Graph g = network();
  bench.tune(g, another_starts);
  CHECK(nested);
  CHECK_FALSE(fs::exists(bench.file + ".trying"));
}

TEST_CASE("tuner: a trial of other kernels or of another device says nothing, nor one that was cut off", "[tuner]") {
  TunerBench bench;
  fs::create_directories(fs::path(bench.file).parent_path());
  Graph g = network();
  const std::string product = g.nodes.front().op->product(), bad = to_string(g.nodes.front().op->choices(kEmulator)[1]);
  for (const std::string& text :
       {"emulator 0123456789abcdef\n" + product + "\n" + bad + "\nchosen\n", std::string("emulator"), std::string()}) {
    fs::remove(bench.file);
    write_file(bench.file + ".trying", text);
    bench.tune(g, by_splits);
    CHECK(bench.told.size() == 1);
    CHECK_FALSE(fs::exists(bench.file + ".trying"));
  }
}
