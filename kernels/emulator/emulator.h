// The host emulator: runs the CUDA kernels of kernels/*.cu, compiled as plain C++, on the CPU.
//
// Each CUDA thread is a fiber; the threads of a block run on one core and take turns only where they wait for each
// other. Blocks share the cores. Shared memory is NaN in each new block; asynchronous copies arrive only when waited
// for; launches are held to the limits of an architecture. Blocks, and warps within a block, run in an order of choice:
// a kernel that is right gives the same bits in all of them.
//
// The plain build is for running (--device emulator). The checked build is for tests: it sees every load and store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace doppel::emulator {

enum class Order { forward, reverse, shuffled };

struct Options {
  int sm = 80;  // the architecture whose limits hold: 80, 86, 89, 90, 120
  Order blocks = Order::forward;
  Order warps = Order::forward;
  int multiprocessors = 2;   // what multiprocessors() answers: kernels whose blocks stay size their grid by it
  uint64_t seed = 1;         // of the shuffled orders
  bool early_start = false;  // holds kernels to the rules of kernels/device/early_start.h
};
// Of all launches from now on; to be changed between launches only.
Options& options();

enum class Defect {
  launch,                  // beyond the architecture's grid, block or shared memory, or the kernel's __launch_bounds__
  deadlock,                // all threads that are left wait
  divergent_barrier,       // not all threads of the block or warp come to the same barrier or warp operation
  out_of_bounds,           // outside all buffers and shared arrays (checked build)
  shared_race,             // two threads, one writes, no barrier between (checked build)
  global_race,             // the same through global memory, in a block or between blocks (checked build)
  uninitialised_shared,    // a read of shared memory that no thread of the block has written (checked build)
  uninitialised_global,    // a read of global memory that is known to hold nothing (checked build)
  misaligned,              // a vector at an address that is no multiple of its size
  copy_not_waited_for,     // the destination of an asynchronous copy, before its wait (checked build)
  write_to_input,          // through a pointer to const, or into constants (checked build)
  bad_barrier,             // a misused mbarrier, barrier number or mask
  product_not_waited_for,  // accumulators of a wgmma before its wait (checked build), or never waited for
  missing_fence,           // before a wgmma, or between ordinary stores and what reads past them
  too_early,               // memory before wait_for_earlier_kernels() (checked build), or a kernel without it
  left_too_early,          // a block has left, or may have, when another of its cluster reaches into its shared memory
  bad_registers,           // registers_increase to fewer than a thread has, or registers_decrease to more
};
// "out of bounds", "shared-memory race", ...
const char* name_of(Defect defect);

// What a launch throws when its kernel has a defect: "<class>: kernel <name> block (x,y,z) thread (x,y,z) ...".
class KernelError : public std::runtime_error {
 public:
  KernelError(Defect defect, const std::string& what) : std::runtime_error(what), defect_(defect) {}
  Defect defect() const { return defect_; }

 private:
  Defect defect_;
};

// True in programs linked with the checked build.
bool checked();

// Memory that kernels may use, "global memory": the checked build reports every access outside it. The plain build
// ignores these. Regions must not overlap; not to be called during a launch.
void add_memory(const void* begin, size_t bytes);
void remove_memory(const void* begin);

// Of bytes within one such region, neither of them during a launch. They hold nothing from now on: the checked build
// reports a kernel that reads one before anybody has written it. It fills them with 0xFF, and takes whatever is
// something else for a write of the host; written_by_host() says so where a write may leave 0xFF. The plain build
// ignores both.
void forget_contents(void* begin, size_t bytes);
void written_by_host(const void* begin, size_t bytes);
// How many of these bytes still hold nothing; 0 in the plain build.
size_t bytes_unwritten(const void* begin, size_t bytes);

}  // namespace doppel::emulator
