// Warp augmentation (the 2017 autoencoder's): from a face of S x S pixels to the network's input and its target, in one
// sampling of the face each. For each sample, from Random(seed, step, sample):
//
// 1. A face of its person's set is drawn, and a similarity about the face's centre: rotation, zoom, shift, flip.
// 2. A grid of 5 x 5 nodes is laid over the central `inner` x `inner` pixels (160 of 256), and each node is moved by
//    N(0, jitter) pixels. Bilinear interpolation of the nodes maps the input's T x T pixels into the face: the warped
//    input.
// 3. The similarity that best fits the moved nodes to the regular ones (Umeyama 1991, equations 34 to 43, for two
//    dimensions) maps the target's T x T pixels into the face: the target.
//
// Maps 1 and 2 (or 1 and 3) are composed, so that the face is sampled once. Sampling averages 2 x 2 bilinear taps,
// since the face is about 2.5 times as fine as the network's grid: at m(u) +- m_x(u) / 4 +- m_y(u) / 4 for the map m,
// its partial derivatives m_x, m_y and a pixel's centre u. Outside the face its border is repeated.
#pragma once

#include <cstdint>

#include "kernels/adam.h"
#include "kernels/affine.h"
#include "kernels/dtype.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace doppel {

constexpr int kWarpNodes = 5;
constexpr int kMaxPeople = 16;

struct Warp {
  int people = 2;       // 1 .. kMaxPeople
  int batch = 0;        // samples per person; sample i belongs to person i / batch
  int face_size = 256;  // S
  int out_size = 64;    // T
  DType input_type = DType::f32;

  float inner = 0.625f;      // central part of the face that the network sees, as a fraction of S
  float rotation = 10;       // degrees, uniform in +-
  float zoom = 0.05f;        // factor uniform in 1 +- zoom
  float shift = 0.05f;       // fraction of S, uniform in +- on both axes
  float flip = 0.4f;         // probability of a mirror image
  float jitter = 5.f / 256;  // standard deviation of a node's move, as a fraction of S
  float brightness = 0;      // colour jitter, the same on input and target: added to all channels, uniform in +-
  float contrast = 0;        // factor about 0.5, uniform in 1 +- contrast
};

// What is drawn for one sample. Coordinates are the pixel coordinates of kernels/affine.h in the face.
struct WarpSample {
  uint32_t face;                        // index in the person's set
  Point nodes[kWarpNodes][kWarpNodes];  // [row][column] where the input's grid nodes lie in the face
  Affine target;                        // target pixel -> face pixel
  float gain, offset;                   // colour = gain * value + offset, values 0..1
};

// On the host. `faces_in_set` > 0. Both depend on their arguments alone; drawn_face is draw_warp's face.
uint32_t drawn_face(uint64_t seed, uint64_t step, uint32_t sample, uint32_t faces_in_set);
WarpSample draw_warp(const Warp& warp, uint64_t seed, uint64_t step, uint32_t sample, uint32_t faces_in_set);

// Where the faces lie, by person.
struct WarpFaces {
  // The whole set [faces, S, S, 3]. Where `staged` is true only what is drawn in two steps, [2, batch, S, S, 3]: the
  // face of the person's sample b in step t is [t % 2, b].
  const uint8_t* pixels[kMaxPeople];
  uint32_t faces[kMaxPeople];  // of the set, at least 1 each
  bool staged[kMaxPeople];
  float shift[kMaxPeople][3];  // added to the person's colours (0..1) before gain and offset; the result is clamped
};

// samples [people * batch]: what warp_batch draws with the same arguments, on every backend. The formulas and their
// order are those of draw_warp: only the products that a compiler fuses, and a card's sin, cos and log, change last
// bits.
void draw_warps(WarpSample* samples, const WarpFaces& faces, const StepState* state, const Warp& warp, Stream stream);

// input [people * batch, T, T, 3] of `input_type`, target [people * batch, T, T, 3] fp32, values 0..1.
// Draws with (state->seed, state->step, sample). S and T at least 2.
void warp_batch(void* input, float* target, const WarpFaces& faces, const StepState* state, const Warp& warp,
                Stream stream);

}  // namespace doppel
