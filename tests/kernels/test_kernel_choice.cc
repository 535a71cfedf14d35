// Choosing the kernel of a layer's product: every choice that is listed is right, uses no more memory than it says, and
// is obeyed; what cannot be is refused.
#include "kernels/conv2d_mma_plan.h"
#include "kernels/conv_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr Pass kPasses[] = {Pass::fprop, Pass::dgrad, Pass::wgrad};

size_t bytes_of(const ConvWorkspace& bytes, Pass pass) {
  return pass == Pass::fprop ? bytes.fprop : pass == Pass::dgrad ? bytes.dgrad : bytes.wgrad;
}

// The same choice, in order, for all three passes: as many runs as the longest list has entries.
void check_all_choices(Conv2d conv, const Epilogue& epilogue, uint64_t seed, Stream stream) {
  std::vector<KernelChoice> choices[3];
  size_t most = 0;
  for (const Pass pass : kPasses) {
    choices[int(pass)] = conv2d_choices(conv, pass, stream);
    most = std::max(most, choices[int(pass)].size());
  }
  for (size_t i = 0; i < most; ++i) {
    for (const Pass pass : kPasses) conv.kernels[pass] = choices[int(pass)][i % choices[int(pass)].size()];
    check_launchers(conv, epilogue, seed, true, stream);
  }
}

Conv2d typed(Conv2d conv, DType type) {
  conv.type = conv.out_type = type;
  return conv;
}

// One for each family of kernels.
std::vector<Conv2d> small_shapes() {
  return {typed(make_conv(2, 5, 6, 24, 16, 3, 3, 2, Padding::same), DType::bf16),
          typed(make_conv(1, 6, 5, 20, 12, 3, 3, 1, Padding::symmetric), DType::f32),
          typed(make_conv(1, 12, 11, 3, 12, 5, 5, 2, Padding::same), DType::bf16),
          typed(make_conv(1, 9, 10, 16, 3, 3, 3, 1, Padding::same), DType::bf16)};
}

// The kernel that `choice` is to be where nobody chose, for layers of at least 8 channels but for pictures of 3.
bool is_expected(const KernelChoice& choice, const Conv2d& conv, Pass pass) {
  // From few channels only in bf16: fprop and wgrad of the first layer, dgrad of the last.
  const bool single = conv.type == DType::f32;
  const bool ends = conv.k == 3 ? !single || pass != Pass::dgrad : conv.c == 3 && !single && pass != Pass::dgrad;
  if (ends) return choice == KernelChoice{KernelKind::ends, 1};
  if (single || conv.c == 3) return choice.kernel == KernelKind::simt;
  const MmaPlan plan = mma_plan(conv, pass);
  return choice == KernelChoice{kMmaKernels[int(plan.tile)], plan.splits};
}

}  // namespace

TEST_CASE("kernel choice: every listed kernel agrees with the reference", "[conv2d][choice][emulator]") {
  const auto check_them = [&](Stream stream) {
    for (const Conv2d& conv : small_shapes()) check_all_choices(conv, kLeaky, 1, stream);
  };
  on_emulator(emulator::Order::shuffled, check_them);
  on_card(check_them);
}

TEST_CASE("kernel choice: the first of the list is what is taken by itself", "[conv2d][choice][emulator]") {
  const Stream stream{Device::emulator};
  size_t listed = 0;
  for (const Conv2d& shape :
       {make_conv(4, 16, 16, 64, 128, 5, 5, 2, Padding::same), make_conv(2, 4, 4, 512, 512, 3, 3, 1, Padding::same),
        make_conv(8, 64, 64, 3, 64, 5, 5, 2, Padding::same), make_conv(8, 32, 32, 32, 3, 3, 3, 1, Padding::same)})
    for (const DType type : {DType::f32, DType::bf16}) {
      const Conv2d conv = typed(shape, type);
      INFO(describe(conv, kLeaky));
      const ConvWorkspace own = conv2d_workspace(conv, kLeaky, stream);
      for (const Pass pass : kPasses) {
        const std::vector<KernelChoice> choices = conv2d_choices(conv, pass, stream);
        REQUIRE(!choices.empty());
        listed += choices.size();
        INFO("pass " << int(pass) << " by " << name_of(choices[0].kernel) << "/" << choices[0].splits);
        CHECK(is_expected(choices[0], conv, pass));
        Conv2d chosen = conv;
        chosen.kernels[pass] = choices[0];
        CHECK(bytes_of(conv2d_workspace(chosen, kLeaky, stream), pass) == bytes_of(own, pass));
        // What was chosen before changes no list.
        chosen.kernels[pass] = choices.back();
        CHECK(conv2d_choices(chosen, pass, stream) == choices);
        for (size_t i = 0; i < choices.size(); ++i) {
          CHECK(choices[i].kernel != KernelKind::by_model);
          CHECK(std::count(choices.begin(), choices.end(), choices[i]) == 1);
          chosen.kernels[pass] = choices[i];
          const size_t bytes = bytes_of(conv2d_workspace(chosen, kLeaky, stream), pass);
          const int64_t results = pass == Pass::fprop   ? conv.out_pixels() * conv.k
                                  : pass == Pass::dgrad ? int64_t(conv.n) * conv.h * conv.w * conv.c
                                                        : conv.weights();
          if (choices[i].kernel != KernelKind::ends)
            CHECK(bytes == (choices[i].splits > 1 ? size_t(choices[i].splits * results) * sizeof(float) : 0));
        }
      }
    }
  CHECK(listed > 3 * 8);  // nearly always there is a choice
}

TEST_CASE("kernel choice: the first of the list computes what no choice does", "[conv2d][choice][emulator]") {
  const auto check_bits = [](Stream stream) {
    for (const Conv2d& conv : small_shapes()) {
      Conv2d chosen = conv;
      for (const Pass pass : kPasses) chosen.kernels[pass] = conv2d_choices(conv, pass, stream)[0];
      INFO(describe(chosen, kLeaky));
      ConvRun own(conv, kLeaky, 3, stream), first(chosen, kLeaky, 3, stream);
      own.all();
      first.all();
      CHECK(first.y.same_bits(own.y));
      CHECK(first.dx.same_bits(own.dx));
      CHECK(first.dw.same_bits(own.dw));
    }
  };
  on_emulator(emulator::Order::forward, check_bits);
  on_card(check_bits);
}

TEST_CASE("kernel choice: each pass obeys its own", "[conv2d][choice][emulator]") {
  // In another number of parts the order of a sum is another, and so are some of its last bits.
  Conv2d conv = typed(make_conv(2, 8, 8, 64, 64, 3, 3, 1, Padding::same), DType::f32);
  conv.kernels = {{KernelKind::simt, 1}, {KernelKind::simt, 1}, {KernelKind::simt, 1}};
  const auto check_bits = [&](Stream stream) {
    ConvRun plain(conv, kPlain, 7, stream);
    plain.all();
    for (const Pass pass : kPasses) {
      Conv2d other = conv;
      other.kernels[pass].splits = 3;
      ConvRun run(other, kPlain, 7, stream);
      run.all();
      CHECK(run.y.same_bits(plain.y) == (pass != Pass::fprop));
      CHECK(run.dx.same_bits(plain.dx) == (pass != Pass::dgrad));
      CHECK(run.dw.same_bits(plain.dw) == (pass != Pass::wgrad));
    }
  };
  on_emulator(emulator::Order::forward, check_bits);
  on_card(check_bits);
}

TEST_CASE("kernel choice: what does not take the shape is refused", "[conv2d][choice][emulator]") {
  const auto refused = [](Conv2d conv, Pass pass, KernelChoice choice) {
    conv.kernels[pass] = choice;
    try {
      conv2d_workspace(conv, kPlain, Stream{Device::emulator});
    } catch (const std::invalid_argument&) {
      return true;
    }
    return false;
  };
  const Conv2d wide = typed(make_conv(1, 8, 8, 16, 16, 3, 3, 1, Padding::same), DType::bf16),
               single = typed(wide, DType::f32),
               odd = typed(make_conv(1, 8, 8, 15, 16, 3, 3, 1, Padding::same), DType::bf16);
  for (const Pass pass : kPasses) {
    CHECK_FALSE(refused(wide, pass, {KernelKind::mma_64x64, 1}));
    CHECK_FALSE(refused(wide, pass, {KernelKind::simt, 2}));
    CHECK_FALSE(refused(odd, pass, {KernelKind::simt, kMostSplits}));
    CHECK(refused(single, pass, {KernelKind::mma_64x64, 1}));
    CHECK(refused(odd, pass, {KernelKind::mma_128x64, 1}));
    CHECK(refused(wide, pass, {KernelKind::ends, 1}));
    CHECK(refused(wide, pass, {KernelKind::vendor, 1}));
    CHECK(refused(wide, pass, {KernelKind::simt, 0}));
    CHECK(refused(wide, pass, {KernelKind::mma_128x128, kMostSplits + 1}));
    CHECK(refused(wide, pass, {KernelKind::mma_128x128, 1, 0, 2}));
  }
  const Conv2d first = typed(make_conv(1, 12, 11, 3, 12, 5, 5, 2, Padding::same), DType::bf16);
  CHECK_FALSE(refused(first, Pass::fprop, {KernelKind::ends, 1}));
  CHECK(refused(first, Pass::fprop, {KernelKind::ends, 2}));
}

TEST_CASE("kernel choice: no listed part of a sum is shorter than what starting it costs",
          "[conv2d][choice][emulator]") {
  const emulator::Options before = emulator::options();
  emulator::options().sm = 90;
  int split[3] = {};  // choices in parts that were looked at: simt, mma, wgmma
  for (const Conv2d& shape :
       {make_conv(1, 6, 6, 64, 64, 3, 3, 1, Padding::same), make_conv(1, 9, 7, 128, 64, 5, 5, 1, Padding::same),
        make_conv(2, 32, 32, 64, 128, 3, 3, 1, Padding::same)})
    for (const DType type : {DType::f32, DType::bf16}) {
      const Conv2d conv = typed(shape, type);
      for (const Pass pass : kPasses) {
        // Channels are whole steps of every kernel, so that each product of the sum counts.
        const int64_t products = pass == Pass::wgrad
                                     ? conv.out_pixels()
                                     : int64_t(conv.r) * conv.s * (pass == Pass::fprop ? conv.c : conv.k);
        for (const KernelChoice& choice : conv2d_choices(conv, pass, Stream{Device::emulator})) {
          const int family = choice.kernel == KernelKind::simt ? 0 : is_mma(choice.kernel) ? 1 : 2;
          // Steps of 16 products, at least 4; of 32, at least 8; of 64, at least 4.
          const int64_t step = int64_t(16) << family, least = family == 1 ? 8 : 4;
          INFO(describe(conv, kPlain) << ": pass " << int(pass) << " by " << name_of(choice.kernel) << "/"
                                      << choice.splits);
          if (choice.splits == 1) continue;
          CHECK((products + step - 1) / step >= choice.splits * least);
          ++split[family];
        }
      }
    }
  emulator::options() = before;
  for (const int count : split) CHECK(count > 3);
}

TEST_CASE("kernel choice: more blocks than a grid has along one axis are refused", "[conv2d][choice][emulator]") {
  Conv2d conv = typed(make_conv(1, 4, 4, 8, 8, 3, 3, 2, Padding::same), DType::f32);
  conv.groups = 16, conv.weight_stride = conv.weights(), conv.bias_stride = conv.k;
  const Stream stream{Device::emulator};
  for (const Pass pass : kPasses) {
    Conv2d chosen = conv;
    chosen.kernels[pass] = {KernelKind::simt, kMostSplits};
    if (pass == Pass::dgrad)  // four phases
      CHECK_THROWS_WITH(
          conv2d_workspace(chosen, kPlain, stream),
          "conv2d: simt in 1024 parts of 16 groups needs more than 65535 blocks along one axis of a grid; "
          "take fewer parts");
    else
      CHECK_NOTHROW(conv2d_workspace(chosen, kPlain, stream));
    chosen.kernels[pass].splits = kMostSplits - 1;
    CHECK_NOTHROW(conv2d_workspace(chosen, kPlain, stream));
  }
}

TEST_CASE("kernel choice: simt is offered in a quarter of the model's parts to four times as many",
          "[conv2d][choice][emulator]") {
  // Tiles that fill an eighth of the blocks that the model wants, and all of them; sums that are long enough for more.
  for (const auto& [shape, best] : {std::pair{make_conv(1, 16, 16, 512, 512, 3, 3, 1, Padding::same), 8},
                                    std::pair{make_conv(8, 32, 32, 512, 128, 3, 3, 1, Padding::same), 1}}) {
    const Conv2d conv = typed(shape, DType::f32);
    std::vector<int> splits, want;
    for (const KernelChoice& choice : conv2d_choices(conv, Pass::fprop, Stream{Device::emulator}))
      if (choice.kernel == KernelKind::simt) splits.push_back(choice.splits);
    for (int parts = std::max(1, best / 4); parts <= 4 * best; parts *= 2) want.push_back(parts);
    REQUIRE(!splits.empty());
    CHECK(splits[0] == best);
    std::sort(splits.begin(), splits.end());
    CHECK(splits == want);
  }
}
