// A trained model, ready to swap faces.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "nn/preview.h"

namespace doppel {

class Swapper {
 public:
  // Throws Error when the model cannot be read.
  Swapper(const std::string& model_path, int max_batch);
  // The model that weights in the host's memory make, such as ParameterStore::best() of a run that goes on: f32
  // [layout's elements], not copied, of declare_parameters()' layout for the description's architecture and people.
  Swapper(ModelDescription description, std::shared_ptr<ParameterLayout> layout, float* weights, int max_batch);

  const ModelDescription& description() const { return description_; }
  const std::vector<std::string>& people() const { return description_.people; }
  int input_size() const { return description_.size; }
  int output_size() const { return description_.size; }
  int max_batch() const { return max_batch_; }
  // Of the square crop that the network sees, in the units of faces/align.h: the central part of a face set's crop.
  float coverage() const { return description_.coverage * description_.inner; }

  // in [n, S, S, 3], out [n, S, S, 3], RGB 0..1, 1 <= n <= max_batch. `person` is whose decoder draws the faces.
  // `source` is who the pictures show, -1 when unknown: models that were trained on shifted colours shift theirs (with
  // two people the source of a swap is taken to be the other one).
  void run(const float* in, int n, int person, float* out, int source = -1);

 private:
  ModelDescription description_;
  int max_batch_;
  Architecture arch_;
  ParameterStore store_;  // the layout, and the weights where they are the swapper's own
  float* weights_;
  std::map<int, std::unique_ptr<Inference>> nets_;  // by person
  std::vector<float> batch_;
};

}  // namespace doppel
