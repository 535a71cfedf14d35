// The checker of the checked build: decides about every access.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/checked/shadow.h"
#include "kernels/emulator/checker.h"

namespace doppel::emulator {

class ShadowChecker : public Checker {
 public:
  void launch_begins(const Launch& launch, uint32_t first_serial, uint32_t blocks) override;
  void launch_ends(const Launch& launch, uint32_t first_serial) override;
  void block_begins(Block& block) override;
  void block_ends(Block& block) override;
  void shared_appears(Block& block, unsigned char* memory, size_t bytes, const char* name) override;
  void access(Block& block, const void* address, size_t bytes, Access kind, Where where) override;
  void ordered(Block& block, std::span<const uint16_t> arrivals, std::span<const uint16_t> waiters) override;
  void release(Block& block, const void* mbarrier) override;
  void phase_over(Block& block, const void* mbarrier, std::span<const uint16_t> woken) override;
  void acquire(Block& block, const void* mbarrier) override;
  void cluster_arrives(Block& block) override;
  void cluster_opens() override;
  void cluster_waited(Block& block) override;
  void reaches(Block& block, Block& other, const char* what, Where where) override;
  void fence(Block& block) override;
  void fence_proxy(Block& block) override;
  void before_atomic(Block& block, const void* address) override;
  void after_atomic(Block& block, const void* address) override;
  void copy_begins(Block& block, const Copy& copy) override;
  void copy_ends(Block& block, const Copy& copy, bool at_mbarrier) override;
  void memory_added(const void* begin, size_t bytes) override;
  void memory_removed(const void* begin) override;
  void contents_forgotten(void* begin, size_t bytes) override;
  void host_wrote(const void* begin, size_t bytes) override;
  size_t unwritten(const void* begin, size_t bytes) override;

  // One access of the running thread, from whatever place.
  void check(Block& block, const void* address, size_t bytes, Access kind, Place place, bool under_way = false,
             bool bulk = false);

 private:
  struct Region {
    const char *begin, *end;
    Cells cells;
    std::vector<uint8_t> unwritten;  // of each byte, 1 if it holds nothing; empty while all are written
    // The launch (by its first serial) to which it was last given as an input, as something to write.
    uint32_t input_of = 0, output_of = 0;
  };
  struct Shared {
    const unsigned char *begin, *end;
    const char* name;
  };
  // The last time that a thread of a cluster reached into a block.
  struct Reach {
    Touch touch{};
    const char* what = nullptr;
  };
  // A block of the cluster that an OS thread runs.
  struct OfBlock {
    Cells cells = make_cells(Block::kArena);
    std::vector<Shared> arrays;
    std::vector<Reach> reaches;  // by thread of the cluster; empty while no other block's has
    // The first read of shared memory that nobody had written. A write may follow, and then it is a race: an unlucky
    // order of threads; if none does until the block ends, nobody ever wrote it.
    Touch unwritten{};
    size_t unwritten_bytes = 0;
    const char* unwritten_array = nullptr;
  };
  // Of the cluster that an OS thread runs. Its threads are numbered through, block after block.
  struct State {
    BlockClocks clocks;
    std::vector<OfBlock> blocks = std::vector<OfBlock>(1);  // by rank
    std::vector<Knowledge> fenced;                          // by thread
    std::vector<uint32_t> fenced_proxy;                     // by thread: its clock at its last fence_proxy_async
    std::unordered_map<uint32_t, Knowledge> foreign;        // what is known of other clusters, by their first block
    // Asynchronous copies under way, by where to, from global memory that the kernel may write.
    struct Source {
      const char *begin, *end;
      Touch touch;
    };
    std::unordered_map<const unsigned char*, Source> sources;
    ReaderSets readers;  // of shared memory
    // The last set of readers that were all found to be before a thread of a block; what a thread knows only grows.
    struct {
      uint32_t set, block;
      int thread;
      bool shared;
    } clear{};
    Region* last_region = nullptr;
  };
  static State& state();
  // Numbers of threads in the clocks: of a block, of the running one, of whoever touched something in its cluster.
  static int first_of(const Block& block) { return block.rank() * block.threads(); }
  static int self_in(Block& block) { return first_of(block) + block.current().number; }
  static int clock_of(const Block& block, const Touch& touch) {
    return int(touch.block - block.cluster_serial()) * block.threads() + touch.thread;
  }

  Region* find(const char* address);
  // The same outside launches; throws std::logic_error where the bytes are not within one.
  Region& region_of(const void* begin, size_t bytes);
  // Whether an access finds what it reads; what it writes is written from now on.
  void check_written(Region& region, const char* begin, size_t bytes, Access kind, const Touch& touch);
  // `owner`: the block of the cluster whose memory it is.
  void check_shared(Block& block, Block& owner, const unsigned char* begin, size_t bytes, Access kind,
                    const Touch& touch);
  void check_global(Block& block, Region& region, const char* begin, size_t bytes, Access kind, const Touch& touch);
  // The earlier access that this one must not meet, or null.
  const Touch* conflict(Block& block, const Cell& cell, Access kind, const Touch& now, bool shared);
  const Touch* read_conflict(Block& block, const Touch& read, const Touch& now, bool shared);
  void remember(Block& block, Cell& cell, Access kind, const Touch& now, bool shared);
  // `array`: null for global memory.
  [[noreturn]] void report(Block& block, const Touch& now, const Touch& earlier, bool earlier_wrote, Access kind,
                           size_t bytes, const char* array);
  bool before(Block& block, const Touch& touch, const Touch& now, bool shared) const;
  std::string nearest(const char* address, size_t bytes);

  static constexpr size_t kLocks = 1024;
  std::atomic_flag locks_[kLocks];
  std::vector<std::unique_ptr<Region>> regions_;  // by address
  // Of this launch, the first read of global memory that holds nothing, by the lowest block that does so. Told only
  // when all blocks have run: if another writes it, with no order between, it is a race.
  struct {
    Touch touch;
    const Region* region = nullptr;
    size_t offset, bytes;
  } unwritten_{};
  std::mutex unwritten_mutex_;
  std::mutex readers_mutex_;
  ReaderSets readers_;  // of global memory, in this launch
  std::mutex published_mutex_;
  std::unordered_map<const void*, std::unordered_map<uint32_t, Knowledge>> published_;  // of this launch, by atomic
};

ShadowChecker& shadow_checker();

}  // namespace doppel::emulator
