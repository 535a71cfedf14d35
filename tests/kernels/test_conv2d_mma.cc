// The tensor-core convolution: each tile, whole sums and split ones, on shapes whose last tile, step and unit are not
// full. What the plan chooses by itself is tested with the operator (test_conv2d_emulator.cc).
#include "kernels/conv2d_mma_plan.h"
#include "kernels/conv_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr KernelChoice kLarge{KernelKind::mma_128x128, 1}, kTall{KernelKind::mma_128x64, 1},
    kSmall{KernelKind::mma_64x64, 1}, kLargeSplit{KernelKind::mma_128x128, 2}, kTallSplit{KernelKind::mma_128x64, 3},
    kSmallSplit{KernelKind::mma_64x64, 3};

// All launchers with each choice, on the emulator and on the card.
void check_plans(Conv2d conv, const Epilogue& epilogue, std::initializer_list<KernelChoice> plans, uint64_t seed,
                 DType out_type = DType::bf16) {
  conv.type = DType::bf16, conv.out_type = out_type;
  for (const KernelChoice& plan : plans) {
    conv.kernels = {plan, plan, plan};
    testing::on_emulator([&](Stream stream) { check_launchers(conv, epilogue, seed, true, stream); });
    on_card([&](Stream stream) { check_launchers(conv, epilogue, seed, true, stream); });
  }
}

}  // namespace

TEST_CASE("conv2d on tensor cores: less than one tile", "[conv2d][mma][emulator]") {
  check_plans(make_conv(1, 1, 1, 8, 8, 1, 1, 1, Padding::none), kPlain, {kLarge, kTall, kSmall, kSmallSplit}, 1);
  check_plans(make_conv(1, 5, 6, 8, 16, 3, 3, 1, Padding::same), kUp, {kLarge, kTallSplit, kSmall}, 2);
  check_plans(make_conv(1, 1, 1, 8, 8, 5, 5, 2, Padding::same), kLeaky, {kSmall}, 3);  // most taps see padding only
}

TEST_CASE("conv2d on tensor cores: several tiles each way", "[conv2d][mma][emulator]") {
  // 143 pixels, 136 channels to 40: a tile and a bit, channels a step and a bit.
  check_plans(make_conv(1, 13, 11, 40, 136, 1, 3, 1, Padding::symmetric), kLeaky, {kLarge, kSmallSplit}, 10);
  check_plans(make_conv(1, 13, 11, 136, 40, 3, 1, 1, Padding::symmetric), kLeaky, {kTall, kLargeSplit}, 11);
}

TEST_CASE("conv2d on tensor cores: stride 2", "[conv2d][mma][emulator]") {
  check_plans(make_conv(2, 9, 7, 72, 24, 5, 3, 2, Padding::same), kLeaky, {kLarge, kTall, kSmallSplit}, 20);
  check_plans(make_conv(1, 7, 4, 8, 24, 1, 1, 2, Padding::symmetric), kPlain, {kSmall}, 21);  // phases without a tap
  check_plans(make_conv(1, 1, 5, 16, 8, 3, 3, 2, Padding::symmetric), kPlain, {kSmall}, 22);  // and without a pixel
  Conv2d conv = make_conv(2, 6, 7, 16, 8, 5, 3, 2, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_plans(conv, kLeaky, {kSmall}, 23);
}

TEST_CASE("conv2d on tensor cores: epilogues", "[conv2d][mma][emulator]") {
  const Conv2d even = make_conv(2, 3, 5, 16, 48, 1, 1, 1, Padding::none);
  const Conv2d odd = make_conv(2, 3, 5, 16, 24, 1, 1, 1, Padding::none);  // the middle unit falls into two runs
  for (const Epilogue& epilogue : kAll)
    for (const DType out_type : {DType::bf16, DType::f32}) {
      check_plans(even, epilogue, {kSmall}, 30, out_type);
      check_plans(odd, epilogue, {kSmall}, 31, out_type);
    }
  check_plans(odd, kUp, {kSmallSplit}, 32);
}

TEST_CASE("conv2d on tensor cores: every order and run gives the same bits", "[conv2d][mma][emulator]") {
  Conv2d conv = make_conv(2, 9, 5, 16, 24, 3, 3, 2, Padding::same);
  conv.type = conv.out_type = DType::bf16;
  for (const KernelChoice& plan : {kLarge, kTallSplit, kSmallSplit}) {
    conv.kernels = {plan, plan, plan};
    ConvRun first(conv, kUp, 40, Stream{Device::emulator});
    first.all();
    const auto check_same = [&](const ConvRun& one, Stream stream) {
      ConvRun other(conv, kUp, 40, stream);
      other.all();
      CHECK(one.y.same_bits(other.y));
      CHECK(one.dx.same_bits(other.dx));
      CHECK(one.dw.same_bits(other.dw));
    };
    testing::on_emulator([&](Stream stream) { check_same(first, stream); });
    on_card([&](Stream stream) {
      ConvRun one(conv, kUp, 40, stream);
      one.all();
      check_same(one, stream);
    });
  }
}

TEST_CASE("conv2d on tensor cores: tensors off the 16 bytes are refused", "[conv2d][mma][emulator]") {
  Conv2d conv = make_conv(1, 2, 2, 8, 8, 1, 1, 1, Padding::none);
  conv.type = conv.out_type = DType::bf16;
  const Stream stream{Device::emulator};
  ConvRun run(conv, kPlain, 50, stream);
  const auto off = [](Buffer& buffer) { return static_cast<void*>(static_cast<char*>(buffer.data()) + 2); };
  CHECK_THROWS_AS(conv2d_fprop(run.y.data(), off(run.x), run.w.data(), run.b.f32(), conv, kPlain, nullptr, stream),
                  std::invalid_argument);
  CHECK_THROWS_AS(conv2d_dgrad(run.dx.data(), off(run.dz), run.w.data(), conv, nullptr, stream), std::invalid_argument);
  CHECK_THROWS_AS(conv2d_wgrad(run.dw.f32(), off(run.x), run.dz.data(), conv, nullptr, stream), std::invalid_argument);
}

TEST_CASE("conv2d on tensor cores: the plan", "[conv2d][mma]") {
  // Large products are left whole, in large tiles.
  CHECK(mma_plan({128 * 32 * 32, 256, 25 * 4}).tile == MmaTile::large);
  CHECK(mma_plan({128 * 32 * 32, 256, 25 * 4}).splits == 1);
  // 64 columns do not fill a large tile.
  CHECK(mma_plan({128 * 32 * 32, 64, 9 * 2}).tile == MmaTile::tall);
  // A dense layer of few rows, and a weight gradient of few weights, are split.
  CHECK(mma_plan({128, 1024, 512}).splits >= 8);
  CHECK(mma_plan({64, 576, 16384}).splits >= 32);
  // A short sum is never split into parts that are mostly overhead.
  CHECK(mma_plan({16, 16, 9}).splits == 1);
}
