// The pixel shuffle is a permutation: exact in both directions.
#include "kernels/pixel_shuffle.h"

#include "kernels/derivative.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

TEST_CASE("pixel shuffle moves every element to its place", "[pixel_shuffle][emulator]") {
  on_backends([](Stream stream) {
    const int shapes[][4] = {{1, 1, 1, 1}, {1, 2, 3, 1},  {2, 3, 5, 3}, {1, 4, 4, 16},
                             {3, 7, 2, 5}, {2, 8, 8, 17}, {1, 1, 9, 4}, {5, 13, 1, 2}};
    for (const auto& [n, h, w, c] : shapes)
      for (const DType type : {DType::f32, DType::bf16}) {
        INFO("small [" << n << "," << h << "," << w << "," << 4 * c << "] " << name_of(type));
        const PixelShuffle p{n, h, w, c, type};
        const int64_t count = int64_t(n) * h * w * 4 * c;
        const Buffer x(type, uniform(1, count));
        Buffer y(type, count), back(type, count);
        const Doubles exact(size_t(count), 0.0);
        pixel_shuffle_forward(y.data(), x.data(), p, stream);
        CHECK(mismatch(y, reference::pixel_shuffle(p, x.values()), exact) == "");
        pixel_shuffle_backward(back.data(), y.data(), p, stream);
        CHECK(mismatch(back, x.values(), exact) == "");
        CHECK(back.same_bits(x));
      }
  });
}

TEST_CASE("pixel shuffle does not depend on alignment", "[pixel_shuffle][emulator]") {
  on_backends([](Stream stream) {
    const PixelShuffle shape{2, 3, 5, 16, DType::u8};
    const int64_t count = 2 * 3 * 5 * 64;
    const Doubles exact(size_t(count), 0.0);
    for (const DType type : {DType::u8, DType::bf16, DType::f32})
      for (const auto& [from, to] : {std::pair{0, 1}, std::pair{1, 0}, std::pair{2, 4}, std::pair{4, 8}}) {
        INFO(name_of(type) << " shifted by " << from << " and " << to);
        PixelShuffle p = shape;
        p.type = type;
        Doubles values = uniform(1, count, 0, 255);
        for (double& v : values) v = std::floor(v);
        const Buffer x(type, values, from);
        Buffer y(type, count, to), back(type, count, from);
        pixel_shuffle_forward(y.data(), x.data(), p, stream);
        CHECK(mismatch(y, reference::pixel_shuffle(p, values), exact) == "");
        pixel_shuffle_backward(back.data(), y.data(), p, stream);
        CHECK(mismatch(back, values, exact) == "");
      }
  });
}

TEST_CASE("pixel shuffle: a worked example in the order (i, j, c)", "[pixel_shuffle][emulator]") {
  on_backends([](Stream stream) {
    // One pixel of 8 channels, two large channels: (0,0), (0,1), (1,0), (1,1).
    const Buffer x(DType::f32, Doubles{0, 1, 10, 11, 20, 21, 30, 31});
    Buffer y(DType::f32, 8);
    pixel_shuffle_forward(y.data(), x.data(), {1, 1, 1, 2, DType::f32}, stream);
    CHECK(y.values() == Doubles{0, 1, 10, 11, 20, 21, 30, 31});
    // Two pixels side by side: the rows of the large picture take turns between them.
    const Buffer wide(DType::f32, Doubles{0, 1, 2, 3, 4, 5, 6, 7});
    pixel_shuffle_forward(y.data(), wide.data(), {1, 1, 2, 1, DType::f32}, stream);
    CHECK(y.values() == Doubles{0, 1, 4, 5, 2, 3, 6, 7});
  });
}

TEST_CASE("pixel shuffle keeps NaN bits and gives the same bits on every thread count", "[pixel_shuffle][emulator]") {
  on_backends([](Stream stream) {
    const PixelShuffle p{2, 9, 7, 3, DType::bf16};
    const int64_t count = 2 * 9 * 7 * 12;
    Buffer x(DType::bf16, uniform(1, count)), y(DType::bf16, count);
    x.set(100, double(NAN));
    pixel_shuffle_forward(y.data(), x.data(), p, stream);
    for (const int threads : {1, 2, 3}) {
      Buffer again(DType::bf16, count), back(DType::bf16, count);
      with_threads(threads, [&] {
        pixel_shuffle_forward(again.data(), x.data(), p, stream);
        pixel_shuffle_backward(back.data(), again.data(), p, stream);
      });
      CHECK(again.same_bits(y));
      CHECK(back.same_bits(x));
    }
  });
}

TEST_CASE("pixel shuffle's gradient agrees with finite differences", "[pixel_shuffle][emulator]") {
  on_backends(emulator::Order::reverse, [](Stream stream) {
    const PixelShuffle p{2, 3, 5, 3, DType::f32};
    const int64_t count = 2 * 3 * 5 * 12;
    Buffer x(DType::f32, uniform(1, count)), dy(DType::f32, uniform(2, count)), y(DType::f32, count),
        dx(DType::f32, count);
    pixel_shuffle_backward(dx.data(), dy.data(), p, stream);
    check_derivative(x, y, dy.values(), dx, 3, [&] { pixel_shuffle_forward(y.data(), x.data(), p, stream); });
  });
}
