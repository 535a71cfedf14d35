// What the checked build adds to the emulator: one object that hears of everything a kernel does. Private to
// kernels/emulator/. In the plain build there is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/emulator/block.h"

namespace doppel::emulator {

// async_read: past the thread's own accesses, which sees ordinary stores only behind a fence_proxy_async.
enum class Access : uint8_t { read, write, atomic, async_read };

class Checker {
 public:
  virtual ~Checker() = default;

  virtual void launch_begins(const Launch& launch, uint32_t first_serial, uint32_t blocks) = 0;
  // No block has failed. Throws KernelError for a defect that shows only now.
  virtual void launch_ends(const Launch& launch, uint32_t first_serial) = 0;
  virtual void block_begins(Block& block) = 0;
  // All threads have left; a defect that shows only now is told to block.record().
  virtual void block_ends(Block& block) = 0;
  virtual void shared_appears(Block& block, unsigned char* memory, size_t bytes, const char* name) = 0;

  // The running thread is about to access memory from a twin of an instruction.
  virtual void access(Block& block, const void* address, size_t bytes, Access kind, Where where) = 0;

  // What `arrivals` did before is ordered before what `waiters` do from now on. Numbers of threads.
  virtual void ordered(Block& block, std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters) = 0;
  // The same by an mbarrier: the running thread leaves what it did before with the phase that goes on; that phase is
  // over, which `woken` waited for; the running thread finds that the last phase is over.
  virtual void release(Block& block, const void* mbarrier) = 0;
  virtual void phase_over(Block& block, const void* mbarrier, std::span<const uint16_t> woken) = 0;
  virtual void acquire(Block& block, const void* mbarrier) = 0;
  // The running thread comes to its cluster's barrier; all have; the running thread has waited there.
  virtual void cluster_arrives(Block& block) = 0;
  virtual void cluster_opens() = 0;
  virtual void cluster_waited(Block& block) = 0;
  // The running thread reaches into the shared memory of another block of its cluster, which must not have left.
  virtual void reaches(Block& block, Block& other, const char* what, Where where) = 0;
  // __threadfence, and what comes before and after an atomic operation: by these, blocks may be ordered.
  virtual void fence(Block& block) = 0;
  // fence_proxy_async
  virtual void fence_proxy(Block& block) = 0;
  virtual void before_atomic(Block& block, const void* address) = 0;
  virtual void after_atomic(Block& block, const void* address) = 0;

  // The running thread issues an asynchronous copy; it has waited for one of its own, or at an mbarrier for anybody's.
  virtual void copy_begins(Block& block, const Copy& copy) = 0;
  virtual void copy_ends(Block& block, const Copy& copy, bool at_mbarrier) = 0;

  virtual void memory_added(const void* begin, size_t bytes) = 0;
  virtual void memory_removed(const void* begin) = 0;
  // As in kernels/emulator/emulator.h.
  virtual void contents_forgotten(void* begin, size_t bytes) = 0;
  virtual void host_wrote(const void* begin, size_t bytes) = 0;
  virtual size_t unwritten(const void* begin, size_t bytes) = 0;
};

extern Checker* checker;

}  // namespace doppel::emulator
