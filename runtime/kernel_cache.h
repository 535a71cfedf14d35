// Times of kernels on one device, kept in a file between runs, so that each is measured once.
//
// A JSON file: what it was measured on and with, and for each product (Operator::product) the microseconds of each
// kernel (to_string(KernelChoice)); null for a kernel that cannot make this product.
//
//   {"format": 2, "device": "NVIDIA H200", "generation": "6e0f12a9d3b84c57",
//    "libraries": "cuDNN 91300, cuBLASLt 130002",
//    "microseconds": {"wgrad conv2d [64,32,32,128] to 256, ...": {"mma_128x128/8": 112.4, "vendor:2": 131}}}
#pragma once

#include <map>
#include <string>

#include "kernels/kernel_choice.h"

namespace doppel {

// "mma_64x64/12": the kernel and the parts of the sum; "wgmma_128x256:132": and the equal shares of all sums;
// "vendor:2": a library's algorithm.
std::string to_string(const KernelChoice& choice);

// $XDG_CACHE_HOME/doppel/kernels-<device>.json, else $HOME/.cache/doppel/..; empty without either. Of the device's name
// letters and digits stay, the rest is "-".
std::string kernel_cache_path(const std::string& device);

class KernelCache {
 public:
  using Times = std::map<std::string, double>;  // microseconds of each kernel; infinity where it cannot

  // Of a device, measured with kernels of that generation (kernels/kernel_generation.h) and those libraries
  // (VendorLibraries::versions(); empty where none takes part: then their times stay as they are). An empty path keeps
  // nothing.
  KernelCache(std::string path, std::string device, std::string generation, std::string libraries)
      : path_(std::move(path)),
        device_(std::move(device)),
        generation_(std::move(generation)),
        libraries_(std::move(libraries)) {}

  // What the file holds joins what is here, and wins. Nothing when there is no file, or one of another device or
  // generation; nothing of the libraries when these are others. Throws Error naming the file when it cannot be read or
  // is damaged; then nothing has joined.
  void read();
  // Throws Error when the file cannot be written.
  void write() const;

  // Of a product; to be added to.
  Times& operator[](const std::string& product) { return times_[product]; }
  const std::string& path() const { return path_; }

 private:
  std::string path_, device_, generation_, libraries_;
  std::map<std::string, Times> times_;
};

}  // namespace doppel
