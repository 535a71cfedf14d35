// What the CUDA kernels of convolution have and the CPU has not: tiles, splits, orders of blocks and warps, kernels for
// a few channels, loads of vectors. On small shapes, against the double-precision reference.
#include <memory>

#include "kernels/conv_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// The bytes of `from`, at an address that is one element past a multiple of 64 bytes.
class Misaligned {
 public:
  explicit Misaligned(const Buffer& from) : buffer_(from.type(), from.count() + 1) {
    std::memcpy(data(), from.data(), size_t(from.bytes()));
  }
  char* data() { return static_cast<char*>(buffer_.data()) + size_of(buffer_.type()); }
  bool same_bits(const Buffer& other) {
    settle();
    return buffer_.guards_intact() && std::memcmp(data(), other.data(), size_t(other.bytes())) == 0;
  }

 private:
  Buffer buffer_;
};

}  // namespace

TEST_CASE("conv2d kernels: several tiles each way", "[conv2d][emulator]") {
  check_everywhere(make_conv(2, 7, 9, 68, 72, 3, 3, 1, Padding::symmetric), {kUp}, 20);
  check_everywhere(make_conv(1, 18, 17, 66, 70, 3, 1, 2, Padding::same), {kLeaky}, 21);
}

TEST_CASE("conv2d kernels: sums that blocks share", "[conv2d][emulator]") {
  // A few pixels, many products: fprop and dgrad are split; many pixels, few weights: wgrad is.
  for (const auto& conv :
       {make_conv(1, 4, 4, 40, 24, 3, 3, 1, Padding::symmetric),
        make_conv(1, 16, 17, 5, 8, 3, 3, 1, Padding::symmetric), make_conv(1, 5, 4, 24, 40, 5, 5, 2, Padding::same)}) {
    const ConvWorkspace sizes = conv2d_workspace(conv, kUp, Stream{Device::emulator});
    CHECK(sizes.fprop + sizes.dgrad + sizes.wgrad > 0);
    check_everywhere(conv, {kUp}, 40);
  }
}

TEST_CASE("conv2d kernels: from at most four channels", "[conv2d][emulator]") {
  check_everywhere(make_conv(1, 23, 25, 3, 20, 5, 5, 2, Padding::same), {kUp, kLeaky, kCosineShuffle},
                   110);  // two tiles of pixels
  check_everywhere(make_conv(2, 9, 8, 4, 70, 3, 5, 1, Padding::symmetric), {kSigmoid, kCosine},
                   111);  // two of channels
  check_everywhere(make_conv(3, 11, 10, 1, 9, 1, 1, 2, Padding::none), {kPlain}, 112);
  check_everywhere(make_conv(1, 6, 5, 2, 24, 7, 7, 1, Padding::same), {kLeaky}, 113);
  Conv2d conv = make_conv(1, 12, 13, 3, 10, 5, 3, 2, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_everywhere(conv, {kLeaky}, 114);
}

TEST_CASE("conv2d kernels: to at most four channels", "[conv2d][emulator]") {
  check_everywhere(make_conv(1, 9, 17, 72, 3, 5, 5, 1, Padding::symmetric), {kSigmoid, kCosine}, 104);
  check_everywhere(make_conv(2, 8, 9, 16, 4, 3, 3, 1, Padding::same), {kUp, kPlain}, 105);
  check_everywhere(make_conv(1, 9, 8, 8, 1, 1, 1, 1, Padding::none), {kSigmoid}, 106);
  check_everywhere(make_conv(1, 9, 35, 11, 3, 5, 5, 1, Padding::symmetric), {kSigmoid, kPlain, kCosine}, 100);
  check_everywhere(make_conv(2, 17, 8, 8, 4, 3, 5, 1, Padding::same), {kUp}, 101);
  check_everywhere(make_conv(1, 18, 12, 20, 1, 1, 1, 1, Padding::none), {kSigmoid}, 102);
  check_everywhere(make_conv(1, 17, 16, 2, 1, 3, 3, 1, Padding::same), {kSigmoid}, 108);  // fewer than a vector's four
  check_everywhere(make_conv(1, 8, 20, 16, 3, 3, 5, 1, Padding::same), {kSigmoid}, 111);  // to the edge of a tile
  check_everywhere(make_conv(1, 9, 8, 5, 2, 7, 3, 1, Padding::same), {kSigmoid}, 109);    // filters that are too large
  check_everywhere(make_conv(1, 9, 8, 5, 2, 3, 7, 1, Padding::same), {kSigmoid}, 110);
  Conv2d conv = make_conv(1, 12, 13, 5, 2, 5, 3, 1, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_everywhere(conv, {kLeaky}, 103);
  conv.c = 16;  // on tensor cores
  check_everywhere(conv, {kLeaky}, 107);
}

TEST_CASE("conv2d kernels: from few channels, more rectangles than blocks, and sums in parts", "[conv2d][emulator]") {
  const auto check = [](const Conv2d& conv, const std::vector<Epilogue>& epilogues, uint64_t seed) {
    CHECK(conv2d_workspace(conv, {}, Stream{Device::emulator}).wgrad > 0);
    check_everywhere(conv, epilogues, seed);
  };
  check(make_conv(2, 65, 66, 3, 16, 5, 5, 2, Padding::same), {kUp, kLeaky}, 115);
  check(make_conv(1, 34, 50, 8, 3, 3, 3, 1, Padding::symmetric), {kPlain}, 116);  // dgrad and wgrad by the mirror
  check(make_conv(1, 40, 33, 4, 40, 1, 1, 1, Padding::none), {kSigmoid}, 117);
}

TEST_CASE("conv2d kernels: to at most four channels, in bands of rows and segments of columns", "[conv2d][emulator]") {
  check_everywhere(make_conv(1, 25, 70, 8, 3, 5, 5, 1, Padding::symmetric), {kSigmoid}, 120);
  check_everywhere(make_conv(1, 8, 77, 16, 1, 3, 5, 1, Padding::none), {kPlain}, 121);
  check_everywhere(make_conv(1, 10, 31, 136, 2, 3, 3, 1, Padding::symmetric), {kLeaky}, 122);  // chunks of channels
  check_everywhere(make_conv(1, 9, 29, 72, 4, 1, 1, 1, Padding::none), {kUp}, 123);
  check_everywhere(make_conv(1, 8, 10, 264, 3, 1, 1, 1, Padding::none), {kPlain}, 124);  // too many for this kernel
}

TEST_CASE("conv2d kernels: from and to few channels, what is not finite reaches the outputs that read it",
          "[conv2d][emulator]") {
  const auto check = [](Conv2d conv, int row, int column, int outputs) {
    conv.type = conv.out_type = DType::bf16;
    INFO(describe(conv, kPlain));
    const auto check_on = [&](Stream stream) {
      ConvRun run(conv, kPlain, 130, stream);
      run.x.set((int64_t(row) * conv.w + column) * conv.c + conv.c - 1, double(NAN));
      run.fprop();
      int spoilt = 0;
      for (int64_t i = 0; i < run.y.count(); ++i) spoilt += !std::isfinite(run.y[i]);
      CHECK(spoilt == outputs * conv.k);
    };
    on_emulator(emulator::Order::forward, check_on);
    on_card(check_on);
  };
  check(make_conv(1, 20, 37, 3, 8, 5, 5, 1, Padding::symmetric), 9, 20, 25);
  check(make_conv(1, 20, 37, 3, 8, 5, 5, 1, Padding::symmetric), 0, 36, 9);
  check(make_conv(1, 20, 37, 3, 8, 5, 5, 2, Padding::symmetric), 8, 20, 9);  // from even rows and columns 3 x 3 see it
  check(make_conv(1, 20, 70, 16, 3, 5, 5, 1, Padding::symmetric), 9, 62, 25);
  check(make_conv(1, 20, 37, 40, 3, 5, 5, 1, Padding::symmetric), 19, 36, 9);
}

TEST_CASE("conv2d kernels: every run and order gives the same bits", "[conv2d][emulator]") {
  const auto same_bits = [](const ConvRun& first, const ConvRun& second) {
    CHECK(first.y.same_bits(second.y));
    CHECK(first.dz.same_bits(second.dz));
    CHECK(first.db.same_bits(second.db));
    CHECK(first.dx.same_bits(second.dx));
    CHECK(first.dw.same_bits(second.dw));
  };
  const auto run = [](const Conv2d& conv, const Epilogue& epilogue, Stream stream) {
    auto made = std::make_unique<ConvRun>(conv, epilogue, 60, stream);
    made->all();
    return made;
  };
  const auto check = [&](const Conv2d& conv, const Epilogue& epilogue) {
    INFO(describe(conv, epilogue));
    const auto first = run(conv, epilogue, Stream{Device::emulator});
    on_emulator([&](Stream stream) { same_bits(*first, *run(conv, epilogue, stream)); });
    on_card([&](Stream stream) { same_bits(*run(conv, epilogue, stream), *run(conv, epilogue, stream)); });
  };
  const auto check_types = [&](Conv2d conv, const Epilogue& epilogue) {
    for (const DType type : {DType::f32, DType::bf16}) {
      conv.type = conv.out_type = type;
      check(conv, epilogue);
    }
  };
  check_types(make_conv(2, 13, 11, 12, 20, 3, 3, 2, Padding::same), kUp);
  check_types(make_conv(1, 17, 16, 8, 3, 5, 5, 1, Padding::same), kSigmoid);
  check_types(make_conv(1, 33, 31, 3, 8, 5, 5, 2, Padding::same), kLeaky);
}

TEST_CASE("conv2d kernels: pointers that fit no vector give the same bits", "[conv2d][emulator]") {
  const auto check_pointers = [](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (Conv2d conv :
           {make_conv(1, 5, 6, 12, 8, 3, 3, 1, Padding::same), make_conv(1, 9, 10, 8, 4, 3, 3, 1, Padding::same)}) {
        conv.type = conv.out_type = type;
        ConvRun run(conv, kUp, 70, stream);
        run.all();
        Buffer workspace(
            DType::u8,
            int64_t(std::max({run.sizes.fprop, run.sizes.backward_epilogue, run.sizes.dgrad, run.sizes.wgrad})));
        void* const p = workspace.data();
        Misaligned x(run.x), w(run.w), b(run.b), y(run.y), dy(run.dy), dz(run.dz), db(run.db), dx(run.dx), dw(run.dw);
        const auto f32 = [](Misaligned& m) { return reinterpret_cast<float*>(m.data()); };
        const auto spoil = [](Misaligned& m, const Buffer& like) { std::memset(m.data(), 0xFF, size_t(like.bytes())); };
        spoil(y, run.y), spoil(dz, run.dz), spoil(db, run.db), spoil(dx, run.dx), spoil(dw, run.dw);
        conv2d_fprop(y.data(), x.data(), w.data(), f32(b), conv, kUp, p, stream);
        conv2d_backward_epilogue(dz.data(), f32(db), dy.data(), y.data(), conv, kUp, p, stream);
        conv2d_dgrad(dx.data(), dz.data(), w.data(), conv, p, stream);
        conv2d_wgrad(f32(dw), x.data(), dz.data(), conv, p, stream);
        CHECK(y.same_bits(run.y));
        CHECK(dz.same_bits(run.dz));
        // Two tensors, of which one fits vectors and the other does not.
        for (const bool first : {true, false}) {
          spoil(y, run.y), spoil(dx, run.dx), spoil(dw, run.dw);
          conv2d_fprop(y.data(), first ? run.x.data() : x.data(), first ? w.data() : run.w.data(), f32(b), conv, kUp, p,
                       stream);
          conv2d_dgrad(dx.data(), first ? run.dz.data() : dz.data(), first ? w.data() : run.w.data(), conv, p, stream);
          conv2d_wgrad(f32(dw), first ? run.x.data() : x.data(), first ? dz.data() : run.dz.data(), conv, p, stream);
          CHECK(y.same_bits(run.y));
          CHECK(dx.same_bits(run.dx));
          CHECK(dw.same_bits(run.dw));
        }
        ConvRun two(conv, kCosine, 70, stream);
        two.all();
        Misaligned z(two.z);
        spoil(z, two.z);
        Buffer whole(type, two.y.count());
        Buffer more(DType::u8, int64_t(two.sizes.fprop));
        conv2d_fprop(whole.data(), two.x.data(), two.w.data(), two.b.f32(), conv, kCosine, more.data(), stream,
                     z.data());
        CHECK(whole.same_bits(two.y));
        CHECK(z.same_bits(two.z));
        CHECK_THROWS_WITH(
            conv2d_fprop(whole.data(), two.x.data(), two.w.data(), two.b.f32(), conv, kCosine, more.data(), stream),
            Catch::Contains("memory for z"));
        CHECK(db.same_bits(run.db));
        CHECK(dx.same_bits(run.dx));
        CHECK(dw.same_bits(run.dw));
      }
  };
  on_emulator(emulator::Order::forward, check_pointers);
  on_card(check_pointers);
}
