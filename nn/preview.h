// Forward passes with the trained weights: what training shows and what a swap runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/architecture.h"
#include "nn/parameters.h"
#include "runtime/image.h"
#include "runtime/program.h"

namespace doppel {

// Encoder and one or more people's decoders over one batch.
class Inference {
 public:
  Inference(const Architecture& arch, std::shared_ptr<ParameterLayout> layout, const std::vector<std::string>& people,
            int batch, DType precision, bool dry = false);

  // Takes the weights over: reads `weights` (f32 [layout elements], not copied in fp32) and rounds a copy for bf16.
  void set_weights(float* weights);

  // in [batch, S, S, 3], 0..1.
  void run(const float* in);
  // [batch, S, S, 3] of the person's decoder (index in `people`), 0..1.
  const float* output(int person) const;

  int batch() const { return batch_; }
  size_t bytes() const;

 private:
  int batch_;
  size_t elements_;
  std::unique_ptr<Program> program_;
  Buffer copies_;
  ValueId input_ = kNoValue;
  std::vector<ValueId> outputs_;
};

// Whether this processor multiplies bf16 in hardware (AVX-512 BF16 or AMX).
bool has_bf16();
// What a new model is trained in: "bf16" on a card, and where this processor has it, else "fp32".
std::string usual_precision(Device device);

// Rows of people's faces: input, reconstruction, every swap. `inputs` [people][rows] pictures of [S,S,3].
Image draw_preview(Inference& net, const std::vector<std::vector<std::vector<float>>>& inputs, int size);

}  // namespace doppel
