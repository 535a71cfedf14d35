// What the lanes of a warp do together.
#include <bit>
#include <cstring>

#include "kernels/dtype.h"
#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"

namespace doppel::emulator {
namespace {

using Exchange = Block::Exchange;

const char* name_of(WarpOp op) {
  constexpr const char* kNames[] = {
      "__syncwarp",        "a shuffle",         "a vote",   "__match_any_sync", "__reduce_add_sync",
      "__reduce_min_sync", "__reduce_max_sync", "ldmatrix", "mma (bf16)",       "mma (tf32)"};
  return kNames[int(op)];
}

template <typename T>
T in(const Exchange& e, int lane) {
  T v;
  std::memcpy(&v, e.in[lane], sizeof(T));
  return v;
}
template <typename T>
void out(Exchange& e, int lane, const T& v) {
  static_assert(sizeof(T) <= kExchangeBytes);
  std::memcpy(e.out[lane], &v, sizeof(T));
}

template <typename Body>
void for_lanes(unsigned mask, Body body) {
  for (unsigned rest = mask; rest; rest &= rest - 1) body(std::countr_zero(rest));
}

struct MatrixRow {
  const unsigned char* row;
  int count;
  bool transposed;
};

void load_matrices(Exchange& e) {
  const auto first = in<MatrixRow>(e, 0);
  uint32_t result[kWarp][4] = {};
  for (int m = 0; m < first.count; ++m) {
    uint16_t elements[8][8];
    for (int r = 0; r < 8; ++r) std::memcpy(elements[r], in<MatrixRow>(e, 8 * m + r).row, 16);
    for (int lane = 0; lane < kWarp; ++lane) {
      const int r = lane / 4, c = 2 * (lane % 4);
      const uint32_t low = first.transposed ? elements[c][r] : elements[r][c];
      const uint32_t high = first.transposed ? elements[c + 1][r] : elements[r][c + 1];
      result[lane][m] = low | high << 16;
    }
  }
  for (int lane = 0; lane < kWarp; ++lane) std::memcpy(e.out[lane], result[lane], sizeof(result[lane]));
}

struct MmaInput {
  uint32_t a[4], b[2];
  float c[4];
};

// d = a b + c with b transposed in memory, K products for each element; exact products summed in double.
template <int K>
void product(Exchange& e, const float (&a)[16][K], const float (&b)[8][K]) {
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto input = in<MmaInput>(e, lane);
    float d[4];
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = double(input.c[i]);
      for (int k = 0; k < K; ++k) sum += double(a[row][k]) * double(b[column][k]);
      d[i] = float(sum);
    }
    std::memcpy(e.out[lane], d, sizeof(d));
  }
}

float half_of(uint32_t pair, int half) {
  return std::bit_cast<float>(half ? pair & 0xFFFF0000u : pair << 16);
}

void multiply_bf16(Exchange& e) {
  float a[16][16], b[8][16];
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto v = in<MmaInput>(e, lane);
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int h = 0; h < 2; ++h) {
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + h + i / 2 * 8] = half_of(v.a[i], h);
      for (int i = 0; i < 2; ++i) b[g][t + h + i * 8] = half_of(v.b[i], h);
    }
  }
  product(e, a, b);
}

void multiply_tf32(Exchange& e) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const auto v = in<MmaInput>(e, lane);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = std::bit_cast<float>(v.a[i] & ~0x1FFFu);
    for (int i = 0; i < 2; ++i) b[g][t + i * 4] = std::bit_cast<float>(v.b[i] & ~0x1FFFu);
  }
  product(e, a, b);
}

void reduce(Exchange& e, WarpOp op, unsigned mask) {
  uint32_t result = op == WarpOp::reduce_min ? ~0u : 0;
  for_lanes(mask, [&](int lane) {
    const auto v = in<uint32_t>(e, lane);
    if (op == WarpOp::reduce_add) result += v;
    if (op == WarpOp::reduce_min) result = std::min(result, v);
    if (op == WarpOp::reduce_max) result = std::max(result, v);
    if (op == WarpOp::ballot) result |= v << lane;
  });
  for_lanes(mask, [&](int lane) { out(e, lane, result); });
}

void complete(Exchange& e, WarpOp op, unsigned mask) {
  switch (op) {
    case WarpOp::sync:
      return;
    case WarpOp::shuffle:
      return for_lanes(mask, [&](int lane) {
        // A lane that does not take part gives nothing that may be used.
        const int source = in<ShuffleInput>(e, lane).source;
        out(e, lane, mask >> source & 1u ? in<ShuffleInput>(e, source).bits : ~uint64_t(0));
      });
    case WarpOp::match_any:
      return for_lanes(mask, [&](int lane) {
        uint32_t same = 0;
        for_lanes(mask, [&](int other) { same |= uint32_t(in<uint32_t>(e, lane) == in<uint32_t>(e, other)) << other; });
        out(e, lane, same);
      });
    case WarpOp::ldmatrix:
      return load_matrices(e);
    case WarpOp::mma_bf16:
      return multiply_bf16(e);
    case WarpOp::mma_tf32:
      return multiply_tf32(e);
    default:
      return reduce(e, op, mask);
  }
}

}  // namespace

void earlier_kernels_done() {
  running_block()->current().waited = true;
}

int lane_number() {
  return running_block()->current().lane();
}

int segment(int width, Where where) {
  Block& block = *running_block();
  if (width < 1 || width > kWarp || !std::has_single_bit(unsigned(width)))
    block.fail(Defect::bad_barrier, block.place(block.current().number) + "shuffles in segments of " +
                                        std::to_string(width) + " lanes, no power of two up to 32, at " +
                                        text_of(where));
  return lane_number() & ~(width - 1);
}

void warp_collective(WarpOp op, unsigned mask, const void* in, size_t in_bytes, void* out, size_t out_bytes,
                     Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  const int first = self.warp() * kWarp;
  if (!(mask >> self.lane() & 1u))
    block.fail(Defect::bad_barrier,
               block.place(self.number) + "is not in its own mask of " + name_of(op) + " at " + text_of(where));
  Exchange& e = block.exchange(self.warp());
  if (in_bytes) std::memcpy(e.in[self.lane()], in, in_bytes);
  self.wait = Wait::lanes;
  self.op = op;
  self.mask = mask;
  self.where = where;
  // "sync.aligned": one instruction of the whole warp. The others may be called from several places.
  const bool aligned = op == WarpOp::ldmatrix || op == WarpOp::mma_bf16 || op == WarpOp::mma_tf32;
  bool all = true;
  for_lanes(mask, [&](int lane) {
    const int number = first + lane;
    const Thread* t = number < block.threads() ? &block.thread(number) : nullptr;
    if (!t || t->wait == Wait::left)
      block.fail(Defect::divergent_barrier, block.place(self.number) + "waits in " + name_of(op) + " at " +
                                                text_of(where) + " for lane " + std::to_string(lane) +
                                                (t ? ", which has left the kernel" : ", which is not in the block"));
    const bool there = t->wait == Wait::lanes && t->mask == mask;
    if (there && t->op != op)
      block.fail(Defect::divergent_barrier, block.place(self.number) + "comes to " + name_of(op) + " at " +
                                                text_of(where) + " while lane " + std::to_string(lane) + " waits in " +
                                                name_of(t->op) + " at " + text_of(t->where));
    if (there && aligned && !same_place(t->where, where))
      block.fail(Defect::divergent_barrier, block.place(self.number) + "comes to " + name_of(op) + " at " +
                                                text_of(where) + " while lane " + std::to_string(lane) +
                                                " waits in another at " + text_of(t->where));
    all = all && there;
  });
  if (all) {
    complete(e, op, mask);
    uint16_t numbers[kWarp];
    size_t count = 0;
    for_lanes(mask, [&](int lane) {
      numbers[count++] = uint16_t(first + lane);
      block.make_ready(block.thread(first + lane));
    });
    if (checker && op == WarpOp::sync) checker->ordered(block, {numbers, count}, {numbers, count});
  }
  block.suspend();
  if (out_bytes) std::memcpy(out, e.out[self.lane()], out_bytes);
}

void sync_warp(unsigned mask, Where where) {
  // The last warp of a block may have fewer than 32 lanes; the hardware ignores the others.
  Block& block = *running_block();
  const int lanes = block.threads() - block.current().warp() * kWarp;
  if (lanes < kWarp) mask &= (1u << lanes) - 1;
  warp_collective(WarpOp::sync, mask, nullptr, 0, nullptr, 0, where);
}

void ldmatrix(uint32_t* r, const void* row, int count, bool transposed, Where where) {
  Block& block = *running_block();
  if (block.current().lane() < 8 * count) {
    check_aligned(row, 16, where);
    if (checker) checker->access(block, row, 16, Access::read, where);
  }
  const MatrixRow input{static_cast<const unsigned char*>(row), count, transposed};
  warp_collective(WarpOp::ldmatrix, ~0u, &input, sizeof(input), r, size_t(count) * 4, where);
}

void mma(WarpOp op, float* d, const uint32_t* a, const uint32_t* b, const float* c, Where where) {
  MmaInput input;
  std::memcpy(input.a, a, sizeof(input.a));
  std::memcpy(input.b, b, sizeof(input.b));
  std::memcpy(input.c, c, sizeof(input.c));
  warp_collective(op, ~0u, &input, sizeof(input), d, 4 * sizeof(float), where);
}

}  // namespace doppel::emulator
