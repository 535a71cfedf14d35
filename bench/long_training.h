// A training run in pieces: it goes on where the last command stopped, and measures its swaps on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/face_pack.h"
#include "bench/training_state.h"
#include "nn/trainer.h"
#include "runtime/clock.h"

namespace doppel::bench {

struct LongTrainingOptions {
  std::string faces, out, state;  // a file of face_pack.h; folders
  std::string device = "cuda";
  TrainingSettings settings;  // batch 0, precision "": the architecture's and the device's
  double minutes = 0;         // of this command, all that it does, one iteration at least; 0: to the end
  double save_every = 120;    // seconds
  std::string kernel_cache;   // of a card; empty: the one of `doppel train`
};

class LongTraining {
 public:
  // Reads the faces, checks the card, and takes over what an earlier command left in the state's folder. Throws
  // UsageError for what is wrong or missing and for settings other than that command's, Error for what cannot be read
  // or written, DeviceError.
  explicit LongTraining(const LongTrainingOptions& options);

  // Until the end, the minutes or Ctrl-C (Interrupted): then all is saved. Writes the report at every point and last.
  // Throws Error, naming what the state's folder holds, when the device fails.
  void run();

  std::string table() const;

 private:
  uint64_t done() const { return trainer_->model().iterations; }
  std::string model_folder() const;
  TrainingSettings settings_for(const Architecture& arch) const;
  bool find_state();
  void make_trainer(const Architecture& arch, bool resuming);
  void train();
  void measure();
  void save();
  void tell_progress(double rate) const;

  LongTrainingOptions o_;
  Clock::time_point start_;
  Device device_ = Device::cpu;
  FacePack pack_;  // before the trainer, which reads it
  TrainingState state_;
  double earlier_seconds_ = 0;  // of commands before this one
  uint64_t saved_ = 0;          // iterations of the checkpoint
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace doppel::bench
