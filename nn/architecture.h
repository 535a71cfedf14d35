// The networks: one shared encoder, a decoder per person.
#pragma once

#include <string>
#include <vector>

#include "runtime/operators.h"

namespace doppel {

// A downscaling convolution of the encoder: stride 2, SAME padding, leaky ReLU.
struct DownSpec {
  int filters;
  int kernel;
};

// An upscaling block: 3x3 convolution to 4 * filters, leaky ReLU, pixel shuffle; then `residuals` blocks of two 3x3
// convolutions with leaky ReLU 0.2, the second one's after the sum with the block's input.
struct UpSpec {
  int filters;
  int residuals = 0;
};

struct Architecture {
  std::string name;
  int size;  // pictures are [size, size, 3]
  std::vector<DownSpec> down;
  int code;         // units of the bottleneck
  int latent_size;  // side of the picture that the second dense layer unfolds the code into
  int latent_filters;
  std::vector<UpSpec> shared;  // upscaling blocks that all people share, the end of the encoder
  std::vector<UpSpec> up;      // a person's own, the decoder; together they double latent_size up to size
  int out_kernel;              // last convolution, to 3 channels and a sigmoid
  Init::Kind init = Init::glorot;
  float slope = 0.1f;  // leaky ReLU everywhere but in residual blocks

  // How it is trained unless the user says otherwise.
  int batch;  // samples per person
  float lr;
  bool decay =
      false;  // learning rate: short warm-up, and a cosine to 5 % over the last 40 % of a run whose end is known
  AdamOptions adam;
  ImageLoss loss;
  Warp warp;
  bool face_only = false;    // what lies around the faces is made grey (faces/mask.h), in training and in swaps
  bool match_means = false;  // shift everybody's colours to the last person's mean while training, as in 2017
};

// "original": the 2017 autoencoder. "lite": ours, for machines with no GPU.
const std::vector<std::string>& architecture_names();
// One of those, or "tiny": `lite` so small that an emulated step takes a moment, for checks and tests, which learns
// nothing of use and is not offered. Throws UsageError naming the known ones.
Architecture architecture(const std::string& name);
// Every width divided by `divisor` (for tests), the rest as it is.
Architecture narrowed(Architecture a, int divisor);

// x [N,size,size,3] to the latent [N,L,L,filters of the last shared block], L = latent_size doubled by every shared
// block.
ValueId encode(Graph& g, ValueId x, const Architecture& a);
// The latent to a picture [N,size,size,3], fp32, 0..1, with the parameters decoder.<person>.*.
ValueId decode(Graph& g, ValueId latent, const Architecture& a, const std::string& person);

// Operations of one sample's forward pass: encoder and one decoder.
double forward_flops(const Architecture& a);

}  // namespace doppel
