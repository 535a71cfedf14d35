#include "kernels/emulator/products.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/emulator/block.h"
#include "kernels/emulator/checker.h"

namespace doppel::emulator {
namespace {

constexpr int kRows = 64, kTerms = 16, kMostColumns = 256, kUnit = 16;

// A matrix descriptor (kernels/device/wgmma.h), and where its units of 16 bytes, 8 elements, lie in shared memory.
struct Operand {
  uint32_t start, leading, stride;
  int base, swizzle;
  bool across;
  int extent;  // rows of a, columns of b

  Operand(uint64_t d, bool runs_across, int of_extent)
      : start(uint32_t(d & 0x3FFF) << 4),
        leading(uint32_t(d >> 16 & 0x3FFF) << 4),
        stride(uint32_t(d >> 32 & 0x3FFF) << 4),
        base(int(d >> 49 & 7)),
        swizzle(int(d >> 62)),
        across(runs_across),
        extent(of_extent) {}

  int units() const { return extent * kTerms / 8; }
  // Of unit i: along the sum, row i / 2 and half i % 2 of its terms; across it, term i % 16 and rows 8 (i / 16) on.
  uint32_t address(int i) const {
    const uint32_t r = uint32_t(along_row(i)), t = uint32_t(i % kTerms), g = uint32_t(i / kTerms);
    const uint32_t linear = across ? start + g / 8 * leading + g % 8 * kUnit + t / 8 * stride + t % 8 * 128
                                   : start + r / 8 * stride + r % 8 * 128 + uint32_t(i % 2) * kUnit;
    return linear ^ (linear >> 3 & 112);
  }
  int along_row(int i) const { return across ? i / kTerms * 8 : i / 2; }
};

Operand operand_a(const Product& p) {
  return {p.a, p.shape.a_across, kRows};
}
Operand operand_b(const Product& p) {
  return {p.b, p.shape.b_across, p.shape.n};
}

// What a descriptor must be, null if it is. No string: nothing has said yet that this is a report.
const char* problem(const Operand& o) {
  if (o.swizzle != 1) return "a descriptor of another swizzle than 128 bytes, which the emulator does not know";
  if (o.base != 0 || (o.start >> 7 & 7) != 0)
    return "a descriptor whose pattern of 8 rows of 128 bytes does not begin at a multiple of 1024";
  if (o.stride % 1024 != 0 || (o.across && o.extent > kRows && o.leading % 1024 != 0))
    return "a descriptor with a distance that is no multiple of 1024";
  if (o.across && o.start % 1024 != 0) return "a descriptor across the sum that begins within a pattern";
  for (int i = 0; i < o.units(); ++i)
    if (o.address(i) + kUnit > Block::kArena) return "a descriptor that leaves shared memory";
  return nullptr;
}

void set_range(Product& p) {
  const Operand operands[] = {operand_a(p), operand_b(p)};
  for (int which = 0; which < 2; ++which) {
    p.low[which] = ~0u;
    for (int i = 0; i < operands[which].units(); ++i) {
      const uint32_t address = operands[which].address(i);
      p.low[which] = std::min(p.low[which], address);
      p.high[which] = std::max(p.high[which], address + kUnit);
    }
  }
}

// Elements [kTerms][extent].
void load(const Block& block, const Operand& o, float* to) {
  for (int i = 0; i < o.units(); ++i) {
    uint16_t unit[8];
    std::memcpy(unit, block.arena() + o.address(i), kUnit);
    for (int e = 0; e < 8; ++e) {
      const int term = o.across ? i % kTerms : i % 2 * 8 + e, row = o.along_row(i) + (o.across ? e : 0);
      to[term * o.extent + row] = std::bit_cast<float>(uint32_t(unit[e]) << 16);
    }
  }
}

// d [64, n] (+)= a b, 16 products of each element summed in double and rounded once. Thread t holds, as element
// 4 j + 2 h + e, row 16 (t / 32) + 8 h + t % 32 / 4 and column 8 j + 2 (t % 4) + e.
void multiply(const Block& block, Product& p) {
  const int n = p.shape.n;
  float a[kTerms * kRows], b[kTerms * kMostColumns];
  load(block, operand_a(p), a);
  load(block, operand_b(p), b);
  for (int row = 0; row < kRows; ++row) {
    double sum[kMostColumns];
    Accumulators* const* lanes = &p.values[row / 16 * kWarp + row % 8 * 4];
    const int half = row % 16 / 8 * 2;
    for (int c = 0; c < n; ++c)
      sum[c] = p.accumulate ? double(lanes[c % 8 / 2]->values[size_t(c / 8 * 4 + half + c % 2)]) : 0;
    for (int k = 0; k < kTerms; ++k) {
      const double factor = double(a[k * kRows + row]);
      for (int c = 0; c < n; ++c) sum[c] += factor * double(b[k * n + c]);
    }
    for (int c = 0; c < n; ++c) lanes[c % 8 / 2]->values[size_t(c / 8 * 4 + half + c % 2)] = float(sum[c]);
  }
  p.done = true;
}

// The reads of a product by the running thread's warp: its own rows of a, all of b. They count as its first lane's.
void tell_checker(Block& block, const Product& p) {
  const Thread& self = block.current();
  if (!checker || self.lane() != 0) return;
  const auto read = [&](uint32_t address) {
    checker->access(block, block.arena() + address, kUnit, Access::async_read, p.where);
  };
  const Operand a = operand_a(p), b = operand_b(p);
  for (int i = 0; i < a.units(); ++i)
    if (a.along_row(i) / 16 == self.warp() % 4) read(a.address(i));
  for (int i = 0; i < b.units(); ++i) read(b.address(i));
}

Accumulators& accumulators_of(Thread& thread, float* at, int count) {
  auto& list = thread.product.accumulators;
  for (Accumulators& a : list)
    if (a.at == at && a.count == count) return a;
  return list.emplace_back(Accumulators{at, count, {}});
}

}  // namespace

uint32_t shared_address(const void* address) {
  return uint32_t(static_cast<const unsigned char*>(address) - running_block()->arena());
}

void wgmma(float* d, uint64_t a, uint64_t b, bool accumulate, const WgmmaShape& shape, Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  const auto fail = [&](Defect defect, const std::string& what) {
    block.fail(defect, block.place(self.number) + what + " at " + text_of(where));
  };
  need_sm90(block, "wgmma", where);
  const int group = self.number / kWarpgroup;
  if ((group + 1) * kWarpgroup > block.threads())
    fail(Defect::divergent_barrier, "issues a wgmma in a warpgroup of fewer than 128 threads");
  for (const Operand& o : {Operand(a, shape.a_across, kRows), Operand(b, shape.b_across, shape.n)})
    if (const char* text = problem(o)) {
      block.place(self.number);  // a report from here on, whose strings are no accesses of the kernel's
      fail(Defect::misaligned, std::string("issues a wgmma with ") + text);
    }

  ThreadProducts& own = self.product;
  Accumulators& values = accumulators_of(self, d, shape.n / 2);
  if (!own.fenced || values.touched)
    fail(Defect::missing_fence, own.fenced ? "issues a wgmma on accumulators that it used after the last wgmma_fence"
                                           : "issues a wgmma without a wgmma_fence");
  Products& all = block.products[group];
  const int number = own.issued++;
  if (number == all.begin + int(all.list.size())) {
    all.list.push_back({shape, a, b, accumulate, where, self.number});
    set_range(all.list.back());
  }
  Product& p = all.list[size_t(number - all.begin)];
  if (!same_place(p.where, where))
    fail(Defect::divergent_barrier, "issues a wgmma while thread " + block.thread_text(p.first) +
                                        " of its warpgroup issues another at " + text_of(p.where) + ",");
  if (p.a != a || p.b != b || p.accumulate != accumulate || p.shape.n != shape.n ||
      p.shape.a_across != shape.a_across || p.shape.b_across != shape.b_across)
    fail(Defect::divergent_barrier,
         "issues another wgmma than thread " + block.thread_text(p.first) + " of its warpgroup at " + text_of(p.where));
  if (!values.pending) {
    values.values.assign(d, d + values.count);
    std::fill(d, d + values.count, std::numeric_limits<float>::quiet_NaN());
    values.pending = true;
  }
  values.last = number;
  p.values[self.number % kWarpgroup] = &values;
  tell_checker(block, p);
  if (++p.issued < kWarpgroup) return;
  for (int i = group * kWarpgroup; i < (group + 1) * kWarpgroup; ++i) {
    Thread& t = block.thread(i);
    if (t.wait == Wait::products && t.products <= number + 1) block.make_ready(t);
  }
}

void wgmma_fence() {
  ThreadProducts& own = running_block()->current().product;
  own.fenced = true;
  for (Accumulators& a : own.accumulators) a.touched = false;
}

void wgmma_commit() {
  ThreadProducts& own = running_block()->current().product;
  own.groups.push_back(own.issued);
}

void wgmma_wait(int groups, Where where) {
  Block& block = *running_block();
  Thread& self = block.current();
  ThreadProducts& own = self.product;
  const int over = int(own.groups.size()) - groups;
  if (over <= 0) return;
  const int end = own.groups[size_t(over - 1)];
  own.groups.erase(own.groups.begin(), own.groups.begin() + over);
  if (end <= own.waited) return;
  Products& all = block.products[self.number / kWarpgroup];
  if (all.list[size_t(end - 1 - all.begin)].issued < kWarpgroup) {
    self.wait = Wait::products;
    self.products = end;
    self.where = where;
    block.suspend();
  }
  for (; own.waited < end; ++own.waited) {
    Product& p = all.list[size_t(own.waited - all.begin)];
    if (!p.done) multiply(block, p);
    ++p.waited;
    tell_checker(block, p);
  }
  for (Accumulators& a : own.accumulators)
    if (a.pending && a.last < end) {
      std::copy(a.values.begin(), a.values.end(), a.at);
      a.pending = false;
    }
  for (; !all.list.empty() && all.list.front().waited == kWarpgroup; ++all.begin) all.list.pop_front();
}

void check_products_done(Block& block, const Thread& thread) {
  const ThreadProducts& own = thread.product;
  if (own.waited == own.issued) return;
  const Products& all = block.products[thread.number / kWarpgroup];
  block.fail(Defect::product_not_waited_for, block.place(thread.number) +
                                                 "leaves the kernel before it has waited for its wgmma at " +
                                                 text_of(all.list[size_t(own.waited - all.begin)].where));
}

const Product* pending_reader(const Block& block, const unsigned char* begin, size_t bytes) {
  const auto from = uint32_t(begin - block.arena()), to = from + uint32_t(bytes);
  for (const Products& all : block.products)
    for (const Product& p : all.list) {
      if (p.done) continue;
      for (int which = 0; which < 2; ++which) {
        if (from >= p.high[which] || to <= p.low[which]) continue;
        const Operand o = which == 0 ? operand_a(p) : operand_b(p);
        for (int i = 0; i < o.units(); ++i)
          if (o.address(i) < to && o.address(i) + kUnit > from) return &p;
      }
    }
  return nullptr;
}

Accumulators* accumulators_at(Thread& thread, const void* address, size_t bytes) {
  const char* p = static_cast<const char*>(address);
  for (Accumulators& a : thread.product.accumulators) {
    const char* begin = reinterpret_cast<const char*>(a.at);
    if (p < begin + size_t(a.count) * sizeof(float) && p + bytes > begin) return &a;
  }
  return nullptr;
}

}  // namespace doppel::emulator
