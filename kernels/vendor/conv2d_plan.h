// A layer as cuDNN's classic interface knows it, and the algorithms it has for it. Private to
// kernels/vendor/conv2d*.cc.
//
// It knows symmetric padding alone; SAME at stride 2 needs one row more below than above, so there x is copied into a
// padded picture first, and dx cut out of one afterwards.
#pragma once

#if defined(DOPPEL_CUDNN)

#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/vendor/library.h"

namespace doppel::vendor {

// An algorithm of cuDNN's, and what it is called with.
template <typename Algorithm>
struct Way {
  Algorithm algorithm{};
  size_t workspace = 0;
  cudnnConvolutionDescriptor_t conv = nullptr;
};
template <typename Algorithm>
using Ways = std::vector<Way<Algorithm>>;

struct Plan {
  Conv2d conv;
  bool padded;  // x and dx pass through a padded copy, of padded_h rows of padded_w pixels
  int padded_h, padded_w;
  cudnnTensorDescriptor_t x, z;
  cudnnFilterDescriptor_t w;
  Ways<cudnnConvolutionFwdAlgo_t> fprop;
  Ways<cudnnConvolutionBwdDataAlgo_t> dgrad;
  Ways<cudnnConvolutionBwdFilterAlgo_t> wgrad;

  size_t padded_bytes() const {
    return padded ? size_t(conv.n) * size_t(padded_h) * size_t(padded_w) * size_t(conv.c) * size_of(conv.type) : 0;
  }
  size_t z_bytes() const { return size_t(conv.out_pixels()) * size_t(conv.k) * size_of(conv.type); }
};

// Made once for each layer of a thread and kept, with cuDNN's handle. What conv.kernels says is no part of it; one
// group.
const Plan& plan_of(const Conv2d& conv, Stream stream);

// 0 stands for the first.
template <typename Algorithm>
int number_of(const Way<Algorithm>& way) {
  return 1 + int(way.algorithm);
}

// What was chosen, else the first; null if there is none.
template <typename Algorithm>
const Way<Algorithm>* find(const Ways<Algorithm>& ways, const KernelChoice& choice) {
  if (choice.kernel != KernelKind::vendor || choice.algorithm == 0) return ways.empty() ? nullptr : &ways.front();
  for (const Way<Algorithm>& way : ways)
    if (number_of(way) == choice.algorithm) return &way;
  throw std::invalid_argument("conv2d: algorithm " + std::to_string(choice.algorithm) +
                              " of cuDNN is none that it has for this shape");
}

template <typename Algorithm>
size_t bytes_of(const Ways<Algorithm>& ways, const KernelChoice& choice) {
  const Way<Algorithm>* const way = find(ways, choice);
  return way ? way->workspace : 0;
}

template <typename Algorithm>
const Way<Algorithm>& chosen(const Ways<Algorithm>& ways, const Conv2d& c, Pass pass) {
  if (const Way<Algorithm>* const way = find(ways, c.kernels[pass])) return *way;
  throw std::runtime_error(std::string("cuDNN has no algorithm for ") + name_of(pass) + " of " + std::to_string(c.c) +
                           " to " + std::to_string(c.k) + " channels, " + std::to_string(c.r) + "x" +
                           std::to_string(c.s) + ", stride " + std::to_string(c.stride));
}

template <typename Algorithm>
std::vector<KernelChoice> choices_of(const Ways<Algorithm>& ways) {
  std::vector<KernelChoice> choices;
  for (const Way<Algorithm>& way : ways) choices.push_back({KernelKind::vendor, 1, number_of(way)});
  return choices;
}

}  // namespace doppel::vendor

#endif
