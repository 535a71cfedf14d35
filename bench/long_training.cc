#include "bench/long_training.h"

#include <algorithm>
#include <filesystem>

#include "bench/program.h"
#include "bench/swap_quality.h"
#include "bench/training_report.h"
#include "kernels/device_error.h"
#include "nn/self_check.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "runtime/kernel_cache.h"

namespace doppel::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kTellEvery = 10;  // seconds

void make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(folder + ": cannot make the folder: " + error.message());
}

}  // namespace

LongTraining::LongTraining(const LongTrainingOptions& o) : o_(o), start_(Clock::now()) {
  const Architecture arch = architecture(o.settings.arch);
  if (!is_device_name(o.device) || o.device == "auto")
    throw UsageError("--device " + o.device + ": give cuda, cuda:N, cpu or emulator");
  if (o.faces.empty() || o.out.empty()) throw UsageError("give --faces FILE and --out DIR");
  pack_ = read_face_pack(o.faces);
  if (pack_.size != arch.size || pack_.face_only != arch.face_only)
    throw Error(o.faces + ": packed for another architecture than " + arch.name + "; run pack_actors with --arch " +
                arch.name);
  device_ = choose_device(o.device);
  if (device_ == Device::cuda) {
    const std::string problem = self_check(device_);
    if (!problem.empty()) throw Error("--device " + o.device + ": it fails a check of its arithmetic: " + problem);
  }
  for (const std::string& folder : {o.out, o.state}) make_folder(folder);
  state_.settings = settings_for(arch);
  const bool resuming = find_state();
  make_trainer(arch, resuming);
}

void LongTraining::run() {
  try {
    train();
  } catch (const DeviceError& e) {
    throw Error(o_.device + " failed after iteration " + std::to_string(trainer_->known()) + ": " + e.what() + "; " +
                o_.state + " holds iteration " + std::to_string(saved_) + ", the same command goes on from there");
  }
}

void LongTraining::train() {
  const std::vector<uint64_t> points = measuring_points(state_.settings.iterations, state_.settings.points);
  auto saved = Clock::now(), told = saved;
  const auto begin = Clock::now();
  const uint64_t first = done();
  bool time_is_up = false;
  while (!trainer_->finished() && !interrupted() && !time_is_up) {
    trainer_->step();
    time_is_up = o_.minutes > 0 && since(start_) > 60 * o_.minutes;
    if (std::binary_search(points.begin(), points.end(), done())) measure();
    if (since(saved) > o_.save_every) {
      save();
      saved = Clock::now();
    }
    if (since(told) > kTellEvery) {
      tell_progress(double(done() - first) / since(begin));
      told = Clock::now();
    }
  }
  if (saved_ != done()) save();
  write_training_report(o_.out, state_, pack_);
  const std::string where = "after iteration " + std::to_string(done()) + " of " +
                            std::to_string(state_.settings.iterations) + "; the same command goes on";
  if (trainer_->finished()) return;
  if (interrupted()) throw Interrupted("stopped " + where);
  tell("%g minutes are over %s", o_.minutes, where.c_str());
}

std::string LongTraining::table() const {
  return training_table(state_, pack_);
}

std::string LongTraining::model_folder() const {
  return (fs::path(o_.state) / "model").string();
}

TrainingSettings LongTraining::settings_for(const Architecture& arch) const {
  TrainingSettings s = o_.settings;
  if (s.batch == 0) s.batch = arch.batch;
  if (s.precision.empty()) s.precision = usual_precision(device_);
  s.faces_crc = pack_.crc;
  return s;
}

// Takes over what an earlier command left; whether there is a checkpoint to go on from.
bool LongTraining::find_state() {
  if (!state_exists(o_.state)) {
    if (model_exists(model_folder()))
      throw Error(model_folder() + ": a model without what was measured of it; give another --state");
    save_state(o_.state, state_);
    return false;
  }
  TrainingState found = load_state(o_.state);
  if (found.settings != state_.settings)
    throw UsageError(o_.state + ": begun with other faces or settings, " + to_json(found.settings).dump() +
                     "; give the same, or another --state");
  // Weights without a description are of a run that ended while it wrote its first checkpoint.
  const bool resuming = std::filesystem::exists(std::filesystem::path(model_folder()) / "model.json");
  saved_ = resuming ? load_description(model_folder()).iterations : 0;
  // Points beyond the checkpoint are measured again.
  std::erase_if(found.points, [&](const TrainingPoint& p) { return p.iterations > saved_; });
  state_ = std::move(found);
  earlier_seconds_ = state_.total_seconds;
  return resuming;
}

void LongTraining::make_trainer(const Architecture& arch, bool resuming) {
  ModelDescription m;
  if (resuming) {
    m = load_description(model_folder());
  } else {
    m.architecture = arch.name;
    m.people = {"a", "b"};
    m.face_size = pack_.face_size;
    m.coverage = pack_.coverage;
    m.face_only = pack_.face_only;
    m.batch = state_.settings.batch;
    m.lr = arch.lr;
    m.warp = float(state_.settings.warp);
    m.seed = state_.settings.seed;
    m.precision = state_.settings.precision;
  }
  const std::string cache = o_.kernel_cache.empty() ? kernel_cache_path(describe(device_)) : o_.kernel_cache;
  const Tuning tuning = named_tuning("handwritten", cache, tell_line);
  const std::vector<PersonFaces> people{{"a", pack_.faces(0), pack_.people[0].data()},
                                        {"b", pack_.faces(1), pack_.people[1].data()}};
  trainer_ =
      std::make_unique<Trainer>(m, people, TrainingEnd{state_.settings.iterations, 0}, device_, StepSetup{{}, tuning});
  if (resuming) trainer_->resume(model_folder());
  tell("%s on %s, %u+%u faces, from iteration %llu", arch.name.c_str(), describe(device_).c_str(), pack_.faces(0),
       pack_.faces(1), (unsigned long long)done());
}

void LongTraining::measure() {
  const SwapQuality quality = measure_swaps(*trainer_, pack_);
  TrainingPoint p;
  p.iterations = done();
  p.training_seconds = trainer_->model().seconds;
  p.losses = {trainer_->smooth_losses()[0], trainer_->smooth_losses()[1]};
  p.psnr = psnr_of(quality.error);
  p.ssim = quality.error.mean_ssim();
  p.device = describe(device_);
  p.swaps = quality.shown;
  p.total_seconds = state_.total_seconds = earlier_seconds_ + since(start_);
  state_.points.push_back(std::move(p));
  write_training_report(o_.out, state_, pack_);
  tell("iteration %llu, %.1f min of training, swap PSNR %.2f dB, SSIM %.4f", (unsigned long long)done(),
       trainer_->model().seconds / 60, state_.points.back().psnr, state_.points.back().ssim);
}

// The state first: points that the checkpoint has not come to are dropped when the run goes on, and measured again.
void LongTraining::save() {
  trainer_->settle();
  state_.total_seconds = earlier_seconds_ + since(start_);
  save_state(o_.state, state_);
  trainer_->save(model_folder());
  saved_ = done();
}

void LongTraining::tell_progress(double rate) const {
  const double left = double(state_.settings.iterations - done()) / rate;
  const auto& losses = trainer_->smooth_losses();
  tell("%llu of %llu iterations, %.1f a second, %.0f samples/s, %.1f min left, loss a %.4f b %.4f",
       (unsigned long long)done(), (unsigned long long)state_.settings.iterations, rate,
       rate * double(state_.settings.samples_at(1)), left / 60, double(losses[0]), double(losses[1]));
}

}  // namespace doppel::bench
