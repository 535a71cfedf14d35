// The tiles of the kernels that multiply matrices, as their own headers define them.
#pragma once

#include <optional>
#include <string>

#include "kernels/kernel_choice.h"

namespace doppel::bench {

struct KernelTile {
  int m, n;          // rows and columns of the result that a block computes at a time
  int step;          // products of each sum at a time
  int cluster;       // blocks that run together, of neighbouring rows, and share what the columns multiply
  int threads;       // of a block
  int shared;        // dynamic shared memory of a block, bytes
  std::string name;  // its template argument begins like that, as the compiler writes it
};
// Nothing for kernels that have none.
std::optional<KernelTile> kernel_tile(KernelKind kernel);

}  // namespace doppel::bench
