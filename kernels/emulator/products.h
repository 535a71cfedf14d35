// wgmma on the emulator: products that a warpgroup, 128 threads from a multiple of 128 on, has issued and that go on
// until somebody waits for them. Private to kernels/emulator/.
//
// A product is worked out when the first thread has waited for it, and not before: it reads shared memory as late as it
// may, so that who overwrites an operand too soon gets wrong sums. Meanwhile its accumulators are NaN.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "kernels/emulator/thread.h"

namespace doppel::emulator {

constexpr int kWarp = 32, kWarpgroup = 128;

class Block;
struct Thread;

// Accumulators of one thread that a wgmma has been given.
struct Accumulators {
  float* at;
  int count;
  std::vector<float> values;  // while a product goes on; `at` is NaN then
  int last = -1;              // the product that was given them last
  bool pending = false;       // that product has not been waited for
  bool touched = false;       // by the thread, since its last wgmma_fence (checked build)
};

struct ThreadProducts {
  int issued = 0, waited = 0;  // products
  bool fenced = false;
  std::vector<int> groups;  // products issued when each was committed, oldest first
  std::deque<Accumulators> accumulators;
};

struct Product {
  WgmmaShape shape;
  uint64_t a, b;
  bool accumulate;
  Where where;
  int first;                           // the thread that came first
  int issued = 0, waited = 0;          // threads
  bool done = false;                   // worked out
  uint32_t low[2]{}, high[2]{};        // shared addresses between which a and b lie
  Accumulators* values[kWarpgroup]{};  // of each thread
};

// Of one warpgroup: those that not everybody has waited for.
struct Products {
  std::deque<Product> list;
  int begin = 0;  // number of the first in `list`
};

// Fails if `thread`, which leaves, has products that it never waited for.
void check_products_done(Block& block, const Thread& thread);

// The product that goes on and may still read these bytes of shared memory, or null.
const Product* pending_reader(const Block& block, const unsigned char* begin, size_t bytes);

// The accumulators of the running thread that these bytes touch, or null.
Accumulators* accumulators_at(Thread& thread, const void* address, size_t bytes);

}  // namespace doppel::emulator
