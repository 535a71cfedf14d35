// The CUDA kernels of convolution on the emulator and on the card, on small shapes: every launcher against the
// double-precision reference.
#include <memory>

#include "kernels/conv_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// Each type in another of the emulator's orders: that the orders give the same bits is a test of its own.
void check_kernels(const Conv2d& conv, const std::vector<Epilogue>& epilogues, uint64_t seed) {
  int order = 0;
  for (const Conv2d& typed : in_all_types(conv))
    on_emulator(emulator::Order(order++ % 3), [&](Stream s) { check_epilogues(typed, epilogues, seed, s); });
  on_card([&](Stream stream) { check_conv(conv, epilogues, seed, stream); });
}

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

TEST_CASE("conv2d kernels: minimal shapes", "[conv2d][emulator]") {
  check_kernels(make_conv(1, 1, 1, 1, 1, 1, 1, 1, Padding::none), {kPlain, kSigmoid}, 1);
  check_kernels(make_conv(1, 1, 1, 1, 4, 1, 1, 2, Padding::none), {kUp}, 2);
  check_kernels(make_conv(1, 1, 1, 3, 4, 5, 5, 2, Padding::same), {kLeaky}, 3);   // the filter exceeds the picture
  check_kernels(make_conv(1, 3, 3, 16, 5, 3, 3, 1, Padding::none), {kLeaky}, 4);  // one output pixel
}

TEST_CASE("conv2d kernels: odd shapes", "[conv2d][emulator]") {
  check_kernels(make_conv(1, 7, 11, 5, 12, 3, 3, 1, Padding::same), {kUp, kSigmoid}, 10);
  check_kernels(make_conv(2, 9, 7, 17, 6, 5, 5, 2, Padding::same), {kLeaky}, 11);
  check_kernels(make_conv(3, 5, 6, 16, 16, 1, 1, 1, Padding::none), {kShuffle, kSigmoidShuffle}, 12);
  check_kernels(make_conv(1, 7, 4, 8, 20, 1, 1, 2, Padding::symmetric), {kPlain}, 13);  // phases without a tap
  check_kernels(make_conv(5, 6, 5, 33, 13, 5, 1, 2, Padding::symmetric), {kLeaky}, 14);
  check_kernels(make_conv(1, 9, 8, 6, 8, 3, 7, 1, Padding::symmetric), {kSigmoid}, 15);
}

TEST_CASE("conv2d kernels: several tiles each way", "[conv2d][emulator]") {
  check_kernels(make_conv(2, 7, 9, 68, 72, 3, 3, 1, Padding::symmetric), {kUp}, 20);
  check_kernels(make_conv(1, 18, 17, 66, 70, 3, 1, 2, Padding::same), {kLeaky}, 21);
}

TEST_CASE("conv2d kernels: unequal paddings", "[conv2d][emulator]") {
  Conv2d conv = make_conv(2, 6, 7, 5, 8, 5, 3, 1, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_kernels(conv, {kLeaky}, 30);
  conv.stride = 2;
  check_kernels(conv, {kLeaky}, 31);
}

TEST_CASE("conv2d kernels: sums that blocks share", "[conv2d][emulator]") {
  // A few pixels, many products: fprop and dgrad are split; many pixels, few weights: wgrad is.
  for (const auto& conv :
       {make_conv(1, 4, 4, 40, 24, 3, 3, 1, Padding::symmetric),
        make_conv(1, 16, 17, 5, 8, 3, 3, 1, Padding::symmetric), make_conv(1, 5, 4, 24, 40, 5, 5, 2, Padding::same)}) {
    const ConvWorkspace sizes = conv2d_workspace(conv, kUp, Stream{Device::emulator});
    CHECK(sizes.fprop + sizes.dgrad + sizes.wgrad > 0);
    check_kernels(conv, {kUp}, 40);
  }
}

TEST_CASE("conv2d kernels: the first autoencoder's layers at a 32nd of the width", "[conv2d][emulator]") {
  const Padding same = Padding::same, symmetric = Padding::symmetric;
  check_kernels(make_conv(1, 12, 12, 3, 4, 5, 5, 2, same), {kLeaky}, 50);
  check_kernels(make_conv(1, 8, 8, 4, 8, 5, 5, 2, same), {kLeaky}, 51);
  check_kernels(make_conv(2, 6, 6, 8, 16, 5, 5, 2, same), {kLeaky}, 52);
  check_kernels(make_conv(2, 4, 4, 16, 32, 5, 5, 2, same), {kLeaky}, 53);
  check_kernels(make_conv(2, 2, 2, 32, 64, 3, 3, 1, symmetric), {kUp}, 54);
  check_kernels(make_conv(1, 4, 4, 16, 32, 3, 3, 1, symmetric), {kUp}, 55);
  check_kernels(make_conv(1, 6, 6, 8, 16, 3, 3, 1, symmetric), {kUp}, 56);
  check_kernels(make_conv(1, 8, 8, 4, 8, 3, 3, 1, symmetric), {kUp}, 57);
  check_kernels(make_conv(1, 12, 12, 2, 3, 5, 5, 1, symmetric), {kSigmoid}, 58);
}

TEST_CASE("conv2d kernels: from at most four channels", "[conv2d][emulator]") {
  check_kernels(make_conv(1, 23, 25, 3, 20, 5, 5, 2, Padding::same), {kUp, kLeaky}, 110);  // two tiles of pixels
  check_kernels(make_conv(2, 9, 8, 4, 70, 3, 5, 1, Padding::symmetric), {kSigmoid}, 111);  // two of channels
  check_kernels(make_conv(3, 11, 10, 1, 9, 1, 1, 2, Padding::none), {kPlain}, 112);
  check_kernels(make_conv(1, 6, 5, 2, 24, 7, 7, 1, Padding::same), {kLeaky}, 113);
  Conv2d conv = make_conv(1, 12, 13, 3, 10, 5, 3, 2, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_kernels(conv, {kLeaky}, 114);
}

TEST_CASE("conv2d kernels: to at most four channels", "[conv2d][emulator]") {
  check_kernels(make_conv(1, 9, 17, 72, 3, 5, 5, 1, Padding::symmetric), {kSigmoid}, 104);
  check_kernels(make_conv(2, 8, 9, 16, 4, 3, 3, 1, Padding::same), {kUp, kPlain}, 105);
  check_kernels(make_conv(1, 9, 8, 8, 1, 1, 1, 1, Padding::none), {kSigmoid}, 106);
  check_kernels(make_conv(1, 9, 35, 11, 3, 5, 5, 1, Padding::symmetric), {kSigmoid, kPlain}, 100);
  check_kernels(make_conv(2, 17, 8, 8, 4, 3, 5, 1, Padding::same), {kUp}, 101);
  check_kernels(make_conv(1, 18, 12, 20, 1, 1, 1, 1, Padding::none), {kSigmoid}, 102);
  Conv2d conv = make_conv(1, 12, 13, 5, 2, 5, 3, 1, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_kernels(conv, {kLeaky}, 103);
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
  const Stream stream{Device::emulator};
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
      CHECK(db.same_bits(run.db));
      CHECK(dx.same_bits(run.dx));
      CHECK(dw.same_bits(run.dw));
    }
}

TEST_CASE("conv2d kernels: a value that is not finite reaches the outputs that read it", "[conv2d][emulator]") {
  Conv2d conv = make_conv(1, 9, 9, 16, 8, 3, 3, 1, Padding::same);
  for (const DType type : {DType::f32, DType::bf16})
    for (const Epilogue& epilogue : {kPlain, kSigmoid, kUp}) {
      conv.type = conv.out_type = type;
      INFO(describe(conv, epilogue));
      ConvRun run(conv, epilogue, 90, Stream{Device::emulator});
      run.x.set((4 * 9 + 4) * 16 + 3, double(NAN));
      run.fprop();
      int spoilt = 0;
      for (int64_t i = 0; i < run.y.count(); ++i) spoilt += !std::isfinite(run.y[i]);
      CHECK(spoilt == 9 * 8);  // 3 x 3 pixels, all channels
    }
}
