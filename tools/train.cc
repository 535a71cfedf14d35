#include "tools/train.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <new>
#include <optional>

#include "kernels/device_error.h"
#include "media/face_set.h"
#include "nn/swapper.h"
#include "nn/trainer.h"
#include "runtime/atomic_file.h"
#include "runtime/clock.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "runtime/kernel_cache.h"
#include "tools/preview_file.h"
#include "tools/progress.h"
#include "tools/step_options.h"
#include "tools/training_faces.h"
#include "tools/trusted_device.h"

namespace doppel {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFewestFaces = 8;

std::vector<FaceSet> load_sets(const TrainCommand& c) {
  std::vector<FaceSet> sets;
  for (const auto& [name, path] : c.people) {
    sets.push_back(FaceSet::load(path));
    const FaceSet& set = sets.back();
    if (set.faces.size() < kFewestFaces)
      throw Error(path + ": " + std::to_string(set.faces.size()) + " faces are too few to learn " + name + " from (" +
                  std::to_string(kFewestFaces) +
                  " at least, hundreds for a good swap); extract from more or longer clips");
    if (set.header.size != sets.front().header.size || set.header.coverage != sets.front().header.coverage)
      throw Error(path + ": its crops have another size or coverage than those of " + c.people.front().second +
                  "; extract both with the same --size and --coverage");
    if (set.deleted > 0)
      std::fprintf(stderr, "%s: %d faces whose crops were deleted are left out\n", path.c_str(), set.deleted);
  }
  return sets;
}

// What the user asked for on top of the model that is there, or of the architecture's defaults.
ModelDescription describe_model(const TrainCommand& c, const std::vector<FaceSet>& sets, bool resuming, Device device) {
  ModelDescription m;
  if (resuming) {
    m = load_description(c.model);
    std::vector<std::string> names;
    for (const auto& person : c.people) names.push_back(person.first);
    if (names != m.people) {
      std::string known;
      for (const auto& p : m.people) known += (known.empty() ? "" : ", ") + p;
      throw UsageError(c.model + ": this model knows " + known +
                       " in this order; name the same people, or train into a new folder");
    }
    if (c.arch_given && c.arch != m.architecture)
      throw UsageError("--arch " + c.arch + ": " + c.model + " is a " + m.architecture +
                       " model; leave --arch out, or train into a new folder");
    if (m.face_size != sets.front().header.size || m.coverage != sets.front().header.coverage)
      throw Error(c.model + ": trained on face sets of another size or coverage; extract with --size " +
                  std::to_string(m.face_size) + " --coverage " + std::to_string(m.coverage));
    if (c.seed && *c.seed != m.seed)
      throw UsageError("--seed: " + c.model + " was started with --seed " + std::to_string(m.seed) +
                       "; leave --seed out, or train into a new folder");
    // Their second moments are not of one kind: AdaBelief's would send Adam leaping.
    if (c.optimizer && *c.optimizer != m.optimizer)
      throw UsageError("--optimizer: " + c.model + " was started with --optimizer " + m.optimizer +
                       "; leave --optimizer out, or train into a new folder");
  } else {
    const Architecture a = architecture(c.arch);
    m.architecture = a.name;
    for (const auto& person : c.people) m.people.push_back(person.first);
    m.face_size = sets.front().header.size;
    m.coverage = sets.front().header.coverage;
    m.face_only = a.face_only;
    m.batch = a.batch;
    m.lr = a.lr;
    m.seed = c.seed.value_or(1);
    m.precision = usual_precision(device);
  }
  if (c.batch) m.batch = *c.batch;
  if (c.lr) m.lr = float(*c.lr);
  if (c.warp) m.warp = float(*c.warp);
  if (c.optimizer) m.optimizer = *c.optimizer;
  if (c.lr_dropout) m.lr_dropout = float(*c.lr_dropout);
  if (c.clip) m.clip = float(*c.clip);
  if (c.precision) m.precision = *c.precision;
  return m;
}

// Where the face sets are to lie, and what is computed again. Prints what the run needs, and refuses a run that would
// not fit.
MemoryPlan check_memory(const TrainCommand& c, const ModelDescription& m, Device device,
                        const std::vector<FaceSet>& sets) {
  StepOptions options = step_options(m);
  options.stream.device = device;
  options.recompute = c.recompute;
  const bool card = device == Device::cuda;
  const size_t host = memory_there(), there = card ? available_memory(device) : host;
  FaceSets faces;
  for (const FaceSet& set : sets) faces.bytes.push_back(set.pixel_bytes());
  faces.host_budget = host_face_budget(host);
  limit_faces(faces, device, c.face_memory);
  MemoryPlan plan = plan_memory(options, faces, Trainer::kPreviewRows, there);
  check_face_memory(plan, faces);
  if (plan.device() > there) {
    const int fits = largest_batch(options, faces, Trainer::kPreviewRows, there);
    throw Error("--batch " + std::to_string(m.batch) + " needs more memory than the " + mib_text(there) + " there are" +
                (card ? " on the card; " : "; ") +
                (fits > 0 ? "--batch " + std::to_string(fits) + " would fit"
                          : "not even --batch 1 fits: use fewer people or faces" +
                                std::string(m.architecture == "lite" ? "" : ", or --arch lite")));
  }
  if (plan.host() > host)
    throw Error("beside the card " + mib_text(plan.host()) + " of memory are needed, and there are " + mib_text(host) +
                "; close other programs, or use fewer faces");
  add_checkpoint_copy(plan, host);
  std::fprintf(stderr, "memory: %s\n", to_string(plan).c_str());
  if (!plan.recomputed.empty())
    std::fprintf(stderr, "%s%s\n", c.recompute == Recompute::automatic ? "to fit into the memory, " : "",
                 recomputation_text(plan).c_str());
  return plan;
}

std::string loss_note(const Trainer& t) {
  std::string note = "loss";
  char text[32];
  for (size_t p = 0; p < t.model().people.size(); ++p) {
    std::snprintf(text, sizeof text, " %.4f", double(t.smooth_losses()[p]));
    note += " " + t.model().people[p] + text;
  }
  return note;
}

// Training writes for hours: find out now whether it can.
void check_folder(const std::string& folder) {
  std::error_code error;
  if (fs::exists(folder) && !fs::is_directory(folder))
    throw Error(folder + ": there is a file of that name; give a folder for the model");
  if (fs::is_directory(folder) && !fs::is_empty(folder, error) && !model_exists(folder))
    throw Error(folder + ": the folder is not empty and holds no model of doppel's; give a new folder");
  fs::create_directories(folder, error);
  if (error) throw Error(folder + ": cannot create the model's folder: " + error.message());
  AtomicFile probe((fs::path(folder) / ".writable").string());
}

void check_command(const TrainCommand& c) {
  if (c.people.size() < 2 || c.people.size() > size_t(kMaxPeople))
    throw UsageError("train: give 2 to " + std::to_string(kMaxPeople) + " people as NAME=FACESET");
  std::map<std::string, int> seen;
  for (const auto& [name, path] : c.people)
    if (seen[name]++) throw UsageError("train: " + name + " is named twice; give every person a name of their own");
}

// How far a run has come.
struct Progressed {
  uint64_t done = 0;              // iterations whose losses are known
  std::optional<uint64_t> found;  // the iteration that the model's folder held before
  bool began = false;             // from here on the folder is written
};

// Training waits for its checkpoints where there is no room for a copy of what they hold.
void reserve_copy(CheckpointWriter& checkpoints, const ParameterStore& store, const MemoryPlan& plan) {
  std::string why = "the memory has no room for a copy";
  try {
    if (plan.checkpoint > 0) return checkpoints.reserve(store);
  } catch (const OutOfMemory& e) {
    why = e.what();
  }
  std::fprintf(stderr, "training waits while a checkpoint is written: %s\n", why.c_str());
}

void train(const TrainCommand& c, Progressed& at, CheckpointWriter& checkpoints) {
  check_command(c);
  const Device device = trusted_device(c.device);
  check_folder(c.model);
  const bool resuming = model_exists(c.model);
  const std::vector<FaceSet> sets = load_sets(c);
  const ModelDescription model = describe_model(c, sets, resuming, device);
  at.done = model.iterations;
  if (resuming) at.found = model.iterations;

  if (device == Device::cuda) std::fprintf(stderr, "trains on the card: %s\n", describe(device).c_str());
  const MemoryPlan plan = check_memory(c, model, device, sets);
  std::vector<DecodedFaces> decoded =
      decode_faces(sets, {model.people, model.face_only, plan.faces.disk > 0 ? c.model : std::string()});
  std::vector<PersonFaces> people;
  for (size_t p = 0; p < sets.size(); ++p)
    people.push_back({model.people[p], uint32_t(sets[p].faces.size()), decoded[p].pixels, plan.faces.streams[p]});

  const TrainingEnd end{c.iterations.value_or(0), c.minutes.value_or(0)};
  const auto tell = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  const Tuning tuning = named_tuning(c.conv, kernel_cache_path(describe(device)), tell);
  Trainer trainer(model, people, end, device, {plan.recomputed, tuning});
  release_copied(decoded, plan.faces.streams, device);
  if (resuming) {
    trainer.resume(c.model);
    std::fprintf(stderr, "%s: goes on after iteration %llu\n", c.model.c_str(),
                 static_cast<unsigned long long>(model.iterations));
  }
  if (c.verbose) std::fprintf(stderr, "%s", trainer.training_step().program().describe().c_str());
  if (trainer.finished()) {
    std::fprintf(stderr,
                 "%s: has come to the end that was asked for; ask for more --iterations or --minutes to go on\n",
                 c.model.c_str());
    return;
  }

  reserve_copy(checkpoints, trainer.store(), plan);
  const int64_t samples = int64_t(model.batch) * int64_t(people.size());
  Progress progress("train", int64_t(end.iterations), "iterations", int64_t(model.iterations));
  at.began = true;
  if (!resuming) trainer.save(checkpoints);  // a whole checkpoint from the first moment on
  PreviewFile preview(c.model);
  auto saved = Clock::now(), shown = Clock::now();
  const auto start = Clock::now();
  const uint64_t first = model.iterations;
  while (!trainer.finished() && !interrupted()) {
    trainer.step(c.checked);
    at.done = trainer.known();
    checkpoints.check();
    preview.check();
    const uint64_t done = trainer.model().iterations;
    char rate[48];
    std::snprintf(rate, sizeof rate, ", %.0f samples/s", double(done - first) * double(samples) / since(start));
    if (end.minutes > 0) progress.set_seconds_left(std::max(0.0, 60 * end.minutes - trainer.model().seconds));
    progress.update(int64_t(done), loss_note(trainer) + rate);
    // What is due while the one before is still being written begins as soon as that is done, of the newest weights.
    if ((done == first + 20 || since(shown) > c.preview_every) && !preview.busy()) {
      preview.begin(trainer);
      shown = Clock::now();
    }
    if (since(saved) > c.save_every && !checkpoints.busy()) {
      trainer.begin_save(checkpoints);
      saved = Clock::now();
    }
  }
  trainer.save(checkpoints);
  at.done = trainer.known();
  preview.begin(trainer);
  preview.finish();
  progress.finish(int64_t(trainer.model().iterations), loss_note(trainer));
  if (trainer.left_out() > 0)
    std::fprintf(stderr, "%s: %llu iterations changed nothing, as their gradients were not finite\n", c.model.c_str(),
                 static_cast<unsigned long long>(trainer.left_out()));
  if (interrupted())
    throw Interrupted("stopped after iteration " + std::to_string(trainer.model().iterations) + "; " + c.model +
                      " is saved, the same command goes on");
}

}  // namespace

void run_training(const TrainCommand& c) {
  Progressed at;
  CheckpointWriter checkpoints(c.model);
  const auto stands = [&] {
    std::string text;
    try {
      checkpoints.finish();  // what is being written was copied before the failure, and is whole
    } catch (const std::exception& e) {
      text = std::string("; ") + e.what();
    }
    const std::optional<uint64_t> saved = checkpoints.saved() ? checkpoints.saved() : at.found;
    return text + "; " + c.model +
           (saved ? " holds iteration " + std::to_string(*saved) + ", the same command goes on from there"
            : model_exists(c.model) ? " is as it was"  // the failure came before it was read
                                    : " holds no checkpoint yet");
  };
  try {
    train(c, at, checkpoints);
  } catch (const DeviceError& e) {
    throw Error((c.device == "emulator" ? "the emulator" : "the card") + std::string(" failed after iteration ") +
                std::to_string(at.done) + ": " + e.what() + stands());
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(e.what() + stands());
  } catch (const Interrupted&) {
    throw;  // says it itself
  } catch (const std::bad_alloc&) {
    throw OutOfMemory("out of memory: use a smaller --batch, or close other programs" + stands());
  } catch (const std::exception& e) {
    if (!at.began) throw;
    throw Error(e.what() + stands());
  }
}

}  // namespace doppel
