#include "kernels/emulator/execute.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#include "kernels/device/launch_limits.h"
#include "kernels/emulator/checker.h"
#include "kernels/emulator/cluster.h"
#include "kernels/emulator/faults.h"
#include "kernels/emulator/guard.h"
#include "kernels/emulator/overflow.h"
#include "kernels/parallel.h"

namespace doppel::emulator {
namespace {

// The numbers 0 .. count-1 in the order in which clusters run.
std::vector<uint32_t> block_order(uint32_t count) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (options().blocks == Order::reverse) std::reverse(order.begin(), order.end());
  if (options().blocks == Order::shuffled) {
    uint64_t state = options().seed;
    for (uint32_t i = count; i > 1; --i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      std::swap(order[i - 1], order[(state >> 33) % i]);
    }
  }
  return order;
}

Cluster& cluster_of_this_os_thread() {
  static thread_local const auto cluster = std::make_unique<Cluster>();
  return *cluster;
}

std::atomic<uint32_t> blocks_ever{1};

}  // namespace

Checker* checker = nullptr;

bool checked() {
  return checker != nullptr;
}

Options& options() {
  static Options o;
  return o;
}

const char* name_of(Defect defect) {
  switch (defect) {
    case Defect::launch:
      return "launch";
    case Defect::deadlock:
      return "deadlock";
    case Defect::divergent_barrier:
      return "divergent barrier";
    case Defect::out_of_bounds:
      return "out of bounds";
    case Defect::shared_race:
      return "shared-memory race";
    case Defect::global_race:
      return "global-memory race";
    case Defect::uninitialised_shared:
      return "uninitialised shared memory";
    case Defect::uninitialised_global:
      return "uninitialised global memory";
    case Defect::misaligned:
      return "misaligned access";
    case Defect::copy_not_waited_for:
      return "asynchronous copy not waited for";
    case Defect::write_to_input:
      return "write to an input";
    case Defect::bad_barrier:
      return "bad barrier";
    case Defect::product_not_waited_for:
      return "wgmma not waited for";
    case Defect::missing_fence:
      return "missing fence";
    case Defect::too_early:
      return "too early";
    case Defect::left_too_early:
      return "block left too early";
    case Defect::bad_registers:
      return "bad register count";
  }
  return "?";
}

void add_memory(const void* begin, size_t bytes) {
  if (checker) checker->memory_added(begin, bytes);
}
void remove_memory(const void* begin) {
  if (checker) checker->memory_removed(begin);
}
void forget_contents(void* begin, size_t bytes) {
  if (checker) checker->contents_forgotten(begin, bytes);
}
void written_by_host(const void* begin, size_t bytes) {
  if (checker) checker->host_wrote(begin, bytes);
}
size_t bytes_unwritten(const void* begin, size_t bytes) {
  return checker ? checker->unwritten(begin, bytes) : 0;
}

void execute(const Launch& launch) {
  const dim3 g = launch.grid, b = launch.block;
  const std::string problem = launch_problem(
      {{g.x, g.y, g.z}, {b.x, b.y, b.z}, launch.shared, launch.bound, launch.cluster}, launch_limits(options().sm));
  if (!problem.empty())
    throw KernelError(Defect::launch,
                      std::string(name_of(Defect::launch)) + ": kernel " + launch.kernel + ": " + problem);
  const uint64_t count = uint64_t(g.x) * g.y * g.z;
  if (count > 0x7FFFFFFFu)
    throw KernelError(Defect::launch, std::string(name_of(Defect::launch)) + ": kernel " + launch.kernel + ": " +
                                          std::to_string(count) + " blocks are more than the emulator runs");
  if (fate_of(Operation::launch) == Fate::left_out) return;
  report_overflows();
  const OpenMemory open;
  const int64_t clusters = int64_t(count) / launch.cluster;
  const std::vector<uint32_t> order = block_order(uint32_t(clusters));
  const uint32_t first_serial = blocks_ever.fetch_add(uint32_t(count));
  if (checker) checker->launch_begins(launch, first_serial, uint32_t(count));

  // What the first cluster of the order that failed threw; those after it need not run.
  std::mutex mutex;
  std::exception_ptr failure;
  std::atomic<int64_t> failed_at{clusters};
  parallel_for(clusters, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && i < failed_at.load(std::memory_order_relaxed); ++i) {
      const uint32_t n = order[size_t(i)];
      try {
        cluster_of_this_os_thread().run(launch, n, first_serial);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed_at.load()) failed_at = i, failure = std::current_exception();
      }
    }
  });
  if (failure) std::rethrow_exception(failure);
  if (checker) checker->launch_ends(launch, first_serial);
}

}  // namespace doppel::emulator
