// A block as it runs on the emulator: its threads, who waits for what, its shared memory. Private to kernels/emulator/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/execute.h"
#include "kernels/emulator/fiber.h"
#include "kernels/emulator/overflow.h"
#include "kernels/emulator/products.h"
#include "kernels/emulator/registers.h"
#include "kernels/emulator/shared_memory.h"
#include "kernels/emulator/thread.h"

namespace doppel::emulator {

constexpr int kMaxThreads = 1024, kMaxWarps = kMaxThreads / kWarp, kBarriers = 16;

// An asynchronous copy under way. Bulk ones write shared memory past the thread's own accesses ("async proxy").
struct Copy {
  unsigned char* to;
  const unsigned char* from;
  int bytes, valid;
  Where where;
  bool bulk = false;
};

// `change`: polls memory with atomics, and is ready all the while.
enum class Wait : uint8_t { nothing, barrier, lanes, mbarrier, cluster, products, registers, change, left };

// The last atomic operation of a thread, if it left memory as it was.
struct Poll {
  const void* address = nullptr;
  uint64_t found = 0;
};

struct Thread : ThreadPlace {
  int number = 0;
  bool started = false;
  bool waited = false;  // for the kernels before this one
  Wait wait = Wait::nothing;
  WarpOp op = WarpOp::sync;  // Wait::lanes
  unsigned mask = 0;         // Wait::lanes
  int barrier = 0;           // Wait::barrier
  const void* mbarrier = nullptr;
  int parity = 0;                // Wait::mbarrier
  int products = 0;              // Wait::products: until the whole warpgroup has issued so many
  bool cluster_arrived = false;  // at the cluster's barrier, and has not waited there since
  uint64_t cluster_phase = 0;    // its number
  Where cluster_where;
  Where where;  // of what it waits for
  Fiber fiber;
  std::vector<Copy> copies;  // issued, not arrived; oldest first
  std::vector<int> groups;   // sizes of the committed groups, oldest first
  int uncommitted = 0;       // copies after them
  ThreadProducts product;
  Poll poll;

  int lane() const { return number % kWarp; }
  int warp() const { return number / kWarp; }
};

struct Barrier {
  int expected = 0;  // threads; 0 while nobody has come, or for all of the block
  int arrived = 0;
  std::vector<uint16_t> arrivals, waiters;
  Where first;
  uint32_t lanes[kMaxWarps]{};  // of each warp, that have come
  Where places[kMaxWarps];      // where they are; the same for all

  void clear();
};

struct MBarrierState {
  const void* address = nullptr;
  int count = 0;                       // arrivals of a phase
  int pending = 0;                     // of this phase
  int maker = 0;                       // the thread that initialised it
  bool fenced = false;                 // bulk copies see that it is initialised
  bool cluster_fenced = false;         // so may other blocks of the cluster, behind a barrier of the cluster ..
  bool announced = false;              // .. to which its maker has come
  uint64_t announced_in = 0;           // the number of that barrier
  int64_t bytes = 0;                   // of bulk copies still to come
  uint64_t phase = 0;                  // phases that are over
  std::vector<Copy> copies;            // of this phase
  std::deque<std::vector<Copy>> done;  // of the phases that are over and that nobody has waited for, oldest first
};

class Cluster;

class Block : public BlockPlace {
 public:
  Block(Cluster& cluster, int rank);
  ~Block();

  // ---- for its cluster ----
  // Block `number` of the launch, x fastest, is to run; runs until no thread of the cluster can; has run.
  void begin(const Launch& launch, uint32_t number, uint32_t first_serial);
  void start();
  void end(bool cluster_failed);
  bool failed() const { return failed_; }
  void throw_failure() const;  // KernelError, if it has failed
  bool ready() const { return ready_warps_ != 0; }
  bool warp_ready() const { return ready_warps_ >> warp_ & 1u; }  // the warp that runs

  // ---- for the operations of a running thread ----
  Cluster& cluster() { return cluster_; }
  int rank() const { return rank_; }  // in its cluster
  // Block `rank` of the cluster, which the running thread reaches into. Fails when there is none, or no more.
  Block& peer(int rank, const char* what, Where where);
  // The place in `other` that is `address` here.
  void* same_in(Block& other, const void* address, size_t bytes, Where where);
  Thread& current() { return *current_; }
  const Launch& launch() const { return *launch_; }
  Thread& thread(int number) { return threads_[size_t(number)]; }
  int threads() const { return count_; }
  int left() const { return left_; }  // threads that have left the kernel
  // Number of this block among all that ever ran in this process, and that of the launch's first.
  uint32_t serial() const { return serial_; }
  uint32_t first_serial() const { return first_serial_; }
  // Whether the block of this number is one of this cluster, and the number of the cluster's first.
  bool in_cluster(uint32_t serial) const { return serial - cluster_serial() < uint32_t(launch_->cluster); }
  uint32_t cluster_serial() const { return serial_ - uint32_t(rank_); }
  // Suspends the running thread, which has said what it waits for, until another makes it ready.
  void suspend();
  void make_ready(Thread& thread);
  // The running thread polls: lets all others run that can, and comes back. Reports a deadlock when, for a long time,
  // nobody did anything but poll.
  void give_way(Where where);
  // Something happened that others may wait for: a barrier, an atomic operation that changed memory.
  void progress();
  // run() will throw this, if it is the first; and the same at once, which abandons the block: an exception unwinds the
  // running thread's stack, so that nothing on it is leaked. The other threads are left where they wait.
  void record(Defect defect, const std::string& text);
  [[noreturn]] void fail(Defect defect, const std::string& text);
  // " block (x,y,z) thread (x,y,z) " of a thread, and its parts.
  // How every report begins; from here on the block's own accesses are those of the report.
  std::string place(int thread);
  // Whether a defect is being put into words. The functions of strings may be those that the compiler has made for a
  // kernel's source, which tell of their loads and stores as if they were the kernel's.
  bool reporting() const { return reporting_; }
  std::string block_text(uint32_t serial) const;
  std::string thread_text(int thread) const;

  void* shared_array(const SharedArray& array);
  unsigned char* dynamic() const { return dynamic_; }
  // Where all shared memory of this object's blocks lies.
  static constexpr size_t kArena = size_t(1) << 20;
  const unsigned char* arena() const { return arena_; }
  unsigned char* arena() { return arena_; }

  Barrier barriers[kBarriers];
  std::vector<MBarrierState> mbarriers;
  Products products[kMaxThreads / kWarpgroup];  // by warpgroup
  Registers registers;
  struct Exchange {
    alignas(16) unsigned char in[kWarp][kExchangeBytes];
    alignas(16) unsigned char out[kWarp][kExchangeBytes];
  };
  Exchange& exchange(int warp) { return exchanges_[size_t(warp)]; }

 private:
  static void entry(void* block);
  void threads_on_this_fiber();
  std::string waiting_text();
  Thread* next();
  void go(Fiber& from, Thread& to);
  [[noreturn]] void stop();
  void leave(Thread& thread);
  void reset(const Launch& launch, uint32_t number, uint32_t first_serial);
  void reset_shared_memory();
  size_t place_of(const SharedArray& array);  // in the arena of each block of the cluster
  void report_deadlock();
  std::string missing(const void* mbarrier) const;

  Cluster& cluster_;
  const int rank_;
  const Launch* launch_ = nullptr;
  uint32_t serial_ = 0, first_serial_ = 0;
  std::vector<Thread> threads_;
  int count_ = 0, warps_ = 0, left_ = 0;
  Thread* current_ = nullptr;
  uint32_t ready_warps_ = 0, ready_lanes_[kMaxWarps] = {};
  int warp_ = 0;  // the one that runs, and goes on while it has a thread that is ready
  uint64_t random_ = 1;
  Order order_ = Order::forward;
  Stacks stacks_;
  SignalStack signal_stack_;
  std::unique_ptr<Exchange[]> exchanges_;

  struct Placed {
    const SharedArray* array;
    unsigned char* memory;
  };
  std::vector<Placed> arrays_;
  unsigned char* arena_;
  unsigned char* dynamic_ = nullptr;

  bool failed_ = false, reporting_ = false;
  Defect defect_ = Defect::deadlock;
  std::string failure_;
};

// The block that this OS thread runs; null outside kernels.
Block* running_block();

// The x, y, z of a block or thread by its number, and "(x,y,z)".
uint3 index_of(uint32_t number, dim3 extents);
std::string text_of(uint3 v);
// "file:line", the file without its path.
std::string text_of(Where where);
// Whether it is the same call.
bool same_place(Where a, Where b);

// Fails where the launch is for an older architecture.
void need_sm90(Block& block, const char* what, Where where);
// The running thread of `block` arrives at an mbarrier of `other`, of its cluster or itself.
void arrive_in(Block& block, Block& other, void* mbarrier, Where where);
// The running thread starts bulk copies that count `bytes` on an mbarrier: to its own block, or, where `mask` is not 0,
// to each block of the cluster whose bit is set, at the same places.
void begin_bulk_copies(Block& block, std::span<const Copy> copies, int bytes, const void* mbarrier, unsigned mask,
                       Where where);

}  // namespace doppel::emulator
