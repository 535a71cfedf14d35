// Groups of convolutions: what one launch for all of them computes is, bit for bit, what a launch for each computes
// with the same kernels, and that agrees with the double-precision reference.
#include <memory>

#include "kernels/conv_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr int kGroups = 3;

// A tensor of all groups, each `stride` elements behind the one before. What lies between them stays as it is made:
// NaN.
struct Joined {
  Buffer all;
  int64_t stride;

  Joined(DType type, int64_t count, int64_t stride_) : all(type, (kGroups - 1) * stride_ + count), stride(stride_) {}

  char* part(int g) { return static_cast<char*>(all.data()) + g * stride * int64_t(size_of(all.type())); }
  void put(int g, const Buffer& from) { std::memcpy(part(g), from.data(), size_t(from.bytes())); }
  bool holds(int g, const Buffer& want) {
    settle();
    return std::memcmp(part(g), want.data(), size_t(want.bytes())) == 0;
  }
  // Nothing was written outside the groups' `count` elements each.
  bool gaps_intact(int64_t count) {
    settle();
    const int64_t size = int64_t(size_of(all.type()));
    for (int g = 0; g + 1 < kGroups; ++g)
      for (const char* at = part(g) + count * size; at < part(g + 1); ++at)
        if (uint8_t(*at) != 0xFF) return false;
    return all.guards_intact();
  }
};

// The groups one by one, checked against the reference, and together.
struct GroupsRun {
  Conv2d conv;
  Epilogue epilogue;
  Stream stream;
  std::vector<std::unique_ptr<ConvRun>> parts;
  Joined x, w, b, y, dy, dz, db, dx, dw;

  GroupsRun(const Conv2d& v, const Epilogue& e, uint64_t seed, Stream on)
      : conv(v),
        epilogue(e),
        stream(on),
        x(v.type, v.in_elements(), v.in_elements()),
        w(v.type, v.weights(), v.weight_stride),
        b(DType::f32, v.k, v.bias_stride),
        y(v.out_type, v.out_elements(), v.out_elements()),
        dy(v.out_type, v.out_elements(), v.out_elements()),
        dz(v.type, v.out_elements(), v.out_elements()),
        db(DType::f32, v.k, v.bias_stride),
        dx(v.type, v.in_elements(), v.in_elements()),
        dw(DType::f32, v.weights(), v.weight_stride) {
    for (int g = 0; g < kGroups; ++g) {
      parts.push_back(std::make_unique<ConvRun>(one_group(conv), epilogue, seed + 10 * uint64_t(g), stream));
      ConvRun& part = *parts.back();
      check_fprop(part);
      check_backward_epilogue(part);
      check_gradients(part);
      x.put(g, part.x), w.put(g, part.w), b.put(g, part.b), dy.put(g, part.dy);
    }
    const ConvWorkspace sizes = conv2d_workspace(conv, epilogue, stream);
    const auto with_workspace = [](size_t bytes, auto&& body) {
      Buffer workspace(DType::u8, int64_t(bytes));
      body(workspace.data());
      CHECK(workspace.guards_intact());
    };
    with_workspace(sizes.fprop, [&](void* p) {
      conv2d_fprop(y.all.data(), x.all.data(), w.all.data(), b.all.f32(), conv, epilogue, p, stream);
    });
    const void* const saved = epilogue.activation == Activation::none ? nullptr : y.all.data();
    with_workspace(sizes.backward_epilogue, [&](void* p) {
      conv2d_backward_epilogue(dz.all.data(), db.all.f32(), dy.all.data(), saved, conv, epilogue, p, stream);
    });
    with_workspace(sizes.dgrad,
                   [&](void* p) { conv2d_dgrad(dx.all.data(), dz.all.data(), w.all.data(), conv, p, stream); });
    with_workspace(sizes.wgrad,
                   [&](void* p) { conv2d_wgrad(dw.all.f32(), x.all.data(), dz.all.data(), conv, p, stream); });
    CHECK(y.all.guards_intact());
    CHECK(dz.all.guards_intact());
    CHECK(dx.all.guards_intact());
    CHECK(db.gaps_intact(conv.k));
    CHECK(dw.gaps_intact(conv.weights()));
  }

  void check_same() {
    for (int g = 0; g < kGroups; ++g) {
      INFO("group " << g);
      CHECK(y.holds(g, parts[size_t(g)]->y));
      CHECK(dz.holds(g, parts[size_t(g)]->dz));
      CHECK(db.holds(g, parts[size_t(g)]->db));
      CHECK(dx.holds(g, parts[size_t(g)]->dx));
      CHECK(dw.holds(g, parts[size_t(g)]->dw));
    }
  }
};

// `between`: elements from the end of a group's weights, and biases, to the next group's.
Conv2d grouped(Conv2d conv, int between) {
  conv.groups = kGroups;
  conv.weight_stride = conv.weights() + between;
  conv.bias_stride = conv.k + between + 1;
  return conv;
}

Conv2d by(Conv2d conv, KernelKind kernel, int splits) {
  conv.kernels.fprop = conv.kernels.dgrad = conv.kernels.wgrad = {kernel, splits};
  return conv;
}

Conv2d in_bf16(Conv2d conv, DType out_type = DType::bf16) {
  conv.type = DType::bf16, conv.out_type = out_type;
  return conv;
}

void check_groups(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed, Stream stream) {
  INFO(describe(conv, epilogue));
  GroupsRun(conv, epilogue, seed, stream).check_same();
}

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
  for (const auto& [kernel, splits, algorithm] :
       {KernelChoice{KernelKind::mma_128x128, 1}, KernelChoice{KernelKind::mma_128x64, 3},
        KernelChoice{KernelKind::mma_64x64, 1}, KernelChoice{KernelKind::mma_64x64, 2}}) {
    on_emulator_and_card(by(stride2, kernel, splits), kUp, ++seed);
    on_emulator_and_card(by(wide, kernel, splits), kLeaky, ++seed);  // several tiles each way
    on_emulator_and_card(by(last, kernel, splits), kSigmoid, ++seed);
  }
}

TEST_CASE("conv2d groups: fp32 arithmetic", "[conv2d][groups][emulator]") {
  uint64_t seed = 20;
  for (const int splits : {1, 3})
    for (const int between : {0, 1, 4})
      for (const Conv2d& conv : in_all_types(grouped(make_conv(2, 5, 6, 20, 12, 3, 3, 1, Padding::same), between)))
        on_emulator_and_card(by(conv, KernelKind::simt, splits), kUp, ++seed);
  for (const Conv2d& conv : in_all_types(grouped(make_conv(1, 9, 7, 5, 70, 3, 1, 2, Padding::same), 2)))
    on_emulator_and_card(by(conv, KernelKind::simt, 2), kLeaky, ++seed);
}

TEST_CASE("conv2d groups: from and to at most four channels", "[conv2d][groups][emulator]") {
  uint64_t seed = 60;
  for (const int between : {0, 8})
    for (const auto& [conv, epilogue] :
         {std::pair{make_conv(1, 9, 17, 24, 3, 5, 5, 1, Padding::symmetric), kSigmoid},
          std::pair{make_conv(2, 8, 9, 8, 4, 3, 3, 1, Padding::same), kUp},
          std::pair{make_conv(1, 9, 10, 11, 3, 3, 3, 1, Padding::same), kSigmoid},
          std::pair{make_conv(2, 32, 33, 3, 20, 5, 5, 2, Padding::same), kLeaky},  // wgrad's sum is split
          std::pair{make_conv(1, 7, 6, 2, 68, 3, 3, 1, Padding::same), kShuffle}}) {
      for (const Conv2d& typed : in_all_types(grouped(conv, between))) on_emulator_and_card(typed, epilogue, ++seed);
    }
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
          std::pair{make_conv(2, 17, 18, 8, 16, 3, 3, 1, Padding::same), kLeaky},   // by oneDNN's convolutions
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
