// The convolution by wgmma, on the emulator of an sm_90 and on such a card: every launcher against the double-precision
// reference, with each tile and with split sums.
#include "kernels/conv2d_wgmma_plan.h"
#include "kernels/conv_choices.h"
#include "kernels/conv_groups.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr KernelChoice kWide{KernelKind::wgmma_128x256, 1}, kTall{KernelKind::wgmma_256x128, 1},
    kSquare{KernelKind::wgmma_128x128, 1}, kWideSplit{KernelKind::wgmma_128x256, 2},
    kTallSplit{KernelKind::wgmma_256x128, 2}, kSquareSplit{KernelKind::wgmma_128x128, 3};

}  // namespace

TEST_CASE("conv2d by wgmma: less than one tile", "[conv2d][wgmma][emulator]") {
  check_choices(make_conv(1, 1, 1, 8, 8, 1, 1, 1, Padding::none), kPlain, {kWide, kTall, kSquare}, 1);
  check_choices(make_conv(1, 5, 6, 8, 16, 3, 3, 1, Padding::same), kUp, {kWide, kTallSplit, kSquareSplit}, 2);
  // Most taps see padding only.
  check_choices(make_conv(1, 1, 1, 8, 8, 5, 5, 2, Padding::same), kLeaky, {kTall, kSquare}, 3);
}

TEST_CASE("conv2d by wgmma: several tiles each way", "[conv2d][wgmma][emulator]") {
  // 143 pixels: a tile and a bit; channels a step and a bit to a tile and a bit, and the other way round. More steps
  // than stages, so that these are used again.
  check_choices(make_conv(1, 13, 11, 72, 136, 3, 1, 1, Padding::symmetric), kLeaky, {kSquare, kWide}, 10);
  check_choices(make_conv(1, 13, 11, 264, 64, 1, 3, 1, Padding::symmetric), kLeaky, {kWide, kSquareSplit}, 11);
  check_choices(make_conv(1, 1, 1, 520, 8, 1, 1, 1, Padding::none), kPlain, {kSquare}, 12);  // a unit of the ninth 64
  // 323 pixels and 264 filters: a tile of 256 rows and a bit, and the other way round.
  check_choices(make_conv(1, 17, 19, 72, 136, 3, 1, 1, Padding::symmetric), kLeaky, {kTall}, 13);
  check_choices(make_conv(1, 13, 11, 136, 264, 1, 3, 1, Padding::symmetric), kLeaky, {kTall, kTallSplit}, 14);
}

TEST_CASE("conv2d by wgmma: stride 2", "[conv2d][wgmma][emulator]") {
  check_choices(make_conv(2, 9, 7, 72, 24, 5, 3, 2, Padding::same), kLeaky, {kWide, kTallSplit, kSquareSplit}, 20);
  // Several tiles a phase, of 256 rows too; phases without a tap; without a pixel.
  check_choices(make_conv(2, 18, 16, 8, 16, 3, 5, 2, Padding::same), kLeaky, {kSquare}, 21);
  check_choices(make_conv(2, 24, 26, 8, 16, 3, 3, 2, Padding::same), kLeaky, {kTall}, 25);
  check_choices(make_conv(1, 7, 4, 8, 24, 1, 1, 2, Padding::symmetric), kPlain, {kTall, kSquare}, 22);
  check_choices(make_conv(1, 1, 5, 16, 8, 3, 3, 2, Padding::symmetric), kPlain, {kSquare}, 23);
  Conv2d conv = make_conv(2, 6, 7, 16, 8, 5, 3, 2, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_choices(conv, kLeaky, {kSquare, kWideSplit}, 24);
}

TEST_CASE("conv2d by wgmma: the first autoencoder's layers at a 16th of the width", "[conv2d][wgmma][emulator]") {
  int taken = 0;
  for (const Layer& layer : first_autoencoder(8, 16))
    if (layer.conv.c % 8 == 0 && layer.conv.k % 8 == 0)
      check_choices(layer.conv, layer.epilogue, {kTall, kSquare}, 25 + ++taken);
  CHECK(taken == 6);  // all but those from fewer channels
}

TEST_CASE("conv2d by wgmma: epilogues", "[conv2d][wgmma][emulator]") {
  const Conv2d even = make_conv(2, 3, 5, 16, 48, 1, 1, 1, Padding::none);
  const Conv2d odd = make_conv(2, 3, 5, 16, 24, 1, 1, 1, Padding::none);  // the middle unit falls into two runs
  for (const Epilogue& epilogue : kAll)
    for (const DType out_type : {DType::bf16, DType::f32}) {
      check_choices(even, epilogue, {kTall, kSquare}, 30, out_type);
      check_choices(odd, epilogue, {kTall, kSquare}, 31, out_type);
    }
}

TEST_CASE("conv2d by wgmma: every order and number of multiprocessors gives the same bits",
          "[conv2d][wgmma][emulator]") {
  Conv2d conv = make_conv(2, 9, 15, 72, 24, 3, 3, 2, Padding::same);
  conv.type = conv.out_type = DType::bf16;
  for (const KernelChoice& choice : {kWide, kTallSplit, kSquareSplit}) {
    conv.kernels = {choice, choice, choice};
    on_emulated_hopper(emulator::Order::forward, [&](Stream stream) {
      const auto first = run(conv, kUp, 40, stream);
      for (const emulator::Order order : {emulator::Order::reverse, emulator::Order::shuffled}) {
        const EmulatedHopper other(order);
        emulator::options().multiprocessors = order == emulator::Order::reverse ? 1 : 5;
        check_same_bits(*first, *run(conv, kUp, 40, stream));
      }
    });
    on_hopper([&](Stream stream) { check_same_bits(*run(conv, kUp, 40, stream), *run(conv, kUp, 40, stream)); });
  }
}

TEST_CASE("conv2d by wgmma: groups are what each is alone", "[conv2d][groups][wgmma][emulator]") {
  // By row: outputs that end within a step of wgrad; pictures of one pixel; two tiles down and across, and more than a
  // block of channels; a last layer; whole steps; x cos x, of one part and of two. Weights lie apart, and some at
  // distances that no filter divides.
  const std::tuple<Conv2d, Epilogue, std::vector<KernelChoice>> cases[] = {
      {grouped(make_conv(2, 9, 7, 24, 16, 3, 3, 2, Padding::same), 8), kUp, {kWide, kTall, kSquareSplit}},
      {grouped(make_conv(3, 1, 1, 16, 24, 1, 1, 1, Padding::none), 0), kPlain, {kWideSplit}},
      {grouped(make_conv(1, 12, 11, 72, 136, 1, 1, 1, Padding::none), 40), kLeaky, {kTallSplit, kSquare}},
      {grouped(make_conv(1, 4, 5, 16, 24, 1, 1, 1, Padding::none), 16), kSigmoid, {kSquare}},
      {grouped(make_conv(2, 8, 8, 8, 8, 1, 3, 1, Padding::symmetric), 8), kShuffle, {kSquareSplit}},
      {grouped(make_conv(2, 3, 5, 16, 24, 1, 1, 1, Padding::none), 8), kCosine, {kSquare, kWideSplit}},
      {grouped(make_conv(2, 3, 5, 16, 24, 1, 1, 1, Padding::none), 8), kCosineShuffle, {kSquareSplit}},
  };
  uint64_t seed = 60;
  for (const auto& [conv, epilogue, choices] : cases)
    for (const KernelChoice& choice : choices) {
      const Conv2d typed = in_bf16(by(conv, choice.kernel, choice.splits),
                                   epilogue.activation == Activation::sigmoid ? DType::f32 : DType::bf16);
      const auto check = [&, e = epilogue](Stream stream) { check_groups(typed, e, seed, stream); };
      on_emulated_hopper(emulator::Order(++seed % 3), check);
      on_hopper(check);
    }
}

TEST_CASE("conv2d by wgmma: what is not finite stays in its group", "[conv2d][groups][wgmma][emulator]") {
  const Conv2d conv = grouped(in_bf16(make_conv(2, 7, 6, 8, 16, 3, 3, 1, Padding::same)), 8);
  const auto check = [&](Stream stream) {
    check_spoiled(by(conv, KernelKind::wgmma_128x256, 1), kUp, 80, stream);
    check_spoiled(by(conv, KernelKind::wgmma_128x128, 2), kUp, 81, stream);
    check_spoiled(by(conv, KernelKind::wgmma_256x128, 1), kUp, 82, stream);
  };
  on_emulated_hopper(emulator::Order::shuffled, check);
  on_hopper(check);
}

TEST_CASE("conv2d by wgmma: several tiles for each multiprocessor of a card", "[conv2d][wgmma]") {
  // An H200 has 132. 283 tiles of 128 pixels, so that each block has two and some have three; wgrad has one tile, whose
  // sum over 565 steps is split as often. With stride 2 dgrad has four phases of 71 tiles, and wgrad 142 steps. Of 256
  // pixels they are half as many. The emulator, of two multiprocessors, has as much to do for each in the small shapes
  // above.
  on_hopper([&](Stream stream) {
    for (const int stride : {1, 2})
      for (const KernelKind kernel :
           {KernelKind::wgmma_128x256, KernelKind::wgmma_256x128, KernelKind::wgmma_128x128}) {
        Conv2d conv = make_conv(1, 190, 190, 8, 16, 3, 3, stride, Padding::same);
        conv.type = conv.out_type = DType::bf16;
        conv.kernels = {{kernel, 1}, {kernel, 1}, {kernel, stride == 1 ? 283 : 140}};
        check_launchers(conv, kLeaky, 45, true, stream);
        check_same_bits(*run(conv, kLeaky, 45, stream), *run(conv, kLeaky, 45, stream));
      }
  });
}

TEST_CASE("conv2d by wgmma: where it is offered", "[conv2d][wgmma][emulator]") {
  Conv2d conv = make_conv(2, 32, 32, 128, 256, 5, 5, 2, Padding::same);
  conv.type = conv.out_type = DType::bf16;
  const Stream stream{Device::emulator};
  const auto offered = [&](const Conv2d& v) {
    int count = 0;
    for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad})
      for (const KernelChoice& choice : conv2d_choices(v, pass, stream)) count += is_wgmma(choice.kernel);
    return count;
  };
  CHECK(offered(conv) == 0);  // an sm_80
  Conv2d chosen = conv;
  chosen.kernels.fprop = kWide;
  CHECK_THROWS_AS(conv2d_workspace(chosen, kPlain, stream), std::invalid_argument);

  const EmulatedHopper emulated;
  Without without;
  CHECK(offered(conv) > 3 * 3);                                             // all tiles for each pass, and parts
  CHECK(is_mma(conv2d_choices(conv, Pass::fprop, stream).front().kernel));  // unasked, as before
  CHECK_NOTHROW(conv2d_workspace(chosen, kPlain, stream));
  without.set("wgmma");
  CHECK(offered(conv) == 0);
  CHECK_NOTHROW(conv2d_workspace(chosen, kPlain, stream));  // whoever names one gets it
  without.set("clusters");
  CHECK(offered(conv) > 3 * 2);
  without.set("wgma");
  CHECK_THROWS_WITH(offered(conv), Catch::Contains("DOPPEL_WITHOUT=wgma"));
  without.set("");
  Conv2d odd = conv, single = conv;
  odd.c = 36;
  single.type = single.out_type = DType::f32;
  CHECK(offered(odd) == 0);
  CHECK(offered(single) == 0);
  Conv2d people = conv;
  people.groups = 16, people.weight_stride = conv.weights(), people.bias_stride = conv.k;
  CHECK(offered(people) >= 3 * 3);
  CHECK(offered(people) < offered(conv));  // the blocks of all groups occupy the card: fewer parts are worth a thought
  const ConvWorkspace whole = conv2d_workspace(by(people, kWide.kernel, 1), kLeaky, stream);
  const ConvWorkspace parts = conv2d_workspace(by(people, kWide.kernel, 3), kLeaky, stream);
  CHECK(std::max({whole.fprop, whole.dgrad, whole.wgrad}) == 0);
  CHECK(parts.fprop == 16 * 3 * sizeof(float) * size_t(conv.out_elements()));
  CHECK(parts.dgrad == 16 * 3 * sizeof(float) * size_t(conv.in_elements()));
  CHECK(parts.wgrad == 16 * 3 * sizeof(float) * size_t(conv.weights()));
  people = in_bf16(make_conv(1 << 16, 1, 1, 8, 8, 1, 1, 1, Padding::none));
  people.groups = 1 << 14;
  CHECK(offered(people) > 0);
  people.groups += 1;  // more pictures than are counted
  CHECK(offered(people) == 0);
  ConvRun run(make_conv(1, 2, 2, 8, 8, 1, 1, 1, Padding::none), kPlain, 50, stream);
  Conv2d small = run.conv;
  small.type = small.out_type = DType::bf16;
  small.kernels = {kWide, kWide, kWide};
  const Buffer x(DType::bf16, 4 * 8 + 8);
  const auto* off = static_cast<const char*>(x.data()) + 2;
  CHECK_THROWS_AS(conv2d_fprop(run.y.data(), off, run.w.data(), run.b.f32(), small, kPlain, nullptr, stream),
                  std::invalid_argument);
  // Tiles of all groups, and of all parts, are counted with int. 2^29 groups of two tiles each:
  small.h = 256, small.w = 1, small.groups = 1 << 29;
  CHECK_THROWS_AS(conv2d_fprop(run.y.data(), x.data(), run.w.data(), run.b.f32(), small, kPlain, nullptr, stream),
                  std::invalid_argument);
  small.h = 1, small.kernels.dgrad.splits = 2;
  CHECK_THROWS_AS(conv2d_dgrad(run.dx.data(), x.data(), run.w.data(), small, nullptr, stream), std::invalid_argument);
}
