// A training run: a model, the faces it learns from, and how far it has come.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/checkpoint_writer.h"
#include "nn/face_stream.h"
#include "nn/memory_plan.h"
#include "nn/preview.h"
#include "nn/step_driver.h"
#include "nn/training_step.h"

namespace doppel {

// One person's face set in the host's memory. The pixels outlive the trainer where its device is the CPU or the set
// streams; else the device has a copy of them, and nobody reads them once the trainer has been made.
struct PersonFaces {
  std::string name;
  uint32_t faces = 0;               // at least 1
  const uint8_t* pixels = nullptr;  // [faces, S, S, 3], S = ModelDescription::face_size
  bool streams = false;             // each step gets its faces from the host: no copy of the set is on the device
};

// When a run ends; 0: it does not.
struct TrainingEnd {
  uint64_t iterations = 0;
  double minutes = 0;  // of training altogether, earlier runs included
};

// How the steps are made, which is not the model's.
struct StepSetup {
  std::vector<ValueId> recomputed;  // MemoryPlan's
  Tuning tuning = {};               // how a card's kernels are chosen
};

class Trainer {
 public:
  // `model` says what to train (iterations 0: a fresh start; else resume() brings the weights) and `people` are in the
  // order of model.people. Allocates everything the run needs. Steps run on `device`, the sets that do not stream are
  // copied there; previews run on the CPU. What streams changes no bit of any result.
  Trainer(ModelDescription model, const std::vector<PersonFaces>& people, TrainingEnd end, Device device = Device::cpu,
          StepSetup setup = {});

  // Goes on from the checkpoint in `folder`: weights, moments and average, bit for bit.
  void resume(const std::string& folder);

  // One iteration. On a card it has only been begun when this returns, and what is told of losses is up to
  // StepDriver::kLag iterations old. An iteration whose gradient is not finite changes no weight. Throws Error after
  // kMostLeftOut of them in a row, or when a loss alone is not finite, DeviceError (kernels/device_error.h)
  // when the device has failed: then this object is good for nothing but its destructor. `checked` runs node by node,
  // looks at every output, and waits.
  void step(bool checked = false);
  bool finished() const;

  // Waits for every iteration that was begun and its losses.
  void settle();

  // Iterations of this run that are known to have changed no weight.
  uint64_t left_out() const { return left_out_; }
  // Of the last iteration that is known and was not left out, by person; 0 before the first.
  const std::vector<TrainingStep::Loss>& losses() const { return losses_; }
  // The same, averaged over the last hundred or so.
  const std::vector<float>& smooth_losses() const { return smooth_; }
  // Iterations whose losses have come back; on a card model().iterations may be up to StepDriver::kLag more.
  uint64_t known() const { return known_; }
  const ModelDescription& model() const { return model_; }
  TrainingStep& training_step() { return *step_; }
  const ParameterStore& store() const { return store_; }
  // In which the steps run.
  Stream stream() const { return stream_; }

  // Each settles first. When the device fails on the way, the checkpoint that was there stands.
  void save(const std::string& folder);
  void save(CheckpointWriter& writer);        // CheckpointWriter::write()
  void begin_save(CheckpointWriter& writer);  // CheckpointWriter::begin(): steps may go on when this returns

  // Some faces of each person: input, reconstruction, each swap, by the weights that a swap would use.
  Image preview();
  // The same in two parts: this copies the weights, and what it returns draws the picture, in any thread, while steps
  // go on. It is done with before the next preview begins and before the trainer ends. On the CPU this draws: the steps
  // want the cores themselves, and a copy of the weights would take memory for nothing.
  std::function<Image()> begin_preview();

  static constexpr int kPreviewRows = 4;   // faces of each person
  static constexpr int kMostLeftOut = 20;  // iterations in a row

 private:
  float learning_rate() const;
  void take_losses();
  const ModelDescription& settled();

  ModelDescription model_;
  TrainingEnd end_;
  Architecture arch_;
  DeviceStream stream_;
  std::vector<Buffer> face_memory_;          // of each person that does not stream, on the device; none on the CPU
  std::unique_ptr<FaceStream> face_stream_;  // of the others; null: there are none
  WarpFaces faces_{};
  ParameterStore store_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<StepDriver> driver_;
  std::unique_ptr<Inference> net_;
  PinnedBuffer preview_weights_;                                 // a copy, f32 [elements]; none on the CPU
  std::vector<std::vector<std::vector<float>>> preview_inputs_;  // [people][rows][S*S*3]
  std::vector<TrainingStep::Loss> losses_;
  uint64_t known_ = 0;  // iterations whose losses have been taken
  uint64_t left_out_ = 0;
  int left_out_in_a_row_ = 0;
  std::vector<float> smooth_;
};

StepOptions step_options(const ModelDescription& model);

}  // namespace doppel
