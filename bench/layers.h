// The convolutions and dense layers of a network as a training step runs them: what bench_kernels times.
#pragma once

#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/dense.h"
#include "nn/architecture.h"
#include "runtime/graph.h"

namespace doppel::bench {

constexpr int kPeople = 2;

struct ConvLayer {
  std::string name;  // "encoder.conv0"; "2 x decoder.up0": the layer of two decoders, as groups of one launch
  Conv2d conv;       // groups' weights one after the other, biases too
  Epilogue epilogue;
  bool dgrad = true;  // false for the first layer, whose input is a picture
};

struct DenseLayer {
  std::string name;
  Dense dense;
};

struct Layers {
  std::vector<ConvLayer> convs;
  std::vector<DenseLayer> denses;
};

// Of an architecture of ours, traced and fused as in training. `batch` is per person, of kPeople: encoders see all
// people's samples at once, each group of a decoder's layer its person's.
Layers layers_of(const Architecture& a, int batch, DType type);

// A DF network of the common trainers at 256 pixels, options u and d: 256 units in the code, 64 channels in the encoder
// and the decoder, 22 in the mask. A list of shapes alone; this program cannot train it.
Layers df_ud256(int batch, DType type);

constexpr Pass kPasses[] = {Pass::fprop, Pass::dgrad, Pass::wgrad};

// Of one pass through all groups: inputs read once, outputs written once. Gradients of weights are fp32.
double pass_bytes(const Conv2d& c, Pass pass);
// A dense layer is the 1 x 1 convolution of pictures of one pixel.
Conv2d conv_of(const Dense& d);
// "encoder.conv0", of a node whose weight is "encoder.conv0.w".
std::string layer_name(const Graph& g, const Node& node);

// Operations of one sample's forward pass through encoder and one decoder; a batch as above has `batch` of each person.
double forward_flops(const Layers& layers, int batch);

}  // namespace doppel::bench
