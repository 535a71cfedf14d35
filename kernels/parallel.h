// The one way CPU kernels use the cores.
#pragma once

#include <algorithm>
#include <cstdint>

namespace doppel {

// Splits [0, n) into contiguous ranges of at least `grain`, one per thread, and calls body(begin, end) for each. The
// split depends only on n, grain and the thread count, never on timing.
template <typename Body>
void parallel_for(int64_t n, int64_t grain, Body&& body);

// Threads that parallel_for uses.
int thread_count();

}  // namespace doppel

#include <omp.h>

namespace doppel {

inline int thread_count() {
  return omp_get_max_threads();
}

template <typename Body>
void parallel_for(int64_t n, int64_t grain, Body&& body) {
  if (n <= 0) return;
  const int64_t parts = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, thread_count());
  if (parts == 1) {
    body(int64_t(0), n);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(int(parts))
  for (int64_t part = 0; part < parts; ++part) body(n * part / parts, n * (part + 1) / parts);
}

}  // namespace doppel
