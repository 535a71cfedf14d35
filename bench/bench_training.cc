// Trains as `doppel train` does on faces that were packed elsewhere, and measures minutes, losses and swaps on the way.
//
//   bench_training --faces FILE --out DIR [--state DIR] [--device cuda|cpu|emulator] [--arch A] [--iterations N]
//                  [--points N] [--batch N] [--precision bf16|fp32] [--warp X] [--seed N] [--minutes M]
//                  [--save-every S] [--kernel-cache FILE]
//
// FILE is what pack_actors writes. DIR gets training.md, training.json and training.png at every point; the checkpoint
// and what was measured lie in --state (DIR/state). The same command goes on from there, after Ctrl-C, after --minutes
// (of this command, all that it does), and when it was killed; bit for bit on the same machine.
//
// What differs from `doppel train`: no memory is planned, all faces and all values of a step must fit; a card that
// fails the check of its arithmetic ends the run.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <type_traits>

#include "bench/long_training.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"

namespace doppel::bench {
namespace {

// The whole text as a number of at least `least`; UsageError naming the option.
template <typename Number>
Number number(const std::string& option, const std::string& text, Number least) {
  Number value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  bool right = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && value >= least;
  if constexpr (std::is_floating_point_v<Number>) right = right && value <= 1e15;
  if (!right) throw UsageError(option + " " + text + ": give a number, at least " + std::to_string(least));
  return value;
}

constexpr const char* kUsage =
    "usage: bench_training --faces FILE --out DIR [--state DIR] [--device cuda|cuda:N|cpu|emulator]\n"
    "                      [--arch original|lite] [--iterations N] [--points N] [--batch SAMPLES_PER_PERSON]\n"
    "                      [--precision bf16|fp32] [--warp X] [--seed N] [--minutes M] [--save-every SECONDS]\n"
    "                      [--kernel-cache FILE]\n"
    "bench/README.md says what it does.\n";

LongTrainingOptions parse(int argc, char** argv) {
  LongTrainingOptions o;
  o.settings.iterations = 115000;  // of 64 + 64: what 48 hours bought in 2018
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    if (i + 1 >= argc) throw UsageError(key + ": no such option, or its value is missing");
    const std::string value = argv[++i];
    TrainingSettings& s = o.settings;
    if (key == "--faces")
      o.faces = value;
    else if (key == "--out")
      o.out = value;
    else if (key == "--state")
      o.state = value;
    else if (key == "--device")
      o.device = value;
    else if (key == "--arch")
      s.arch = value;
    else if (key == "--precision")
      s.precision = value;
    else if (key == "--kernel-cache")
      o.kernel_cache = value;
    else if (key == "--iterations")
      s.iterations = number<uint64_t>(key, value, 1);
    else if (key == "--points")
      s.points = number<int>(key, value, 1);
    else if (key == "--batch")
      s.batch = number<int>(key, value, 1);
    else if (key == "--warp")
      s.warp = number<double>(key, value, 0);
    else if (key == "--seed")
      s.seed = number<uint64_t>(key, value, 0);
    else if (key == "--minutes")
      o.minutes = number<double>(key, value, 0);
    else if (key == "--save-every")
      o.save_every = number<double>(key, value, 0);
    else
      throw UsageError(key + ": no such option");
  }
  if (o.faces.empty() || o.out.empty()) throw UsageError("give --faces FILE and --out DIR");
  if (!o.settings.precision.empty() && o.settings.precision != "bf16" && o.settings.precision != "fp32")
    throw UsageError("--precision " + o.settings.precision + ": give bf16 or fp32");
  if (o.state.empty()) o.state = (std::filesystem::path(o.out) / "state").string();
  return o;
}

int main_program(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const LongTrainingOptions options = parse(argc, argv);
  LongTraining training(options);
  training.run();
  std::fputs(training.table().c_str(), stdout);
  return 0;
}

int fail(const std::string& why, int code) {
  std::fprintf(stderr, "bench_training: %s\n", why.c_str());
  return code;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  using namespace doppel;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  catch_interrupts();
  try {
    return bench::main_program(argc, argv);
  } catch (const UsageError& e) {
    bench::fail(e.what(), 2);
    std::fputs(bench::kUsage, stderr);
    return 2;
  } catch (const Interrupted& e) {
    return bench::fail(e.what(), 130);
  } catch (const std::bad_alloc&) {
    return bench::fail("out of memory: use a smaller --batch", 1);
  } catch (const std::exception& e) {
    return bench::fail(e.what(), 1);
  }
}
