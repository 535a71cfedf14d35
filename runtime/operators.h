// The operators as trace functions: each appends one node (kernels/*.h say the arithmetic) and returns its output.
#pragma once

#include "kernels/adam.h"
#include "kernels/conv2d.h"
#include "kernels/loss.h"
#include "kernels/warp.h"
#include "runtime/graph.h"

namespace doppel {

enum class Padding { same, symmetric };

// What weights start from: uniform numbers of variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010, eq. 16), or of
// variance 2 / ((1 + slope^2) fan_in) (He, Zhang, Ren, Sun 2015, eq. 15), which keeps the signal's size from layer to
// layer under a leaky ReLU of that slope; slope 1 means that no activation follows.
struct Init {
  enum Kind { glorot, he } kind = glorot;
  float slope = 1;
};

struct ConvOptions {
  int filters = 0;  // K
  int kernel = 3;   // R = S, odd
  int stride = 1;
  Padding padding = Padding::symmetric;
  bool fp32_output = false;  // else the graph's compute type
  Init init = {};
};

// Declares the parameters name.w [K,R,S,C] and name.b [K]; weights start as Glorot uniform (Glorot and Bengio 2010, eq.
// 16).
ValueId conv2d(Graph& g, ValueId x, const std::string& name, const ConvOptions& options);
// Several convolutions of one shape as one node (the groups of kernels/conv2d.h): x [names N,H,W,C] holds N pictures
// for each name, in order, each convolved with the parameters of its name. Throws std::logic_error when the parameters
// do not lie at equal distances in the arenas; those of decoders with equal layers do.
ValueId grouped_conv2d(Graph& g, ValueId x, const std::vector<std::string>& names, const ConvOptions& options);

// x [N,C] to [N,units]; parameters name.w [units,C] and name.b [units].
ValueId dense(Graph& g, ValueId x, const std::string& name, int units, Init init = {});

ValueId leaky_relu(Graph& g, ValueId x, float slope);
ValueId sigmoid(Graph& g, ValueId x);
// [N,H,W,4C] to [N,2H,2W,C].
ValueId pixel_shuffle(Graph& g, ValueId x);
// leaky_relu(a + b): the end of a residual block.
ValueId add_leaky_relu(Graph& g, ValueId a, ValueId b, float slope);
// x cos x of each element, kernels/activation.h.
ValueId x_cos_x(Graph& g, ValueId x);
// Divides by the root mean square over the last axis, kernels/rms_norm.h: of a code [N,C] the sample's, of [N,H,W,C]
// the pixel's.
ValueId rms_norm(Graph& g, ValueId x);

// Weighted sum of image losses between y and target (both fp32). Returns losses [1,4]: total, L1, MSE, DSSIM
// (unweighted; 0 when its weight is 0).
struct ImageLoss {
  float l1 = 1, mse = 0, dssim = 0;
  float focus = 0;  // kernels/loss.h
  DssimScales scales = {};
};
ValueId image_loss(Graph& g, ValueId y, ValueId target, const ImageLoss& loss, const std::string& name);
// The same into `losses` [parts,4], a value that is kept: the rows of y and target are so many equal parts, of one
// person each, with a loss of its own.
void image_loss(Graph& g, ValueId y, ValueId target, const ImageLoss& loss, ValueId losses);

// Training pictures drawn by kernels/warp.h. `faces` must outlive the program. `state` is the external StepState.
struct WarpOutputs {
  ValueId input, target;
};
WarpOutputs warp(Graph& g, ValueId state, const Warp& options, const WarpFaces* faces);

// x [..] fp32 to the graph's compute type (x itself in fp32).
ValueId cast(Graph& g, ValueId x);

// Adam over all parameters of the layout, then step += 1. A step whose gradient is not finite changes no parameter
// (kernels/adam.h). External values: state and the arenas below. `norm` [1], fp32, of the last step's gradient, is
// kept.
struct OptimizerArenas {
  ValueId m = kNoValue, v = kNoValue, average = kNoValue, norm = kNoValue;
};
OptimizerArenas append_adam(Graph& g, ValueId state, const AdamOptions& options);

// y += x.
void append_accumulate(Graph& g, ValueId y, ValueId x);
// y = x.
void append_copy(Graph& g, ValueId y, ValueId x);

// Joins convolution, activation and pixel shuffle that follow each other and have no other reader into one node each.
// Returns how many nodes were absorbed. To be called before differentiate(): a fused node has a fused gradient.
int fuse(Graph& g);

}  // namespace doppel
