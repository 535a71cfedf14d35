// A model on disk: a folder with
//
//   model.json                       what it is (ModelDescription), and which weights file belongs to it
//   weights-<iteration>.safetensors  all tensors, fp32, [K,R,S,C]: the weights under the parameters' names, Adam's
//                                    moments under m.<name> and v.<name>, the running average under average.<name>
//
// Saving writes the new weights file under a temporary name, syncs and renames it, then replaces model.json the same
// way, then removes older weights files: at every instant model.json names a whole file. Both are guarded by CRC-32.
// nn/checkpoint_writer.h does it while training goes on.
#pragma once

#include <string>
#include <vector>

#include "nn/parameters.h"
#include "nn/safetensors.h"

namespace doppel {

// Of model.json. Version 2 had no optimizer, lr_dropout and clip: what it describes was trained with what are the
// defaults here.
constexpr int kModelVersion = 3, kOldestModelVersion = 2;

struct ModelDescription {
  std::string architecture;
  std::vector<std::string> people;
  int size = 0;            // of the network's pictures
  int face_size = 0;       // of the face sets it was trained on
  float coverage = 0;      // of the face sets
  float inner = 0;         // central part of a face that the network sees
  bool face_only = false;  // the network knows faces with nothing around them
  int batch = 0;           // samples per person
  float lr = 0;
  float warp = 1;  // strength of the augmentation: times rotation, zoom, shift, jitter and colours of the architecture
  std::string optimizer = "adam";  // or "adabelief"
  float lr_dropout = 0;            // 0..1: the part of the weights that an iteration leaves as they are
  float clip = 0;                  // the gradient's norm, at most; 0: as it comes
  uint64_t seed = 0;
  std::string precision;
  uint64_t iterations = 0;          // done
  double seconds = 0;               // trained
  std::vector<float> losses;        // of each person, at the last save
  std::vector<float> colour_shift;  // [people, 3] added to a person's pictures before encoding
};

// Throws Error when the model cannot be written; what was there before stands.
void save_model(const std::string& folder, const ModelDescription& description, const SavedState& state);

// Whether `folder` holds a model, of whatever version and health.
bool model_exists(const std::string& folder);

// Throws Error naming the file when it is missing, foreign, damaged, cut short or of another version.
ModelDescription load_description(const std::string& folder);
// Throws Error naming the weights file when it is missing, cut short or altered.
void check_weights(const std::string& folder);
// Fills the store; weights only (and not the moments) when `for_training` is false and the average, if saved, is what
// becomes the weights.
void load_parameters(const std::string& folder, ParameterStore& store, bool for_training);

}  // namespace doppel
