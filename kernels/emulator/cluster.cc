// Clusters: whose turn it is, their barrier, and what reaches into another block's shared memory.
#include "kernels/emulator/cluster.h"

#include "kernels/emulator/checker.h"

namespace doppel::emulator {

Cluster::Cluster() : os_thread_(os_thread_fiber()) {}

void Cluster::run(const Launch& launch, uint32_t number, uint32_t first_serial) {
  size_ = launch.cluster;
  polls = 0;
  arrived_ = 0;
  phase_ = 0;
  places.clear();
  static_used = 0;
  const uint32_t first = number * uint32_t(size_);
  random_ = options().seed * 0x9E3779B97F4A7C15u + first_serial + first;
  while (int(blocks_.size()) < size_) blocks_.push_back(std::make_unique<Block>(*this, int(blocks_.size())));
  for (int r = 0; r < size_; ++r) block(r).begin(launch, first + uint32_t(r), first_serial);
  if (Block* b = next(block(options().warps == Order::reverse ? size_ - 1 : 0))) b->start();
  bool failed = false;
  for (int r = 0; r < size_; ++r) failed = failed || block(r).failed();
  for (int r = 0; r < size_; ++r) block(r).end(failed);
  for (int r = 0; r < size_; ++r) block(r).throw_failure();
}

Block* Cluster::next(Block& running) {
  if (size_ == 1) return running.ready() ? &running : nullptr;
  const bool stays = options().warps == Order::shuffled ? running.warp_ready() : running.ready();
  if (stays) return &running;
  int first = 0, step = 1;
  if (options().warps == Order::reverse) first = size_ - 1, step = size_ - 1;  // - 1
  if (options().warps == Order::shuffled) {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    first = int((random_ >> 33) % uint64_t(size_));
  }
  for (int i = 0; i < size_; ++i)
    if (Block& b = block((first + i * step) % size_); b.ready()) return &b;
  return nullptr;
}

bool Cluster::all_left() {
  for (int r = 0; r < size_; ++r)
    if (block(r).left() < block(r).threads()) return false;
  return true;
}

// ---- the barrier ----------------------------------------------------------------------------------------------------

void Cluster::arrive() {
  ++arrived_;
  open_if_complete();
}

// Threads that have left are not waited for.
void Cluster::open_if_complete() {
  int needed = 0;
  for (int r = 0; r < size_; ++r) needed += block(r).threads() - block(r).left();
  if (arrived_ == 0 || arrived_ < needed) return;
  arrived_ = 0;
  ++phase_;
  if (checker) checker->cluster_opens();
  for (int r = 0; r < size_; ++r)
    for (int i = 0; i < block(r).threads(); ++i)
      if (Thread& t = block(r).thread(i); t.wait == Wait::cluster) block(r).make_ready(t);
}

int cluster_rank() {
  return running_block()->rank();
}

void cluster_arrive(Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  need_sm90(block, "cluster_arrive", where);
  if (self.cluster_arrived)
    block.fail(Defect::bad_barrier, block.place(self.number) +
                                        "comes to the cluster's barrier again before it has waited there, at " +
                                        text_of(where));
  const int first = self.number / kWarp * kWarp;
  for (int i = first; i < first + kWarp && i < block.threads(); ++i)
    if (const Thread& t = block.thread(i);
        t.cluster_arrived && t.cluster_phase == block.cluster().phase() && !same_place(t.cluster_where, where))
      block.fail(Defect::divergent_barrier, block.place(self.number) + "comes to the cluster's barrier at " +
                                                text_of(where) + ", others of its warp at " + text_of(t.cluster_where));
  self.cluster_arrived = true;
  self.cluster_where = where;
  self.cluster_phase = block.cluster().phase();
  for (MBarrierState& m : block.mbarriers)
    if (m.maker == self.number && m.cluster_fenced && !m.announced)
      m.announced = true, m.announced_in = self.cluster_phase;
  block.progress();
  if (checker) checker->cluster_arrives(block);
  block.cluster().arrive();
}

void cluster_wait(Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  if (!self.cluster_arrived)
    block.fail(
        Defect::bad_barrier,
        block.place(self.number) + "waits at the cluster's barrier, to which it has not come, at " + text_of(where));
  if (block.cluster().phase() == self.cluster_phase) {
    self.wait = Wait::cluster;
    self.where = where;
    block.suspend();
  }
  self.cluster_arrived = false;
  if (checker) checker->cluster_waited(block);
}

void fence_mbarrier_init(Where where) {
  Block& block = *running_block();
  need_sm90(block, "fence_mbarrier_init", where);
  for (MBarrierState& m : block.mbarriers)
    if (m.maker == block.current().number) m.cluster_fenced = true;
}

// ---- into another block ---------------------------------------------------------------------------------------------

Block& Block::peer(int rank, const char* what, Where where) {
  if (rank < 0 || rank >= cluster_.size())
    fail(Defect::out_of_bounds, place(current_->number) + what + " block " + std::to_string(rank) +
                                    " of a cluster of " + std::to_string(cluster_.size()) + " at " + text_of(where));
  Block& other = cluster_.block(rank);
  if (&other != this && other.left() == other.threads())
    fail(Defect::left_too_early, place(current_->number) + what + " block " + text_of(other.block) +
                                     ", which has left the kernel, at " + text_of(where));
  if (&other != this && checker) checker->reaches(*this, other, what, where);
  return other;
}

void* Block::same_in(Block& other, const void* address, size_t bytes, Where where) {
  const auto* p = static_cast<const unsigned char*>(address);
  if (p < arena_ || p + bytes > arena_ + kArena)
    fail(Defect::out_of_bounds, place(current_->number) + "names bytes for another block that are none of its own " +
                                    "shared memory at " + text_of(where));
  return other.arena_ + (p - arena_);
}

void mbarrier_arrive_at(void* address, int rank, Where where) {
  Block& block = *running_block();
  need_sm90(block, "mbarrier_arrive_at", where);
  Block& other = block.peer(rank, "arrives in", where);
  arrive_in(block, other, block.same_in(other, address, 8, where), where);
}

}  // namespace doppel::emulator
