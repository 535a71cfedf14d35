// Wrong kernels, each with one defect of a known class, and a twin of each that is right.
#pragma once

#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/stream.h"

namespace doppel::testing {

// What the planted kernels work on.
struct Ground {
  static constexpr int kSize = 1024;
  float* out;          // [kSize]
  const float* in;     // [kSize]
  unsigned* counters;  // [4], 0
};

struct Planted {
  // The kernel's name too. The line of its file that ends in "// <- name" is where the report must say it happens.
  const char* name;
  emulator::Defect defect;
  bool checked_only;  // whether it takes the checked build to see it
  void (*wrong)(const Ground&, Stream);
  void (*right)(const Ground&, Stream);
};
std::vector<Planted> planted();         // defects.cu
std::vector<Planted> planted_hopper();  // defects_hopper.cu; for sm_90

}  // namespace doppel::testing
