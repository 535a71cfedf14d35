// The convolution by wgmma of pairs of blocks, which share what the columns multiply: against the double-precision
// reference, and bit by bit against blocks that are alone.
#include "kernels/conv2d_wgmma_plan.h"
#include "kernels/conv_choices.h"
#include "kernels/conv_groups.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr KernelChoice kPair{KernelKind::wgmma_128x256_pair, 1}, kPairSplit{KernelKind::wgmma_128x256_pair, 2};

}  // namespace

TEST_CASE("conv2d by pairs: the second block has nothing of its own", "[conv2d][cluster][emulator]") {
  check_choices(make_conv(1, 1, 1, 8, 8, 1, 1, 1, Padding::none), kPlain, {kPair}, 1);
  check_choices(make_conv(1, 5, 6, 8, 16, 3, 3, 1, Padding::same), kUp, {kPair, kPairSplit}, 2);
  // The last of a picture, and of all pictures.
  check_choices(make_conv(2, 8, 8, 16, 8, 3, 3, 1, Padding::same), kLeaky, {kPair}, 3);
}

TEST_CASE("conv2d by pairs: several tiles each way", "[conv2d][cluster][emulator]") {
  // 143 pixels: a pair of which the second block has 15; 323: a pair and one more tile of rows; channels in more than
  // one tile of columns, and as many filters for wgrad. More steps than stages, so that these are used again.
  check_choices(make_conv(1, 13, 11, 72, 136, 3, 1, 1, Padding::symmetric), kLeaky, {kPair}, 10);
  check_choices(make_conv(1, 17, 19, 136, 72, 1, 3, 1, Padding::symmetric), kLeaky, {kPair, kPairSplit}, 11);
  check_choices(make_conv(1, 6, 11, 264, 264, 1, 1, 1, Padding::none), kLeaky, {kPair}, 12);
  check_choices(make_conv(1, 1, 1, 520, 8, 1, 1, 1, Padding::none), kPlain, {kPair}, 13);  // a unit of the ninth 64
}

TEST_CASE("conv2d by pairs: stride 2", "[conv2d][cluster][emulator]") {
  check_choices(make_conv(2, 9, 7, 72, 24, 5, 3, 2, Padding::same), kLeaky, {kPair, kPairSplit}, 20);
  // Several tiles a phase; phases without a tap; without a pixel.
  check_choices(make_conv(2, 24, 26, 8, 16, 3, 3, 2, Padding::same), kLeaky, {kPair}, 21);
  check_choices(make_conv(1, 7, 4, 8, 24, 1, 1, 2, Padding::symmetric), kPlain, {kPair}, 22);
  check_choices(make_conv(1, 1, 5, 16, 8, 3, 3, 2, Padding::symmetric), kPlain, {kPair}, 23);
  Conv2d conv = make_conv(2, 6, 7, 16, 8, 5, 3, 2, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_choices(conv, kLeaky, {kPairSplit}, 24);
}

TEST_CASE("conv2d by pairs: the same bits as by blocks that are alone", "[conv2d][cluster][emulator]") {
  // 270 pixels and 136 filters: more tiles than one pair's; with stride 2, 136 pixels.
  for (const auto& [stride, splits] : {std::pair{1, 2}, {2, 1}}) {
    const Conv2d conv = in_bf16(make_conv(2, 9, 15, 16, 136, 3, 3, stride, Padding::same));
    const auto check = [&, parts = splits](Stream stream) {
      const auto alone = run(by(conv, KernelKind::wgmma_128x256, parts), kUp, 40, stream);
      check_same_bits(*alone, *run(by(conv, kPair.kernel, parts), kUp, 40, stream));
    };
    for (const emulator::Order order : {emulator::Order::forward, emulator::Order::shuffled}) {
      const emulator::Options before = emulator::options();
      emulator::options().multiprocessors = order == emulator::Order::forward ? 1 : 5;
      on_emulated_hopper(order, check);
      emulator::options() = before;
    }
    on_hopper(check);
  }
}

TEST_CASE("conv2d by pairs: groups are what each is alone", "[conv2d][groups][cluster][emulator]") {
  // No pair has tiles of two groups: each group's last pair has one tile.
  const std::tuple<Conv2d, Epilogue, KernelChoice> cases[] = {
      {grouped(make_conv(2, 9, 7, 24, 16, 3, 3, 2, Padding::same), 8), kUp, kPair},
      {grouped(make_conv(3, 1, 1, 16, 24, 1, 1, 1, Padding::none), 0), kPlain, kPairSplit},
      {grouped(make_conv(1, 12, 11, 72, 136, 1, 1, 1, Padding::none), 40), kLeaky, kPairSplit},
      {grouped(make_conv(2, 13, 11, 16, 24, 1, 1, 1, Padding::none), 8), kCosine, kPair},
  };
  uint64_t seed = 60;
  for (const auto& [conv, epilogue, choice] : cases) {
    const Conv2d typed = in_bf16(by(conv, choice.kernel, choice.splits));
    const auto check = [&, e = epilogue](Stream stream) { check_groups(typed, e, seed, stream); };
    on_emulated_hopper(emulator::Order(++seed % 3), check);
    on_hopper(check);
  }
}

TEST_CASE("conv2d by pairs: what is not finite stays in its group", "[conv2d][groups][cluster][emulator]") {
  const Conv2d conv = grouped(in_bf16(make_conv(2, 7, 6, 8, 16, 3, 3, 1, Padding::same)), 8);
  const auto check = [&](Stream stream) { check_spoiled(by(conv, kPair.kernel, 1), kUp, 80, stream); };
  on_emulated_hopper(emulator::Order::shuffled, check);
  on_hopper(check);
}

TEST_CASE("conv2d by pairs: a weight gradient in equal shares", "[conv2d][cluster][emulator]") {
  // 264 filters: two pairs of tiles down, of which the second has one with rows; 9 units of channels: three across. So
  // five shares of six sums of 5 steps, of which the first are whole; and eleven, each a part.
  Conv2d conv = in_bf16(make_conv(1, 17, 19, 72, 264, 3, 1, 1, Padding::symmetric));
  conv.kernels.fprop = conv.kernels.dgrad = kPair;
  for (const int shares : {5, 11}) {
    conv.kernels.wgrad = {kPair.kernel, 1, 0, shares};
    const auto check = [&](Stream stream) { check_launchers(conv, kPlain, 70, true, stream); };
    on_emulated_hopper(emulator::Order::shuffled, check);
    on_hopper(check);
  }
}

TEST_CASE("conv2d by pairs: several tiles for each pair of a card's multiprocessors", "[conv2d][cluster]") {
  // As for blocks that are alone: 142 pairs of tiles of pixels for the 66 of an H200.
  on_hopper([&](Stream stream) {
    for (const int stride : {1, 2}) {
      Conv2d conv = in_bf16(make_conv(1, 190, 190, 8, 16, 3, 3, stride, Padding::same));
      conv.kernels = {kPair, kPair, {kPair.kernel, stride == 1 ? 283 : 140}};
      check_launchers(conv, kLeaky, 45, true, stream);
      check_same_bits(*run(conv, kLeaky, 45, stream), *run(conv, kLeaky, 45, stream));
    }
  });
}

TEST_CASE("conv2d by pairs: where they are offered", "[conv2d][cluster][emulator]") {
  const EmulatedHopper emulated;
  Without without;
  const Stream stream{Device::emulator};
  const auto pairs = [&](const Conv2d& conv, Pass pass) {
    const std::vector<KernelChoice> all = conv2d_choices(conv, pass, stream);
    return std::count_if(all.begin(), all.end(), [](const KernelChoice& c) { return wgmma_cluster(c.kernel) > 1; });
  };
  const Conv2d conv = in_bf16(make_conv(2, 32, 32, 128, 256, 5, 5, 2, Padding::same));
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) CHECK(pairs(conv, pass) > 0);
  without.set("clusters");
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) CHECK(pairs(conv, pass) == 0);
  without.set("wgmma");
  CHECK(pairs(conv, Pass::fprop) == 0);
  without.set("");
  // encoder.conv2 of `original`: 50 pairs of tiles, dealt to 66 pairs of multiprocessors.
  emulator::options().multiprocessors = 132;
  const Conv2d conv2 = in_bf16(make_conv(128, 16, 16, 256, 512, 5, 5, 2, Padding::same));
  const std::vector<KernelChoice> all = conv2d_choices(conv2, Pass::wgrad, stream);
  CHECK(std::count(all.begin(), all.end(), KernelChoice{kPair.kernel, 1, 0, 66}) == 1);
  // A second block would have no rows: 128 filters, 121 pixels.
  const Conv2d small = in_bf16(make_conv(1, 11, 11, 128, 128, 3, 3, 1, Padding::same));
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) CHECK(pairs(small, pass) == 0);
  Conv2d named = small;
  named.kernels = {kPair, kPair, kPair};
  CHECK_NOTHROW(conv2d_workspace(named, kPlain, stream));  // whoever names one gets it
}
