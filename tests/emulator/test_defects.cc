// Planted defects: the emulator names the class, the kernel and the line of each, and says nothing about the twin that
// is right.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <map>

#include "emulator/defects.h"
#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// The files of planted kernels, and the architecture that each is for.
struct PlantedFile {
  const char* name;
  int sm;
  std::vector<Planted> all;
  bool early_start = false;
};
std::vector<PlantedFile> files() {
  return {{"defects_shared.cu", 80, planted_shared()},     {"defects_bounds.cu", 80, planted_bounds()},
          {"defects_barriers.cu", 80, planted_barriers()}, {"defects_copies.cu", 80, planted_copies()},
          {"defects_global.cu", 80, planted_global()},     {"defects_order.cu", 80, planted_order()},
          {"defects_warps.cu", 80, planted_warps()},       {"defects_unwritten.cu", 80, planted_unwritten()},
          {"defects_tma.cu", 90, planted_tma()},           {"defects_cluster.cu", 90, planted_cluster()},
          {"defects_wgmma.cu", 90, planted_wgmma()},       {"defects_registers.cu", 90, planted_registers()},
          {"defects_early.cu", 80, planted_early(), true}};
}

// Lines of such a file by the mark at their end.
std::map<std::string, int> marked_lines(const std::string& name) {
  std::ifstream file(DOPPEL_DEFECTS "/" + name);
  REQUIRE(file);
  std::map<std::string, int> lines;
  const std::string mark = "// <- ";
  std::string text;
  for (int line = 1; std::getline(file, text); ++line)
    if (const size_t at = text.find(mark); at != std::string::npos) lines[text.substr(at + mark.size())] = line;
  return lines;
}

// What the launch throws; "" when it does not.
std::string report(void (*run)(const Ground&, Stream), emulator::Defect& defect) {
  Buffer out(DType::f32, Doubles(Ground::kSize)), in(DType::f32, uniform(1, Ground::kSize));
  Buffer fresh(DType::f32, Ground::kSize);
  Values<unsigned> counters(4);
  for (int i = 0; i < 4; ++i) counters[i] = 0;
  try {
    run({out.f32(), in.f32(), counters.data(), fresh.f32()}, Stream{Device::emulator});
  } catch (const emulator::KernelError& e) {
    defect = e.defect();
    return e.what();
  }
  CHECK(out.guards_intact());
  CHECK(in.guards_intact());
  return "";
}

}  // namespace

TEST_CASE("every planted defect is caught by class, kernel and line", "[emulator]") {
  using emulator::Order;
  for (const PlantedFile& file : files()) {
    const auto lines = marked_lines(file.name);
    for (const Planted& p : file.all) {
      if (p.checked_only && !emulator::checked()) continue;
      for (const Order order : {Order::forward, Order::reverse, Order::shuffled}) {
        INFO(p.name << ", order " << int(order));
        emulator::options().blocks = emulator::options().warps = order;
        emulator::options().sm = file.sm;
        emulator::options().early_start = file.early_start;
        emulator::Defect defect{};
        const std::string text = report(p.wrong, defect);
        emulator::options() = {};
        CAPTURE(text);
        CHECK(text.starts_with(emulator::name_of(p.defect) + std::string(": kernel ") + p.name + "<false>"));
        CHECK(defect == p.defect);
        if (p.defect == emulator::Defect::launch) continue;  // is about the launch and its arrays
        REQUIRE(lines.count(p.name) == 1);
        const std::string place = std::string(file.name) + ":" + std::to_string(lines.at(p.name));
        CHECK(text.find(place) != std::string::npos);
        CHECK(text.find(" block (") != std::string::npos);
        CHECK(text.find("thread (") != std::string::npos);
      }
    }
  }
}

TEST_CASE("the right twins of the planted defects are silent", "[emulator]") {
  using emulator::Order;
  for (const PlantedFile& file : files())
    for (const Planted& p : file.all)
      for (const Order order : {Order::forward, Order::reverse, Order::shuffled}) {
        INFO(p.name << ", order " << int(order));
        emulator::options().blocks = emulator::options().warps = order;
        emulator::options().sm = file.sm;
        emulator::options().early_start = file.early_start;
        emulator::Defect defect{};
        const std::string text = report(p.right, defect);
        emulator::options() = {};
        CHECK(text == "");
      }
}

TEST_CASE("a kernel that ends without waiting for those before it is named", "[emulator]") {
  const Stream stream{Device::emulator};
  CHECK_NOTHROW(leave_without_waiting(false, stream));
  emulator::options().early_start = true;
  CHECK_NOTHROW(leave_without_waiting(true, stream));
  CHECK_THROWS_WITH(leave_without_waiting(false, stream),
                    "too early: kernel waits_on_some_ways block (0,0,0) thread (7,0,0) has left the kernel without "
                    "wait_for_earlier_kernels()");
  emulator::options() = {};
}

TEST_CASE("a block of a cluster that overwrites what another reads is caught in every order", "[emulator]") {
  using emulator::Order;
  for (const Order order : {Order::forward, Order::reverse, Order::shuffled}) {
    if (!emulator::checked()) break;
    emulator::options().blocks = emulator::options().warps = order;
    emulator::options().sm = 90;
    emulator::Defect defect{};
    const std::string text = report(run_counts_its_own_alone, defect);
    emulator::options() = {};
    CAPTURE(text);
    CHECK((defect == emulator::Defect::shared_race || defect == emulator::Defect::copy_not_waited_for));
    CHECK(text.find("defects_cluster.cu:") != std::string::npos);
  }
}

TEST_CASE("a deadlock of a cluster tells who waits in each of its blocks", "[emulator]") {
  const std::vector<Planted> kernels = planted_cluster();
  const auto found = std::find_if(kernels.begin(), kernels.end(),
                                  [](const Planted& p) { return p.name == std::string("half_to_its_own_block"); });
  REQUIRE(found != kernels.end());
  emulator::options().sm = 90;
  emulator::Defect defect{};
  const std::string text = report(found->wrong, defect);
  emulator::options() = {};
  for (const char* block : {" block (0,0,0): ", "; block (1,0,0): "})
    CHECK_THAT(text, Catch::Contains(std::string(block) + "0 of 64 threads have left, the others wait; "));
  CHECK_THAT(text, Catch::Contains(" at an mbarrier for parity 0 (0 arrivals and 8192 bytes are missing) at "));
}

TEST_CASE("memory holds nothing until a kernel or the host has written it", "[emulator]") {
  Buffer out(DType::f32, Doubles(Ground::kSize)), in(DType::f32, uniform(1, Ground::kSize));
  Buffer fresh(DType::f32, Ground::kSize);
  const auto unwritten = [&] { return emulator::bytes_unwritten(fresh.data(), size_t(fresh.bytes())); };
  const auto all_but = [](size_t elements) {
    return emulator::checked() ? (size_t(Ground::kSize) - elements) * sizeof(float) : 0;
  };
  CHECK(unwritten() == all_but(0));
  const std::vector<Planted> kernels = planted_unwritten();
  const auto first = std::find_if(kernels.begin(), kernels.end(),
                                  [](const Planted& p) { return p.name == std::string("adds_to_nothing"); });
  REQUIRE(first != kernels.end());
  const Ground ground{out.f32(), in.f32(), nullptr, fresh.f32()};
  first->right(ground, Stream{Device::emulator});  // sets 128
  CHECK(unwritten() == all_but(128));
  CHECK_NOTHROW(first->wrong(ground, Stream{Device::emulator}));  // and now they may be added to
  fresh.set(1000, 1);
  CHECK(unwritten() == all_but(129));
  emulator::forget_contents(fresh.data(), 4 * sizeof(float));
  // What nobody hears of is seen when a kernel reads it.
  for (int i = 0; i < 4; ++i) fresh.f32()[i] = 1;
  CHECK_NOTHROW(first->wrong(ground, Stream{Device::emulator}));
  CHECK(unwritten() == all_but(129));
}

#if !defined(__SANITIZE_ADDRESS__)  // which reports it itself
TEST_CASE("a kernel whose thread runs out of stack is named before the process dies", "[emulator]") {
  Buffer out(DType::f32, Ground::kSize), in(DType::f32, uniform(1, Ground::kSize));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGSEGV, SIG_DFL);  // Catch's
    run_out_of_stack({out.f32(), in.f32(), nullptr, nullptr}, Stream{Device::emulator});
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof(buffer))) > 0;) text.append(buffer, size_t(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
  CHECK_THAT(text, Catch::Contains("stack overflow: kernel large_variables block (0,0,0) thread (0,0,0) "));
}
#endif
