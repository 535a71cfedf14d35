// A few faces to train on, for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "bench/face_pack.h"
#include "kernels/philox.h"

namespace doppel::bench {

constexpr int kFaceSize = 64, kSize = 32;  // of "tiny"

// Smooth pictures; those of another seed show something else.
inline std::vector<uint8_t> pictures(int count, int side, uint32_t seed) {
  std::vector<uint8_t> all;
  for (int i = 0; i < count; ++i) {
    Random random(7, seed, uint32_t(i));
    const float cx = random.uniform(0, 1), cy = random.uniform(0, 1);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        for (int c = 0; c < 3; ++c) {
          const float dx = float(x) / float(side) - cx, dy = float(y) / float(side) - cy;
          all.push_back(uint8_t(60 + 40 * (c == int(seed % 3)) + 120 * std::exp(-8 * (dx * dx + dy * dy))));
        }
  }
  return all;
}

inline FacePack small_pack(int held_out = 10) {
  FacePack pack;
  pack.face_size = kFaceSize;
  pack.size = kSize;
  pack.coverage = 2.25f;
  pack.face_only = true;
  pack.people[0] = pictures(3, kFaceSize, 0);
  pack.people[1] = pictures(4, kFaceSize, 1);
  pack.input = pictures(held_out, kSize, 2);
  pack.source = pictures(held_out, kSize, 3);
  pack.truth = pictures(held_out, kSize, 4);
  for (int i = 0; i < held_out * kSize * kSize; ++i) pack.region.push_back(i % kSize > kSize / 4);
  return pack;
}

}  // namespace doppel::bench
