// Libraries that stand in for cuDNN and cuBLASLt where there is no card: the functions of kernels/vendor/library.h,
// computed on the host by the plainest loops. They refuse what the real ones would, overwrite the whole workspace they
// are given, and remember the last call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>

#include "kernels/dtype.h"

namespace doppel::fake {

constexpr size_t kCudnnVersion = 90001, kCublasLtVersion = 130001;

// Of the last convolution or product. Each library exports one, `last_call`.
struct Call {
  int algorithm = -1;
  size_t workspace = 0;
  int math = -1;           // cudnnMathType_t
  uint32_t alignment = 0;  // bytes that cuBLASLt was promised
};

// In the test's program: whether the card that there is not has failed.
extern bool card_is_lost;

// Asked for 7 channels of output, the fake cuDNN has no dgrad.
constexpr int kChannelsWithoutDgrad = 7;

// An algorithm that cuDNN proposes: what its heuristics say of it, in this order for every pass.
struct Proposal {
  int algorithm;
  bool works, repeats;  // its bits
  bool tensor_cores;
  size_t workspace;
};
// Usable are 1, 0, 6, 7, 2; the last is one more than can be chosen.
constexpr Proposal kProposals[] = {
    {3, true, false, true, 0},               // another result on every run
    {1, true, true, true, 1000},             // the best
    {1, true, true, false, 0},               // the same again by other mathematics
    {4, false, true, true, 0},               // not for this shape
    {5, true, true, true, size_t(1) << 30},  // more memory than is good
    {0, true, true, false, 0},
    {6, true, true, true, 64},
    {7, true, true, true, 256},
    {2, true, true, true, 0},
};
constexpr int kUsable[] = {1, 0, 6, 7};

// Objects behind the libraries' handles; never freed, and never lost.
template <typename T>
T* make() {
  static std::deque<T> all;
  return &all.emplace_back();
}

inline double read(const void* from, size_t i, DType type) {
  if (type == DType::f32) return double(static_cast<const float*>(from)[i]);
  Bf16 v;
  std::memcpy(&v, static_cast<const char*>(from) + 2 * i, 2);
  return double(to_float(v));
}
inline void write(void* to, size_t i, DType type, double value) {
  if (type == DType::f32) {
    static_cast<float*>(to)[i] = float(value);
    return;
  }
  const Bf16 v = to_bf16(float(value));
  std::memcpy(static_cast<char*>(to) + 2 * i, &v, 2);
}

}  // namespace doppel::fake
