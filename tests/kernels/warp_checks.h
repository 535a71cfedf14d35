// What the tests of the warp share.
#pragma once

#include "kernels/harness.h"
#include "kernels/reference.h"
#include "kernels/warp.h"

namespace doppel::testing {

// All randomness off; tests switch on what they measure.
inline Warp still(int face_size, int out_size) {
  Warp w;
  w.people = 1, w.batch = 1;
  w.face_size = face_size, w.out_size = out_size;
  w.rotation = w.zoom = w.shift = w.flip = w.jitter = 0;
  return w;
}

}  // namespace doppel::testing
