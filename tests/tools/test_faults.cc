// Training on a device that fails or has no room: one line that says where the run stands, and a whole checkpoint that
// another device goes on from. The emulator is the device, and fails where it is told to.
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>

#include "kernels/emulator/faults.h"
#include "nn/trainer.h"
#include "runtime/devices.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "tools/stage.h"
#include "tools/train.h"
#include "tools/trusted_device.h"

using namespace doppel;
using emulator::FaultPlan;
using emulator::Faults;
using emulator::Operation;

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kIterations = 2;

TrainCommand command(const std::string& model, const std::string& device, uint64_t iterations = kIterations) {
  TrainCommand c;
  c.people = {{"a", stage().a_faces}, {"b", stage().b_faces}};
  c.model = model;
  c.arch = "tiny";
  c.iterations = iterations;
  c.precision = "fp32";
  c.device = device;
  c.save_every = 0;  // after each iteration
  return c;
}

// What stops the command.
std::string error_of(const TrainCommand& c) {
  try {
    run_training(c);
  } catch (const Interrupted&) {
    FAIL("it failed, whatever else happened");
  } catch (const Error& e) {
    return e.what();
  }
  FAIL("nothing was thrown");
  return "";
}

// All that a checkpoint keeps of the run.
std::vector<float> state_of(const std::string& folder) {
  const ModelDescription model = load_description(folder);
  const Architecture arch = architecture(model.architecture);
  ParameterStore store = make_store(declare_parameters(arch, model.people), DType::f32, true);
  load_parameters(folder, store, true);
  std::vector<float> all;
  for (const Buffer* b : {&store.weights, &store.m, &store.v, &store.average})
    all.insert(all.end(), b->as<float>(), b->as<float>() + b->bytes() / sizeof(float));
  return all;
}

bool equal(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Undisturbed {
  std::vector<std::vector<float>> states;  // [n]: what a run of n iterations on the emulator keeps
  std::vector<Operation> operations;       // of the longest
};

const Undisturbed& undisturbed() {
  static const Undisturbed made = [] {
    Undisturbed u;
    const TemporaryFolder folder;
    u.states.resize(1);
    for (uint64_t n = 1; n <= kIterations; ++n) {
      const std::string model = folder / std::to_string(n);
      const Faults none({});
      run_training(command(model, "emulator", n));
      u.operations = none.operations();
      u.states.push_back(state_of(model));
    }
    // The last is the wait in a destructor, when all is saved: nobody need hear of that.
    u.operations.pop_back();
    return u;
  }();
  return made;
}

// Two operations of each kind: one in the middle, and the last.
std::vector<uint64_t> some_operations(const std::vector<Operation>& all) {
  std::vector<uint64_t> some;
  for (int kind = 0; kind < emulator::kOperations; ++kind) {
    std::vector<uint64_t> of_kind;
    for (uint64_t i = 0; i < all.size(); ++i)
      if (all[i] == Operation(kind)) of_kind.push_back(i);
    REQUIRE_FALSE(of_kind.empty());
    for (const size_t n : {of_kind.size() / 2, of_kind.size() - 1}) some.push_back(of_kind[n]);
  }
  return some;
}

bool holds(const std::string& folder) {
  return fs::exists(folder + "/model.json");
}

}  // namespace

TEST_CASE("a device that fails leaves a whole checkpoint and one line", "[faults]") {
  const std::vector<Operation>& all = undisturbed().operations;
  std::set<uint64_t> held;
  int nothing = 0;
  bool late = false;
  for (const uint64_t k : some_operations(all)) {
    late = !late;
    INFO("operation " << k << ", " << emulator::name_of(all[k]) << (late ? ", late" : ""));
    const TemporaryFolder folder;
    const std::string model = folder / "model";
    std::string said;
    {
      const Faults faults({.lost_at = k, .late = late});
      said = error_of(command(model, "emulator"));
    }
    CAPTURE(said);
    CHECK(contains(said, "the emulator failed after iteration "));
    CHECK(contains(said, "the device is lost"));
    CHECK_FALSE(contains(said, "\n"));
    if (!holds(model)) {
      CHECK(contains(said, "holds no checkpoint yet"));
      ++nothing;
      continue;
    }
    const uint64_t n = load_description(model).iterations;
    CHECK(contains(said, model + " holds iteration " + std::to_string(n) + ", the same command goes on from there"));
    REQUIRE(n <= kIterations);
    CHECK_NOTHROW(check_weights(model));
    if (n > 0) CHECK(equal(state_of(model), undisturbed().states[n]));
    if (!held.insert(n).second || held.size() > 1) continue;
    // Once: another device goes on from it, and so does this one, as if nothing had been.
    copy_folder(model, folder / "copy");
    run_training(command(folder / "copy", "cpu", kIterations + 1));
    CHECK(load_description(folder / "copy").iterations == kIterations + 1);
    run_training(command(model, "emulator"));
    CHECK(equal(state_of(model), undisturbed().states[kIterations]));
  }
  CHECK(nothing > 0);
  CHECK(held.size() >= 2);
}

TEST_CASE("a device that fails while Ctrl-C is obeyed fails, and the checkpoint stands", "[faults]") {
  const TemporaryFolder folder;
  // In the last launch of the first iteration.
  uint64_t ctrl_c = 0;
  {
    const Faults none({});
    run_training(command(folder / "one", "emulator", 1));
    const std::vector<Operation> one = none.operations();
    for (uint64_t i = 0; i < one.size(); ++i)
      if (one[i] == Operation::launch) ctrl_c = i;
  }
  std::vector<Operation> all;
  {
    catch_interrupts();
    const Faults faults({.interrupted_at = ctrl_c});
    CHECK_THROWS_AS(run_training(command(folder / "whole", "emulator")), Interrupted);
    all = faults.operations();
  }
  const uint64_t whole = load_description(folder / "whole").iterations;
  REQUIRE(whole == 1);
  std::vector<uint64_t> downloads;  // of the last losses, of what is saved, of the preview
  for (uint64_t i = ctrl_c; i < all.size(); ++i)
    if (all[i] == Operation::download) downloads.push_back(i);
  REQUIRE(downloads.size() > 2);
  for (const bool late : {false, true})
    for (const uint64_t lost_at : {downloads.front(), downloads[downloads.size() / 2], downloads.back()}) {
      INFO("operation " << lost_at << " of " << all.size() << (late ? ", late" : ""));
      const std::string model = folder / (std::to_string(lost_at) + (late ? " late" : " at once"));
      catch_interrupts();
      const Faults faults({.lost_at = lost_at, .late = late, .interrupted_at = ctrl_c});
      CHECK(contains(error_of(command(model, "emulator")), "the emulator failed after iteration "));
      CHECK_NOTHROW(check_weights(model));
      const uint64_t n = load_description(model).iterations;
      REQUIRE(n <= whole);
      if (n > 0) CHECK(equal(state_of(model), undisturbed().states[n]));
    }
  catch_interrupts();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

TEST_CASE("a device with no room refuses a run, new or old, and touches no checkpoint", "[faults]") {
  const TemporaryFolder folder;
  const std::string fresh = folder / "fresh", old = folder / "old";
  run_training(command(old, "cpu", 1));
  const auto before = snapshot(old);
  const auto run = [&](const std::string& model, size_t memory) {
    const Faults faults({.memory = memory});
    return error_of(command(model, "emulator"));
  };
  // The first megabyte is not enough for the faces, and what they take is not enough for the rest.
  size_t faces = 0;
  for (const std::string& set : {stage().a_faces, stage().b_faces})
    for (const auto& entry : fs::directory_iterator(set))
      faces += entry.path().extension() == ".jpg" ? size_t(3) * 256 * 256 : 0;
  for (const size_t memory : {size_t(1) << 20, faces + 4096}) {
    const std::string said = run(fresh, memory);
    CAPTURE(said);
    CHECK(contains(said, "out of memory: "));
    CHECK(contains(said, "MiB are free"));
    CHECK(contains(said, "smaller --batch"));
    CHECK(contains(said, "holds no checkpoint yet"));
    CHECK_FALSE(contains(said, "\n"));
    CHECK_FALSE(holds(fresh));
    CHECK(contains(run(old, memory), old + " holds iteration 1"));
    CHECK(snapshot(old) == before);
  }
  run_training(command(old, "emulator", 2));
  CHECK(load_description(old).iterations == 2);
}

TEST_CASE("a device that computes wrongly, or cannot be used, is not trained on", "[faults]") {
  CHECK(check_device(Device::emulator, "auto") == Device::emulator);
  const auto refused = [](const FaultPlan& plan) {
    {
      const Faults faults(plan);
      CHECK(check_device(Device::emulator, "auto") == Device::cpu);
    }
    const Faults faults(plan);
    std::string said;
    try {
      check_device(Device::emulator, "cuda:1");
    } catch (const Error& e) {
      said = e.what();
    }
    CHECK(said.rfind("--device cuda:1: ", 0) == 0);
    CHECK(contains(said, "use --device cpu"));
    CHECK_FALSE(contains(said, "\n"));
    return said;
  };
  CHECK(contains(refused({.left_out = 100}), "please report this line"));  // a launch
  const std::string lost = refused({.lost_at = 100});
  CHECK(contains(lost, "it cannot be used: emulator: the device is lost"));
  CHECK_FALSE(contains(lost, "please report this line"));
}

TEST_CASE("a device that has no room for the check of its arithmetic is not called wrong, nor silently left",
          "[faults]") {
  const Faults faults({.memory = 1 << 16});
  for (const char* name : {"auto", "cuda:1"}) {
    std::string said;
    try {
      check_device(Device::emulator, name);
    } catch (const OutOfMemory& e) {
      said = e.what();
    }
    CAPTURE(name, said);
    CHECK(said.rfind("out of memory: ", 0) == 0);
    CHECK(contains(said, " were asked for and "));
    CHECK(contains(said, "checks the card before it trains"));
    CHECK(contains(said, "or use --device cpu"));
    CHECK_FALSE(contains(said, "--batch"));
    CHECK_FALSE(contains(said, "arithmetic"));
    CHECK_FALSE(contains(said, "\n"));
  }
}
