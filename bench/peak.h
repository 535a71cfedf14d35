// What the device can do, measured: the yardstick of "of peak" and "of floor".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/kernel_cases.h"

namespace doppel::bench {

// A second: operations by the fastest large bf16 matrix product that there is, bytes read and written by a large copy.
struct Peak {
  double flops = 0, bytes = 0;
  std::string
      by;  // the product: "cuBLASLt 130002, bare, vendor:2", "doppel, with bias, mma_128x128/1; without cuBLASLt"
};

// Times each case and hands it to `each` with its time; one that cannot be run is told and left out. "" or, where none
// could be run, why not. Throws DeviceError and Interrupted, and what `each` throws.
std::string measure_each(const std::vector<KernelCase>& cases, const std::function<double(const KernelCase&)>& time,
                         const std::function<void(const KernelCase&, double)>& each);

// The product is cuBLASLt's alone, bf16 to bf16 with nothing around it, by each of its algorithms that runs, and our
// own dense layer next to it; without the library each of our kernels. Each is measured for `seconds` and told to
// `each` with its time.
Peak measured_peak(double seconds, const std::function<void(const KernelCase&, double)>& each);

}  // namespace doppel::bench
