// Training whose checkpoints are written beside it: what fails there ends it as it would here, and what stops training
// lets them end.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "nn/checkpoint.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "tools/stage.h"
#include "tools/train.h"

using namespace doppel;

namespace {

namespace fs = std::filesystem;

TrainCommand command(const std::string& model, uint64_t iterations, double save_every) {
  TrainCommand c;
  c.people = {{"a", stage().a_faces}, {"b", stage().b_faces}};
  c.model = model;
  c.arch = "tiny";
  c.iterations = iterations;
  c.batch = 2;
  c.precision = "fp32";
  c.device = "cpu";
  c.save_every = save_every;
  return c;
}

constexpr double kAlways = 0, kNever = 1e6;  // seconds between checkpoints

std::string weights_of(const std::string& model) {
  const uint64_t n = load_description(model).iterations;
  return read_bytes(model + "/weights-" + std::to_string(n) + ".safetensors");
}

// The file that a checkpoint is written to before it gets its name, of an iteration that is not 0.
bool checkpoint_is_written(const std::string& model) {
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(model, gone)) {
    const std::string name = entry.path().filename().string();
    if (contains(name, ".safetensors.new-") && !name.starts_with("weights-0.")) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a checkpoint that cannot be written in the background ends training with one line") {
  const TemporaryFolder folder;
  const std::string model = folder / "model";
  run_training(command(model, 1, kNever));
  const std::string before = weights_of(model);
  // In the way of the second iteration's.
  const std::string obstacle = model + "/weights-2.safetensors.new-" + std::to_string(getpid());
  fs::create_directories(obstacle + "/in the way");
  std::string said;
  try {
    run_training(command(model, 400, kAlways));
  } catch (const Error& e) {
    said = e.what();
  }
  CAPTURE(said);
  CHECK(said.rfind(model + "/weights-2.safetensors: cannot write", 0) == 0);
  CHECK(contains(said, model + " holds iteration 1, the same command goes on from there"));
  CHECK_FALSE(contains(said, "\n"));
  CHECK(load_description(model).iterations == 1);
  CHECK_NOTHROW(check_weights(model));
  CHECK(weights_of(model) == before);

  fs::remove_all(obstacle);
  run_training(command(model, 3, kAlways));
  CHECK(load_description(model).iterations == 3);
}

TEST_CASE("Ctrl-C while a checkpoint is written leaves a whole one, and the run goes on to the same end") {
  constexpr uint64_t kEnd = 100;
  const TemporaryFolder folder;
  const std::string whole = folder / "whole", model = folder / "model";
  run_training(command(whole, kEnd, kNever));

  catch_interrupts();
  std::atomic<bool> over{false};
  std::thread user([&] {
    while (!over && !checkpoint_is_written(model)) std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::raise(SIGINT);
  });
  std::string said;
  try {
    run_training(command(model, kEnd, kAlways));
  } catch (const Interrupted& e) {
    said = e.what();
  }
  over = true;
  user.join();
  catch_interrupts();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);

  const uint64_t n = load_description(model).iterations;
  CAPTURE(said, n);
  CHECK(contains(said, "stopped after iteration " + std::to_string(n)));
  REQUIRE(n < kEnd);
  CHECK_NOTHROW(check_weights(model));
  CHECK_FALSE(checkpoint_is_written(model));
  run_training(command(model, kEnd, kAlways));
  const bool same = weights_of(model) == weights_of(whole);
  CHECK(same);
}
