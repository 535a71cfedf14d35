#include "kernels/emulator/block.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/emulator/checker.h"
#include "kernels/emulator/cluster.h"

namespace doppel::emulator {
namespace {

// Where swizzles repeat: the arena's addresses and its offsets agree in the bits that they use. Dynamic shared memory
// begins a gap later, off that boundary, as it may on a card.
constexpr size_t kArenaAlignment = 1024;

thread_local Block* t_block = nullptr;

// Thrown by what a thread does wrong, and caught where the thread began.
struct Abandoned {};

}  // namespace

constinit thread_local const ThreadPlace* current_place = nullptr;

Block* running_block() {
  return t_block;
}

Block::Block(Cluster& cluster, int rank)
    : cluster_(cluster),
      rank_(rank),
      threads_(kMaxThreads),
      exchanges_(std::make_unique<Exchange[]>(kMaxWarps)),
      arena_(static_cast<unsigned char*>(::operator new(kArena, std::align_val_t(kArenaAlignment)))) {}

Block::~Block() {
  ::operator delete(arena_, std::align_val_t(kArenaAlignment));
}

void Block::reset(const Launch& launch, uint32_t number, uint32_t first_serial) {
  launch_ = &launch;
  serial_ = first_serial + number;
  first_serial_ = first_serial;
  block = index_of(number, launch.grid);
  block_dim = launch.block;
  grid_dim = launch.grid;
  count_ = int(block_dim.x * block_dim.y * block_dim.z);
  warps_ = (count_ + kWarp - 1) / kWarp;
  left_ = 0;
  failed_ = reporting_ = false;
  order_ = options().warps;
  random_ = options().seed * 0x9E3779B97F4A7C15u + serial_ + 1;
  warp_ = order_ == Order::reverse ? warps_ - 1 : 0;
  uint3 at{};
  for (int i = 0; i < count_; ++i) {
    Thread& t = threads_[size_t(i)];
    t.thread = at;
    t.block = this;
    t.number = i;
    t.started = t.waited = false;
    t.wait = Wait::nothing;
    t.copies.clear();
    t.groups.clear();
    t.uncommitted = 0;
    t.product = {};
    t.poll = {};
    t.cluster_arrived = false;
    if (++at.x == block_dim.x) at.x = 0, ++at.y;
    if (at.y == block_dim.y) at.y = 0, ++at.z;
  }
  ready_warps_ = warps_ == kMaxWarps ? ~0u : (1u << warps_) - 1;
  for (int w = 0; w < warps_; ++w) {
    const int lanes = std::min(kWarp, count_ - w * kWarp);
    ready_lanes_[w] = lanes == kWarp ? ~0u : (1u << lanes) - 1;
  }
  for (Barrier& b : barriers) b.clear();
  mbarriers.clear();
  for (Products& p : products) p = {};
  registers.reset(launch.registers);
  reset_shared_memory();
}

void Block::begin(const Launch& launch, uint32_t number, uint32_t first_serial) {
  reset(launch, number, first_serial);
  if (!checker) return;
  checker->block_begins(*this);
  checker->shared_appears(*this, dynamic_, launch.shared, "dynamic shared memory");
}

void Block::start() {
  go(cluster_.os_thread(), *next());
}

void Block::end(bool cluster_failed) {
  t_block = this;
  if (checker && !cluster_failed) checker->block_ends(*this);
  t_block = nullptr;
  current_place = nullptr;
  for (int i = 0; i < count_; ++i)
    if (threads_[size_t(i)].fiber.stack) stacks_.take(threads_[size_t(i)].fiber);
}

void Block::throw_failure() const {
  if (failed_) throw KernelError(defect_, failure_);
}

void Block::progress() {
  cluster_.polls = 0;
}

// ---- taking turns ---------------------------------------------------------------------------------------------------

Thread* Block::next() {
  if (ready_warps_ == 0) return nullptr;
  if (!(ready_warps_ >> warp_ & 1u)) {
    if (order_ == Order::forward) warp_ = std::countr_zero(ready_warps_);
    if (order_ == Order::reverse) warp_ = 31 - std::countl_zero(ready_warps_);
    if (order_ == Order::shuffled) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;
      const int turn = int(random_ >> 59);
      warp_ = (std::countr_zero(std::rotr(ready_warps_, turn)) + turn) % kMaxWarps;
    }
  }
  uint32_t& lanes = ready_lanes_[warp_];
  const int lane = order_ == Order::forward ? std::countr_zero(lanes) : 31 - std::countl_zero(lanes);
  lanes &= ~(1u << lane);
  if (lanes == 0) ready_warps_ &= ~(1u << warp_);
  return &threads_[size_t(warp_ * kWarp + lane)];
}

void Block::make_ready(Thread& thread) {
  thread.wait = Wait::nothing;
  ready_lanes_[thread.warp()] |= 1u << thread.lane();
  ready_warps_ |= 1u << thread.warp();
}

void Block::go(Fiber& from, Thread& to) {
  t_block = this;
  current_ = &to;
  current_place = &to;
  if (!to.started) {
    stacks_.give(to.fiber);
    to.started = true;
    prepare(to.fiber, &Block::entry, this);
  }
  switch_fiber(from, to.fiber);
}

void Block::suspend() {
  Thread& self = *current_;
  Block* const turn = cluster_.next(*this);
  if (!turn) {
    report_deadlock();
    throw Abandoned{};
  }
  Thread* other = turn->next();
  if (other != &self) turn->go(self.fiber, *other);
}

void Block::give_way(Where where) {
  // Each thread that only polls comes this often: all others have had their turn many times.
  constexpr int64_t kRounds = 1000;
  Thread& self = *current_;
  self.wait = Wait::change;
  self.where = where;
  int64_t stay = 0;
  for (int r = 0; r < cluster_.size(); ++r) stay += cluster_.block(r).count_ - cluster_.block(r).left_;
  if (++cluster_.polls > kRounds * stay) {
    report_deadlock();
    throw Abandoned{};
  }
  Thread* other = nullptr;
  const auto wait_for = [&](Block& other_block, Thread& thread) {
    ready_lanes_[self.warp()] |= 1u << self.lane();
    ready_warps_ |= 1u << self.warp();
    other_block.go(self.fiber, thread);
    self.wait = Wait::nothing;
  };
  const bool alone = cluster_.size() == 1;
  for (int i = self.number + 1; (ready_warps_ != 0 || !alone) && i <= self.number + count_ && !other; ++i) {
    // Past the last thread of this block come those of the others.
    for (int r = 1; i == count_ && r < cluster_.size(); ++r)
      if (Block& b = cluster_.block((rank_ + r) % cluster_.size()); b.ready()) return wait_for(b, *b.next());
    Thread& t = threads_[size_t(i % count_)];
    uint32_t& lanes = ready_lanes_[t.warp()];
    if (!(lanes >> t.lane() & 1u)) continue;
    lanes &= ~(1u << t.lane());
    if (lanes == 0) ready_warps_ &= ~(1u << t.warp());
    warp_ = t.warp();
    other = &t;
  }
  if (other) {
    ready_lanes_[self.warp()] |= 1u << self.lane();
    ready_warps_ |= 1u << self.warp();
    go(self.fiber, *other);
  }
  self.wait = Wait::nothing;
}

void Block::entry(void* block) {
  entered();
  static_cast<Block*>(block)->threads_on_this_fiber();
}

// Threads that never wait follow each other on one fiber.
void Block::threads_on_this_fiber() {
  for (;;) {
    Thread& self = *current_;
    try {
      launch_->call(launch_->arguments);
      leave(self);
    } catch (const Abandoned&) {
      // The handler ends before the fiber does: nobody would come back to end it.
    }
    if (failed_) stop();
    Block* const turn = cluster_.next(*this);
    if (!turn) {
      if (!cluster_.all_left()) report_deadlock();
      stop();
    }
    Thread* other = turn->next();
    if (other->started || turn != this) {
      turn->go(self.fiber, *other);
      std::abort();  // nobody switches back to a thread that has left
    }
    other->fiber = self.fiber;
    other->started = true;
    self.fiber = {};
    current_ = other;
    current_place = other;
  }
}

void Block::stop() {
  Fiber gone;
  switch_fiber(gone, cluster_.os_thread());
  std::abort();
}

void Block::record(Defect defect, const std::string& text) {
  if (failed_) return;
  failed_ = true;
  defect_ = defect;
  failure_ = std::string(name_of(defect)) + ": kernel " + launch_->kernel + text;
}

void Block::fail(Defect defect, const std::string& text) {
  record(defect, text);
  throw Abandoned{};
}

std::string Block::place(int thread) {
  reporting_ = true;
  return " block " + text_of(block) + " thread " + thread_text(thread) + " ";
}

std::string Block::block_text(uint32_t serial) const {
  return text_of(index_of(serial - first_serial_, grid_dim));
}

std::string Block::thread_text(int thread) const {
  return text_of(threads_[size_t(thread)].thread);
}

bool same_place(Where a, Where b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

uint3 index_of(uint32_t number, dim3 extents) {
  return {number % extents.x, number / extents.x % extents.y, number / extents.x / extents.y};
}

std::string text_of(uint3 v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}

std::string text_of(Where where) {
  const char* slash = std::strrchr(where.file_name(), '/');
  return std::string(slash ? slash + 1 : where.file_name()) + ":" + std::to_string(where.line());
}

}  // namespace doppel::emulator
