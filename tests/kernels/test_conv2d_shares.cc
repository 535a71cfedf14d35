// Sums dealt in equal shares: how they are cut, and the wgrad by wgmma that does it.
#include <set>

#include "kernels/conv2d_wgmma_plan.h"
#include "kernels/conv_choices.h"
#include "kernels/conv_groups.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr KernelKind kWide = KernelKind::wgmma_128x256, kTall = KernelKind::wgmma_256x128,
                     kSquare = KernelKind::wgmma_128x128, kPair = KernelKind::wgmma_128x256_pair,
                     kTiles[] = {kWide, kTall, kSquare};

constexpr KernelChoice in_shares(KernelKind kernel, int shares) {
  return {kernel, 1, 0, shares};
}

// A wgrad of all groups. The workspace is full of NaN.
struct Wgrad {
  Conv2d conv;
  Buffer x, dz, dw;

  Wgrad(const Conv2d& v, const Doubles& x_values, const Doubles& dz_values)
      : conv(v),
        x(v.type, x_values),
        dz(v.type, dz_values),
        dw(DType::f32, (v.groups - 1) * v.weight_stride + v.weights()) {}
  Wgrad(const Conv2d& v, uint64_t seed)
      : Wgrad(v, uniform(seed, v.groups * v.in_elements()), uniform(seed + 1, v.groups * v.out_elements())) {}

  Wgrad& run(const KernelChoice& choice, Stream stream) {
    conv.kernels.wgrad = choice;
    Buffer workspace(DType::u8, int64_t(conv2d_workspace(conv, kPlain, stream).wgrad));
    conv2d_wgrad(dw.f32(), x.data(), dz.data(), conv, workspace.data(), stream);
    settle();
    CHECK(workspace.guards_intact());
    CHECK(dw.guards_intact());
    return *this;
  }
};

// Small whole numbers, whose sums are exact in any order.
Doubles whole_numbers(uint64_t seed, int64_t count) {
  Doubles values = uniform(seed, count);
  for (double& v : values) v = std::round(4 * v);
  return values;
}

void check_against_reference(const Conv2d& shape, std::initializer_list<KernelChoice> choices, uint64_t seed) {
  const Conv2d conv = in_bf16(shape);
  Wgrad wgrad(conv, seed);
  const Doubles x = wgrad.x.values(), dz = wgrad.dz.values(), want = reference::conv2d_dw(conv, x, dz);
  const Doubles allowed =
      scaled(reference::conv2d_dw(conv, absolute(x), absolute(dz)), sum_error(double(conv.out_pixels())));
  int order = 0;
  for (const KernelChoice& choice : choices) {
    const auto check = [&](Stream stream) {
      INFO(describe(conv, kPlain) << ": " << name_of(choice.kernel) << " in " << choice.shares << " shares");
      CHECK(mismatch(wgrad.run(choice, stream).dw, want, allowed) == "");
    };
    on_emulated_hopper(emulator::Order(order++ % 3), check);
    on_hopper(check);
  }
}

// The cut sets the bits, and not who computes what: in other shares some are others.
void check_bits(const Conv2d& conv, const KernelChoice& choice, const KernelChoice& other_cut) {
  on_emulated_hopper(emulator::Order::forward, [&](Stream stream) {
    Wgrad first(conv, 10);
    first.run(choice, stream);
    for (const int multiprocessors : {1, 5}) {
      const EmulatedHopper other(multiprocessors == 5 ? emulator::Order::reverse : emulator::Order::shuffled);
      emulator::options().multiprocessors = multiprocessors;
      CHECK(Wgrad(conv, 10).run(choice, stream).dw.same_bits(first.dw));
    }
    CHECK_FALSE(Wgrad(conv, 10).run(other_cut, stream).dw.same_bits(first.dw));
  });
  on_hopper([&](Stream stream) {
    Wgrad first(conv, 10);
    CHECK(Wgrad(conv, 10).run(choice, stream).dw.same_bits(first.run(choice, stream).dw));
  });
}

// An H200 has 132 multiprocessors: 36 tiles of 128 x 256 and none whole, and of four groups 144, a round of them whole.
void check_card(const KernelChoice& choice) {
  on_hopper([&](Stream stream) {
    Conv2d conv = in_bf16(make_conv(1, 64, 64, 256, 512, 3, 3, 1, Padding::same));
    conv.weight_stride = conv.weights(), conv.bias_stride = conv.k;
    for (const int groups : {1, 4}) {
      conv.groups = groups;
      const Doubles x = whole_numbers(30, groups * conv.in_elements());
      const Doubles dz = whole_numbers(31, groups * conv.out_elements());
      Wgrad want(conv, x, dz), got(conv, x, dz);
      want.run({choice.kernel, 1}, stream);
      CHECK(got.run(choice, stream).dw.same_bits(want.dw));
    }
  });
}

// Shares go on from one group's tiles to the next's; weights lie apart, and what lies between is nobody's.
void check_groups_in(std::initializer_list<KernelChoice> choices) {
  const Conv2d conv = in_bf16(grouped(make_conv(1, 20, 25, 72, 24, 1, 1, 1, Padding::none), 8));
  const Doubles x = whole_numbers(20, conv.groups * conv.in_elements());
  const Doubles dz = whole_numbers(21, conv.groups * conv.out_elements());
  const auto check = [&](Stream stream) {
    Wgrad want(conv, x, dz);
    want.run({kSquare, 1}, stream);
    for (const KernelChoice& choice : choices) {
      INFO(name_of(choice.kernel) << " in " << choice.shares << " shares");
      Wgrad got(conv, x, dz);
      CHECK(got.run(choice, stream).dw.same_bits(want.dw));
      // What is not finite in the middle one stays there.
      Doubles spoiled = x;
      std::fill_n(spoiled.begin() + conv.in_elements(), conv.in_elements(), std::nan(""));
      Wgrad other(conv, spoiled, dz);
      other.run(choice, stream);
      for (const int64_t g : {0, 2})
        CHECK(std::memcmp(other.dw.f32() + g * conv.weight_stride, want.dw.f32() + g * conv.weight_stride,
                          size_t(conv.weights()) * sizeof(float)) == 0);
    }
  };
  on_emulated_hopper(emulator::Order::shuffled, check);
  on_hopper(check);
}

}  // namespace

TEST_CASE("equal shares: each step is somebody's, once", "[conv2d][shares]") {
  int cut = 0;
  for (const int blocks : {1, 2, 3, 5, 8, 13})
    for (int tiles = 1; tiles <= 30; ++tiles)
      for (const int steps : {1, 3, 4, 7, 8, 9, 16, 31, 40}) {
        const Shares s = shares_of(tiles, steps, blocks);
        INFO(tiles << " tiles of " << steps << " steps for " << blocks);
        const auto zeros = [](int n) { return std::vector<int>(size_t(n), 0); };
        std::vector<int> times = zeros(tiles * steps), of_share = zeros(blocks), of_tile = zeros(tiles);
        std::set<int> slots;
        bool right = true;
        for (int number = 0; number < s.parts(); ++number) {
          const SharePart part = s.part(number);
          const int length = part.end - part.begin;
          right = right && length >= 0;
          if (length <= 0) continue;
          for (int step = part.begin; step < part.end; ++step) ++times.at(size_t(part.tile * steps + step));
          if (number >= s.whole) of_share[size_t((number - s.whole) % blocks)] += length;
          ++of_tile[size_t(part.tile)];
          if (length == steps) continue;
          ++cut;
          const int i = part.tile - s.whole;
          right = right && length >= Shares::kLeastSteps && part.slot < s.slots() && slots.insert(part.slot).second;
          right = right && part.slot >= s.first_slot(i) && part.slot <= s.last_slot(i);
        }
        CHECK(right);
        CHECK(times == std::vector<int>(times.size(), 1));
        for (int i = 0; i < s.cut; ++i) CHECK(s.last_slot(i) - s.first_slot(i) + 1 == of_tile[size_t(s.whole + i)]);
        // Equal but for what is moved to the ends of tiles, and never more than a tile.
        const int even = s.count > 0 ? (s.cut * steps + s.count - 1) / s.count : 0;
        for (const int length : of_share) CHECK(length <= std::min(steps, even + 2 * (Shares::kLeastSteps - 1)));
      }
  CHECK(cut > 1000);
}

TEST_CASE("equal shares: at numbers worked out by hand", "[conv2d][shares]") {
  // A round of 5 tiles, and two that are 40 steps for 5: 8 each, from 0, 8, 16, 24, 32.
  const Shares s = shares_of(7, 20, 5);
  CHECK(s.whole == 5);
  CHECK(s.cut == 2);
  CHECK(s.count == 5);
  // 16 is no end of a tile; the share from 16 on has the last 4 of the first tile and the first 4 of the second.
  const SharePart end = s.part(5 + 2), begin = s.part(5 + 5 + 2);
  CHECK(std::tuple(end.tile, end.begin, end.end) == std::tuple(5, 16, 20));
  CHECK(std::tuple(begin.tile, begin.begin, begin.end) == std::tuple(6, 0, 4));
  CHECK(s.slots() == 6);
  // 36 steps are nine shares of 4, however many there are to do them.
  CHECK(shares_of(1, 36, 132).count == 9);
  // Of tiles of 66 steps the boundary at 3 x 22 is an end, and so is one that is 3 steps off.
  CHECK(shares_of(2, 66, 6).begin(3) == 66);
  CHECK(shares_of(2, 15, 3).begin(1) == 10);
  CHECK(shares_of(2, 16, 3).begin(1) == 11);
  CHECK(shares_of(3, 16, 4).begin(1) == 12);
  CHECK(shares_of(4, 17, 5).begin(1) == 17);  // 14
  CHECK(shares_of(6, 10, 5).cut == 1);
  CHECK_NOTHROW(shares_of(131, 1 << 23, 132));
  CHECK_THROWS_AS(shares_of(131, 1 << 24, 132), std::invalid_argument);
  CHECK_THROWS_AS(shares_of(int64_t(1) << 30, 1, 132), std::invalid_argument);
}

TEST_CASE("conv2d by wgmma in equal shares: against the reference", "[conv2d][shares][wgmma][emulator]") {
  // Ten steps, the last of fewer pixels; 4, 3 and 6 tiles, some beyond the last filter or channel. In 7 shares a tile
  // is cut in two or three, of 20 there are steps for 7; 5 have a round of whole tiles, and one that is left.
  check_against_reference(make_conv(1, 24, 25, 72, 136, 3, 1, 1, Padding::symmetric),
                          {in_shares(kWide, 7), in_shares(kTall, 20), in_shares(kSquare, 5)}, 1);
  check_against_reference(make_conv(2, 31, 29, 8, 16, 3, 5, 2, Padding::same),
                          {in_shares(kWide, 5), in_shares(kSquare, 3)}, 2);
  // One tile: alone, and in nine parts. One step.
  check_against_reference(make_conv(1, 48, 48, 8, 8, 1, 1, 1, Padding::none),
                          {in_shares(kWide, 1), in_shares(kTall, 132), in_shares(kSquare, 9)}, 3);
  check_against_reference(make_conv(1, 3, 5, 200, 8, 1, 1, 1, Padding::none), {in_shares(kSquare, 3)}, 4);
}

TEST_CASE("conv2d by wgmma in equal shares: every order and number of multiprocessors gives the same bits",
          "[conv2d][shares][wgmma][emulator]") {
  const Conv2d conv = in_bf16(make_conv(1, 19, 24, 72, 24, 3, 1, 1, Padding::symmetric));
  for (const KernelKind kernel : kTiles)
    check_bits(conv, in_shares(kernel, kernel == kWide ? 3 : 2), in_shares(kernel, 7));
}

TEST_CASE("conv2d by wgmma in equal shares: groups", "[conv2d][shares][groups][wgmma][emulator]") {
  check_groups_in({in_shares(kWide, 2), in_shares(kWide, 4), in_shares(kTall, 4), in_shares(kSquare, 5)});
}

TEST_CASE("conv2d by pairs in equal shares", "[conv2d][shares][cluster][emulator]") {
  // Two pairs of tiles, of the last of which the second block has no row, in three shares; one pair, in seven.
  check_against_reference(make_conv(1, 24, 25, 40, 264, 3, 1, 1, Padding::symmetric), {in_shares(kPair, 3)}, 40);
  check_against_reference(make_conv(1, 30, 31, 16, 136, 1, 1, 1, Padding::none), {in_shares(kPair, 7)}, 41);
  check_bits(in_bf16(make_conv(1, 19, 24, 72, 136, 3, 1, 1, Padding::symmetric)), in_shares(kPair, 3),
             in_shares(kPair, 7));
  check_groups_in({in_shares(kPair, 2), in_shares(kPair, 4)});
}

TEST_CASE("conv2d by wgmma in equal shares: several tiles for each multiprocessor of a card",
          "[conv2d][shares][wgmma]") {
  for (const KernelKind kernel : kTiles) check_card(in_shares(kernel, 132));
}

TEST_CASE("conv2d by pairs in equal shares: several tiles for each pair of a card's multiprocessors",
          "[conv2d][shares][cluster]") {
  check_card(in_shares(kPair, 66));
}

TEST_CASE("conv2d by wgmma in equal shares: where they are offered", "[conv2d][shares][choice][wgmma][emulator]") {
  const EmulatedHopper emulated;
  const Without without;
  const Stream stream{Device::emulator};
  const auto offered = [&](const Conv2d& v, Pass pass, int multiprocessors) {
    emulator::options().multiprocessors = multiprocessors;
    std::vector<KernelKind> kernels;
    for (const KernelChoice& choice : conv2d_choices(v, pass, stream)) {
      if (choice.shares == 0) continue;
      CHECK(choice == in_shares(choice.kernel, multiprocessors / wgmma_cluster(choice.kernel)));
      kernels.push_back(choice.kernel);
    }
    return kernels;
  };
  // encoder.conv2 of `original`: 100, 100 and 200 tiles, and 50 pairs.
  const Conv2d conv = in_bf16(make_conv(128, 16, 16, 256, 512, 5, 5, 2, Padding::same));
  using Kernels = std::vector<KernelKind>;
  CHECK(offered(conv, Pass::wgrad, 132) == Kernels{kWide, kTall, kSquare, kPair});
  CHECK(offered(conv, Pass::wgrad, 100).empty());  // no round that is not full
  CHECK(offered(conv, Pass::wgrad, 200) == Kernels{kWide, kTall, kPair});
  CHECK(offered(conv, Pass::wgrad, kMostSplits + 1) == Kernels{kPair});
  CHECK(offered(conv, Pass::wgrad, 2 * kMostSplits + 2).empty());
  CHECK(offered(conv, Pass::fprop, 132).empty());
  CHECK(offered(conv, Pass::dgrad, 132).empty());
  // A sum of four steps cannot be cut.
  CHECK(offered(in_bf16(make_conv(1, 16, 16, 256, 512, 5, 5, 1, Padding::same)), Pass::wgrad, 132).empty());

  // What is kept between the two kernels depends on the choice, not on the device: 131 places of tiles and one for each
  // tile that is cut.
  Conv2d chosen = conv;
  chosen.kernels.wgrad = in_shares(KernelKind::wgmma_128x256, 132);
  for (const int multiprocessors : {2, 132}) {
    emulator::options().multiprocessors = multiprocessors;
    CHECK(conv2d_workspace(chosen, kPlain, stream).wgrad == (131 + 100) * 128 * 256 * sizeof(float));
  }
  chosen.kernels.wgrad = in_shares(kPair, 66);
  CHECK(conv2d_workspace(chosen, kPlain, stream).wgrad == (65 + 50) * 256 * 256 * sizeof(float));
  chosen.kernels.wgrad.shares = 50;
  CHECK(conv2d_workspace(chosen, kPlain, stream).wgrad == 0);

  const auto refused = [&](Pass pass, const KernelChoice& choice) {
    Conv2d v = conv;
    v.kernels[pass] = choice;
    CHECK_THROWS_WITH(conv2d_workspace(v, kPlain, stream), Catch::Contains(" equal shares"));
  };
  refused(Pass::fprop, in_shares(KernelKind::wgmma_128x256, 132));
  refused(Pass::dgrad, in_shares(KernelKind::wgmma_128x256, 132));
  refused(Pass::wgrad, in_shares(KernelKind::mma_128x128, 132));
  refused(Pass::wgrad, in_shares(KernelKind::wgmma_128x256, -1));
  refused(Pass::wgrad, in_shares(KernelKind::wgmma_128x256, kMostSplits + 1));
  refused(Pass::wgrad, {KernelKind::wgmma_128x256, 2, 0, 132});
}
