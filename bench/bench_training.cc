// Trains as `doppel train` does on faces that were packed elsewhere, and measures minutes, losses and swaps on the way.
//
// --faces is what pack_actors writes. --out gets training.md, training.json and training.png at every point; the
// checkpoint and what was measured lie in --state. The same command goes on from there, after Ctrl-C, after --minutes
// (of this command, all that it does), and when it was killed; bit for bit on the same machine.
//
// What differs from `doppel train`: no memory is planned, all faces and all values of a step must fit; a card that
// fails the check of its arithmetic ends the run.
#include <cstdio>
#include <filesystem>
#include <string>

#include "bench/long_training.h"
#include "bench/options.h"
#include "bench/program.h"

namespace doppel::bench {
namespace {

int run(int argc, char** argv) {
  LongTrainingOptions o;
  TrainingSettings& s = o.settings;
  s.iterations = 115000;  // of 64 + 64: what 48 hours bought in 2018
  Options options(
      "bench_training",
      "Trains as doppel train does on faces that pack_actors packed, and measures minutes, losses and swaps "
      "on\nthe way. The same command goes on from where it was stopped.");
  options.text("--faces", "FILE", o.faces, "The faces; needed");
  options.text("--out", "DIR", o.out, "Gets training.md, training.json and training.png at every point; needed");
  options.text("--state", "DIR", o.state, "Has the checkpoint and what was measured [the folder state in --out]");
  options.text("--device", "cuda|cuda:N|cpu|emulator", o.device, "Where");
  options.text("--arch", "original|lite", s.arch, "The architecture; the faces are packed for one");
  options.number("--iterations", "N", uint64_t(1), uint64_t(1) << 48, s.iterations, "Of the whole training");
  options.number("--points", "N", 1, 1000, s.points, "How often swaps are measured");
  options.number("--batch", "N", 1, kMostBatch, s.batch, "Samples of each of the two [the architecture's]");
  options.choice("--precision", {"bf16", "fp32"}, s.precision, "[bf16 where the card or the processor has it]");
  options.number("--warp", "X", 0.0, 4.0, s.warp, "As in doppel train");
  options.number("--seed", "N", uint64_t(0), UINT64_MAX, s.seed, "What the random numbers start from");
  options.number("--minutes", "M", 0.0, 1e6, o.minutes, "Of this command, all that it does [to the end]");
  options.number("--save-every", "S", 0.0, 1e6, o.save_every, "Seconds between checkpoints");
  options.text("--kernel-cache", "FILE", o.kernel_cache, "Times of a card's kernels [the file of doppel train]");
  if (!options.parse(argc, argv)) return 0;
  if (o.state.empty()) o.state = (std::filesystem::path(o.out) / "state").string();
  LongTraining training(o);
  training.run();
  std::fputs(training.table().c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  return doppel::bench::run_program("bench_training", argc, argv, doppel::bench::run);
}
