// Convolution against the double-precision reference, over shapes, types and epilogues: on the CPU, on the card if
// there is one, and small shapes on the emulator. (test_conv2d_emulator.cc has what only the CUDA kernels have.)
#include "kernels/conv_checks.h"

using namespace doppel;
using namespace doppel::testing;

TEST_CASE("conv2d: minimal shapes", "[conv2d][emulator]") {
  check_everywhere(make_conv(1, 1, 1, 1, 1, 1, 1, 1, Padding::none), kAll, 1);
  check_everywhere(make_conv(1, 1, 1, 1, 4, 1, 1, 2, Padding::none), kAll, 2);
  check_everywhere(make_conv(1, 1, 1, 3, 4, 5, 5, 2, Padding::same), kAll, 3);  // the filter is larger than the picture
  check_everywhere(make_conv(1, 2, 2, 3, 4, 5, 5, 1, Padding::symmetric), kAll, 4);
  check_everywhere(make_conv(1, 3, 3, 16, 3, 3, 3, 1, Padding::none), kAll, 5);  // one output pixel
  check_everywhere(make_conv(1, 3, 3, 16, 5, 3, 3, 1, Padding::none), kAll, 6);
}

TEST_CASE("conv2d: odd shapes", "[conv2d][emulator]") {
  check_everywhere(make_conv(1, 7, 11, 5, 12, 3, 3, 1, Padding::same), {kUp, kSigmoid}, 10);
  check_everywhere(make_conv(2, 9, 7, 17, 6, 5, 5, 2, Padding::same), {kLeaky}, 11);
  check_everywhere(make_conv(3, 5, 6, 16, 16, 1, 1, 1, Padding::none), {kShuffle, kSigmoidShuffle}, 12);
  check_everywhere(make_conv(1, 7, 4, 8, 20, 1, 1, 2, Padding::symmetric), {kPlain}, 13);  // phases without a tap
  check_everywhere(make_conv(5, 6, 5, 33, 13, 5, 1, 2, Padding::symmetric), {kLeaky}, 14);
  check_everywhere(make_conv(1, 9, 8, 6, 8, 3, 7, 1, Padding::symmetric), {kSigmoid}, 15);
}

TEST_CASE("conv2d: odd and prime shapes with every stride, padding and epilogue", "[conv2d]") {
  uint64_t seed = 20;
  for (const int stride : {1, 2})
    for (const Padding padding : {Padding::same, Padding::symmetric, Padding::none}) {
      check_fast(make_conv(1, 7, 11, 5, 12, 3, 3, stride, padding), kAll, ++seed);
      check_fast(make_conv(2, 9, 7, 17, 3, 5, 5, stride, padding), kAll, ++seed);
      check_fast(make_conv(3, 8, 8, 16, 16, 1, 1, stride, padding), kAll, ++seed);
      check_fast(make_conv(1, 9, 8, 3, 20, 7, 7, stride, padding), kAll, ++seed);
      check_fast(make_conv(2, 5, 6, 1, 1, 3, 5, stride, padding), kAll, ++seed);
      check_fast(make_conv(5, 6, 5, 33, 13, 5, 1, stride, padding), kAll, ++seed);
    }
}

TEST_CASE("conv2d: unequal paddings", "[conv2d][emulator]") {
  Conv2d conv = make_conv(2, 6, 7, 5, 8, 5, 3, 1, Padding::none);
  conv.pad_top = 4, conv.pad_bottom = 1, conv.pad_left = 0, conv.pad_right = 2;
  check_everywhere(conv, kAll, 60);
  conv.stride = 2;
  check_everywhere(conv, kAll, 61);
}

TEST_CASE("conv2d: the first autoencoder's layers at a 32nd of the width", "[conv2d][emulator]") {
  uint64_t seed = 70;
  for (const Layer& layer : first_autoencoder(4, 16)) check_everywhere(layer.conv, {layer.epilogue}, ++seed);
}

TEST_CASE("conv2d: the first autoencoder's layers at an eighth of the width", "[conv2d]") {
  uint64_t seed = 80;
  for (const Layer& layer : first_autoencoder(16, 64)) check_fast(layer.conv, {layer.epilogue}, ++seed);
}

TEST_CASE("conv2d: SAME padding is TensorFlow's", "[conv2d]") {
  for (const int size : {1, 2, 3, 4, 5, 6, 7, 8, 9, 63, 64})
    for (const int filter : {1, 3, 5, 7})
      for (const int stride : {1, 2}) {
        const Conv2d v = make_conv(1, size, size + 1, 1, 1, filter, filter, stride, Padding::same);
        INFO(describe(v, {}));
        CHECK(v.out_h() == (size + stride - 1) / stride);
        CHECK(v.out_w() == (size + stride) / stride);
        CHECK((v.pad_bottom == v.pad_top || v.pad_bottom == v.pad_top + 1));
        CHECK((v.pad_right == v.pad_left || v.pad_right == v.pad_left + 1));
        CHECK_NOTHROW(check(v, {}));
      }
  const Conv2d v = make_conv(1, 64, 64, 3, 8, 5, 5, 2, Padding::same);
  CHECK(v.pad_top == 1);
  CHECK(v.pad_bottom == 2);
}

TEST_CASE("conv2d: shapes it does not promise are refused", "[conv2d]") {
  const Conv2d good = make_conv(2, 8, 8, 3, 8, 3, 3, 1, Padding::symmetric);
  CHECK_NOTHROW(check(good, kUp));
  const auto refused = [&](auto&& spoil) {
    Conv2d bad = good;
    spoil(bad);
    try {
      check(bad, {});
    } catch (const std::exception&) {
      return true;
    }
    return false;
  };
  CHECK(refused([](Conv2d& v) { v.r = 4; }));
  CHECK(refused([](Conv2d& v) { v.s = 2; }));
  CHECK(refused([](Conv2d& v) { v.n = 0; }));
  CHECK(refused([](Conv2d& v) { v.c = 0; }));
  CHECK(refused([](Conv2d& v) { v.k = -1; }));
  CHECK(refused([](Conv2d& v) { v.stride = 3; }));
  CHECK(refused([](Conv2d& v) { v.stride = 0; }));
  CHECK(refused([](Conv2d& v) { v.pad_top = 3; }));
  CHECK(refused([](Conv2d& v) { v.pad_right = 3; }));
  CHECK(refused([](Conv2d& v) { v.pad_left = -1; }));
  CHECK(refused([](Conv2d& v) { v.h = 1, v.pad_top = v.pad_bottom = 0; }));  // empty output
  CHECK(refused([](Conv2d& v) { v.type = DType::u8; }));
  Conv2d five = good;
  five.k = 5;
  CHECK_NOTHROW(check(five, kLeaky));
  CHECK_THROWS_AS(check(five, kUp), std::exception);
}

TEST_CASE("conv2d: every run gives the same bits, and the bias gradient on every thread count", "[conv2d]") {
  Conv2d conv = make_conv(3, 13, 11, 16, 20, 3, 3, 1, Padding::same);
  for (const DType type : {DType::f32, DType::bf16}) {
    conv.type = conv.out_type = type;
    ConvRun first(conv, kUp, 80), second(conv, kUp, 80);
    first.all();
    second.all();
    CHECK(first.y.same_bits(second.y));
    CHECK(first.dz.same_bits(second.dz));
    CHECK(first.db.same_bits(second.db));
    CHECK(first.dx.same_bits(second.dx));
    CHECK(first.dw.same_bits(second.dw));
    for (const int threads : {1, 2, 3, 5}) {
      INFO(threads << " threads");
      with_threads(threads, [&] { second.backward_epilogue(); });
      CHECK(first.dz.same_bits(second.dz));
      CHECK(first.db.same_bits(second.db));
    }
  }
}

TEST_CASE("conv2d: a value that is not finite reaches the outputs that read it", "[conv2d][emulator]") {
  Conv2d conv = make_conv(1, 9, 9, 16, 8, 3, 3, 1, Padding::same);
  for (const DType type : {DType::f32, DType::bf16})
    for (const Epilogue& epilogue : {kPlain, kLeaky, kSigmoid, kUp}) {
      conv.type = conv.out_type = type;
      INFO(describe(conv, epilogue));
      on_backends([&](Stream stream) {
        ConvRun run(conv, epilogue, 90, stream);
        run.x.set((4 * 9 + 4) * 16 + 3, double(NAN));
        run.fprop();
        int spoilt = 0;
        for (int64_t i = 0; i < run.y.count(); ++i) spoilt += !std::isfinite(run.y[i]);
        CHECK(spoilt == 9 * 8);  // 3 x 3 pixels, all channels
      });
    }
}
