// Groups of convolutions: what one launch for all of them computes is, bit for bit, what a launch for each computes
// with the same kernels, and that agrees with the double-precision reference.
#include "kernels/conv_groups.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

void on_emulator_and_card(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed) {
  testing::on_emulator(emulator::Order(seed % 3), [&](Stream stream) { check_groups(conv, epilogue, seed, stream); });
  on_card([&](Stream stream) { check_groups(conv, epilogue, seed, stream); });
}

}  // namespace

TEST_CASE("conv2d groups: tensor cores", "[conv2d][groups][mma][emulator]") {
  const Conv2d stride2 = grouped(in_bf16(make_conv(2, 5, 6, 24, 16, 3, 3, 2, Padding::same)), 8),
               wide = grouped(in_bf16(make_conv(1, 12, 11, 8, 72, 1, 3, 1, Padding::same)), 40),
               last = grouped(in_bf16(make_conv(1, 4, 5, 16, 24, 1, 1, 1, Padding::none), DType::f32), 0);
  uint64_t seed = 1;
  for (const auto& [kernel, splits, algorithm, shares] :
       {KernelChoice{KernelKind::mma_128x128, 1}, KernelChoice{KernelKind::mma_128x64, 3},
        KernelChoice{KernelKind::mma_64x64, 1}, KernelChoice{KernelKind::mma_64x64, 2}}) {
    on_emulator_and_card(by(stride2, kernel, splits), kUp, ++seed);
    on_emulator_and_card(by(wide, kernel, splits), kLeaky, ++seed);  // several tiles each way
    on_emulator_and_card(by(last, kernel, splits), kSigmoid, ++seed);
    on_emulator_and_card(by(last, kernel, splits), kCosineShuffle, ++seed);
  }
}

TEST_CASE("conv2d groups: what is not finite stays in its group", "[conv2d][groups][emulator]") {
  const Conv2d conv = grouped(in_bf16(make_conv(2, 7, 6, 8, 16, 3, 3, 1, Padding::same)), 8);
  const auto check = [&](Stream stream) {
    check_spoiled(by(conv, KernelKind::mma_64x64, 2), kUp, 95, stream);
    check_spoiled(by(conv, KernelKind::simt, 2), kUp, 96, stream);
  };
  testing::on_emulator(emulator::Order::forward, check);
  on_card(check);
}

TEST_CASE("conv2d groups: fp32 arithmetic", "[conv2d][groups][emulator]") {
  // Weights one element apart are read one by one, and four apart by fours; so are parts of sums of theirs.
  uint64_t seed = 20;
  const Conv2d shape = make_conv(2, 5, 6, 12, 12, 3, 3, 1, Padding::same);
  for (const auto& [splits, between] : {std::pair{1, 0}, {1, 1}, {3, 1}, {3, 4}})
    for (const Conv2d& conv : {grouped(shape, between), grouped(in_bf16(shape), between)})
      on_emulator_and_card(by(conv, KernelKind::simt, splits), kUp, ++seed);
  for (const Conv2d& conv : in_all_types(grouped(make_conv(1, 9, 7, 5, 70, 3, 1, 2, Padding::same), 2)))
    for (const Epilogue& epilogue : {kLeaky, kCosine})
      on_emulator_and_card(by(conv, KernelKind::simt, 2), epilogue, ++seed);
}

TEST_CASE("conv2d groups: from and to at most four channels", "[conv2d][groups][emulator]") {
  const std::pair<Conv2d, Epilogue> cases[] = {
      {grouped(make_conv(1, 9, 17, 16, 3, 5, 5, 1, Padding::symmetric), 8), kSigmoid},
      {grouped(make_conv(2, 8, 9, 8, 4, 3, 3, 1, Padding::same), 0), kCosineShuffle},
      {grouped(make_conv(1, 9, 10, 11, 3, 3, 3, 1, Padding::same), 8), kCosine},
      // wgrad's sum over 506 pixels is split
      {grouped(make_conv(1, 23, 22, 3, 5, 1, 3, 1, Padding::same), 8), kCosine},
      {grouped(make_conv(1, 5, 6, 3, 68, 3, 3, 2, Padding::same), 8), kUp},
  };
  uint64_t seed = 60;
  for (const auto& [conv, epilogue] : cases)
    for (const Conv2d& typed : in_all_types(conv)) on_emulator_and_card(typed, epilogue, ++seed);
}

// Blocks that stay have more rectangles or fewer, and bands of rows are longer or shorter.
TEST_CASE("conv2d groups: from and to at most four channels, any number of multiprocessors gives the same bits",
          "[conv2d][groups][emulator]") {
  const std::pair<Conv2d, Epilogue> cases[] = {
      {grouped(make_conv(1, 65, 66, 3, 8, 3, 3, 2, Padding::same), 8), kLeaky},
      {grouped(make_conv(1, 25, 38, 72, 3, 5, 5, 1, Padding::symmetric), 8), kSigmoid},
  };
  for (const auto& [conv, epilogue] : cases)
    testing::on_emulator(emulator::Order::forward, [&, conv = conv, epilogue = epilogue](Stream stream) {
      std::unique_ptr<GroupsRun> first;
      for (const int multiprocessors : {1, 2, 5, 132}) {
        emulator::options().multiprocessors = multiprocessors;
        INFO(multiprocessors << " multiprocessors");
        auto run = std::make_unique<GroupsRun>(in_bf16(conv, DType::f32), epilogue, 85, stream);
        run->check_same();  // each group has another share of the blocks by itself
        if (!first)
          first = std::move(run);
        else {
          CHECK(first->y.all.same_bits(run->y.all));
          CHECK(first->dx.all.same_bits(run->dx.all));
          CHECK(first->dw.all.same_bits(run->dw.all));
        }
      }
    });
}

TEST_CASE("conv2d groups: the last layer's weights off the 16 bytes take another kernel",
          "[conv2d][groups][emulator]") {
  const Conv2d conv = grouped(in_bf16(make_conv(1, 9, 8, 16, 3, 3, 3, 1, Padding::same), DType::f32), 3);
  const auto check_close = [&](Stream stream) {
    GroupsRun run(conv, kSigmoid, 90, stream);
    for (int g = 0; g < kGroups; ++g) {
      const ConvRun& part = *run.parts[size_t(g)];
      Buffer y(DType::f32, part.y.count());
      std::memcpy(y.data(), run.y.part(g), size_t(y.bytes()));
      // The same products, added in another order.
      CHECK(mismatch(y, part.y.values(), Doubles(size_t(y.count()), 2 * sum_error(3 * 3 * 16))) == "");
    }
  };
  testing::on_emulator(emulator::Order::forward, check_close);
  on_card(check_close);
}

TEST_CASE("conv2d groups: on the CPU", "[conv2d][groups]") {
  on_fast_backends([&](Stream stream) {
    uint64_t seed = 100;
    for (const auto& [conv, epilogue] :
         {std::pair{make_conv(2, 4, 4, 16, 32, 3, 3, 1, Padding::symmetric), kUp},  // by products
          std::pair{make_conv(2, 4, 4, 16, 32, 3, 3, 1, Padding::symmetric), kCosineShuffle},
          std::pair{make_conv(2, 17, 18, 8, 16, 3, 3, 1, Padding::same), kLeaky},  // by oneDNN's convolutions
          std::pair{make_conv(2, 17, 18, 8, 16, 3, 3, 1, Padding::same), kCosine},
          std::pair{make_conv(1, 17, 18, 8, 3, 5, 5, 1, Padding::same), kSigmoid},
          std::pair{make_conv(3, 7, 5, 3, 6, 5, 3, 2, Padding::same), kPlain}})
      for (const Conv2d& typed : in_all_types(grouped(conv, 8))) {
        // On a card the plan for all groups may be another than that for one.
        const bool plans = typed.type == DType::bf16 && conv.c % 8 == 0 && conv.k % 8 == 0;
        if (stream.device == Device::cuda && plans) continue;
        check_groups(typed, epilogue, ++seed, stream);
      }
  });
}

TEST_CASE("conv2d groups: the plan counts all groups' blocks", "[conv2d][groups]") {
  const Stream stream{Device::emulator};
  Conv2d one = in_bf16(make_conv(8, 16, 16, 64, 256, 3, 3, 1, Padding::symmetric));
  Conv2d many = one;
  many.groups = 16, many.weight_stride = one.weights(), many.bias_stride = one.k;
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
    const KernelChoice alone = conv2d_choices(one, pass, stream).front(),
                       together = conv2d_choices(many, pass, stream).front();
    INFO("pass " << int(pass));
    CHECK(together.splits <= alone.splits);
  }
  // A weight gradient alone is split to occupy a card; those of 16 people occupy it.
  CHECK(conv2d_choices(many, Pass::wgrad, stream).front().splits <
        conv2d_choices(one, Pass::wgrad, stream).front().splits);
  CHECK(many.flops() == 16 * one.flops());
}

TEST_CASE("conv2d groups: overlapping weights and unaligned groups are refused", "[conv2d][groups]") {
  const Conv2d good = grouped(in_bf16(make_conv(1, 4, 4, 8, 16, 3, 3, 1, Padding::same)), 8);
  CHECK_NOTHROW(check(good, kPlain));
  const auto refused = [&](auto&& spoil) {
    Conv2d bad = good;
    spoil(bad);
    try {
      check(bad, kPlain);
    } catch (const std::invalid_argument&) {
      return true;
    }
    return false;
  };
  CHECK(refused([](Conv2d& v) { v.groups = 0; }));
  CHECK(refused([](Conv2d& v) { v.weight_stride = v.weights() - 1; }));
  CHECK(refused([](Conv2d& v) { v.bias_stride = v.k - 1; }));
  CHECK_FALSE(refused([](Conv2d& v) { v.weight_stride = v.weights(), v.bias_stride = v.k; }));

  Conv2d off = good;
  off.weight_stride = good.weights() + 4;
  const Stream stream{Device::emulator};
  Joined w(DType::bf16, off.weights(), off.weight_stride);
  Buffer x(DType::bf16, kGroups * off.in_elements()), z(DType::bf16, kGroups * off.out_elements());
  CHECK_THROWS_AS(conv2d_dgrad(x.data(), z.data(), w.all.data(), off, nullptr, stream), std::invalid_argument);
}
