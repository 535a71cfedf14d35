// Drawing a warp on the host, and the choice of backend.
#include "kernels/warp.h"

#include "kernels/backends.h"
#include "kernels/warp_math.h"

namespace doppel {

WarpSample draw_warp(const Warp& warp, uint64_t seed, uint64_t step, uint32_t sample, uint32_t faces_in_set) {
  Random random(seed, step, sample);
  const WarpFaceDraw drawn = draw_warp_face(warp, random, faces_in_set);
  WarpSample s;
  s.face = drawn.face;
  Point regular[kWarpNodeCount], moved[kWarpNodeCount];
  for (int k = 0; k < kWarpNodeCount; ++k) {
    const int row = k / kWarpNodes, column = k % kWarpNodes;
    const WarpNodeDraw node = draw_warp_node(warp, random, row, column);
    regular[k] = node.regular, moved[k] = node.moved;
    s.nodes[row][column] = drawn.to_face(node.moved);
  }
  s.target = drawn.to_face.after(fit_similarity(moved, regular).inverse());
  draw_warp_colour(s, warp, random);
  return s;
}

uint32_t drawn_face(uint64_t seed, uint64_t step, uint32_t sample, uint32_t faces_in_set) {
  Random random(seed, step, sample);
  return draw_face(random, faces_in_set);
}

DOPPEL_BACKENDS(draw_warps)
void draw_warps(WarpSample* samples, const WarpFaces& faces, const StepState* state, const Warp& warp, Stream stream) {
  DOPPEL_PICK(draw_warps, stream)(samples, faces, state, warp, stream);
}

DOPPEL_BACKENDS(warp_batch)
void warp_batch(void* input, float* target, const WarpFaces& faces, const StepState* state, const Warp& warp,
                Stream stream) {
  DOPPEL_PICK(warp_batch, stream)(input, target, faces, state, warp, stream);
}

}  // namespace doppel
