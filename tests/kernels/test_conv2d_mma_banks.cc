// Where the tensor-core convolution keeps its operands in shared memory. A file of its own, since it includes device
// code, whose words CUDA's headers do not take.
#include <algorithm>
#include <catch2/catch.hpp>

#include "kernels/conv2d_ends_plan.h"
#include "kernels/conv2d_mma_tile.h"

// What no result shows: that ldmatrix, which reads a unit of each of 8 rows, and copies, which write 8 units of the
// rows, find them in 8 different places of a line of all banks.
TEST_CASE("conv2d on tensor cores: no two of 8 units lie in the same banks", "[conv2d][mma]") {
  const auto check_units = [](int units, auto offset) {
    const auto lines = [&](auto place) {
      unsigned seen = 0;
      for (int i = 0; i < 8; ++i) seen |= 1u << (place(i) / 16 % 8);
      return seen == 0xFFu;
    };
    for (int row = 0; row < 32; row += 8)
      for (int unit = 0; unit < units; ++unit) CHECK(lines([&](int i) { return offset(row + i, unit); }));
    for (int first = 0; first < 32 * units; first += 8)
      CHECK(lines([&](int i) { return offset((first + i) / units, (first + i) % units); }));
  };
  check_units(4, doppel::on_emulator::unit_offset<4>);
  check_units(8, doppel::on_emulator::unit_offset<8>);
  check_units(16, doppel::on_emulator::unit_offset<16>);
}

// What a load of a fragment of x reads: pairs of channels of 8 neighbouring pixels, of two taps that follow each other.
TEST_CASE("conv2d from few channels: no two lanes read different words of a bank", "[conv2d][mma]") {
  for (const int stride : {1, 2})
    for (const int r : {1, 3, 5, 7})
      for (const int s : {1, 3, 5, 7}) {
        const doppel::Conv2d conv{1, 64, 64, 3, 64, r, s, stride, 0, 0, 0, 0, doppel::DType::bf16, doppel::DType::bf16};
        const int pitch = doppel::FewInputs(conv).patch.pitch;
        INFO(r << " x " << s << ", stride " << stride << ", pitch " << pitch);
        CHECK(pitch >= doppel::FewInputs(conv).patch.width);
        for (int first = 0; first + 1 < r * s; first += 2) {
          int words[32];
          std::fill(words, words + 32, -1);
          for (int lane = 0; lane < 32; ++lane) {
            const int tap = first + lane / 2 % 2, pixel = tap / s * pitch + tap % s + lane / 4 * stride;
            const int word = pixel * 2 + lane % 2;
            CHECK((words[word % 32] == -1 || words[word % 32] == word));
            words[word % 32] = word;
          }
        }
      }
}

// ldmatrix reads 16 bytes of each of 8 pixels: channels of dz, and two taps of x.
TEST_CASE("conv2d from few channels, wgrad: no two of 8 rows lie in the same banks", "[conv2d][mma]") {
  const auto check_rows = [](auto place) {
    unsigned seen = 0;
    for (int i = 0; i < 8; ++i) {
      CHECK(place(i) % 16 == 0);
      seen |= 1u << (place(i) / 16 % 8);
    }
    CHECK(seen == 0xFFu);
  };
  check_rows([](int i) { return i * doppel::FewInputsWgrad::kDzPitch; });
  for (const int filter : {1, 3, 5, 7}) {
    const doppel::Conv2d conv{
        1, 64, 64, 3, 64, filter, filter, 1, 0, 0, 0, 0, doppel::DType::bf16, doppel::DType::bf16};
    const doppel::FewInputsWgrad plan(conv);
    check_rows([&](int i) { return i % 2 * plan.copy_bytes + i / 2 * 16; });
    CHECK(plan.copy_bytes >= plan.patch.rows * plan.patch.pitch * 8);
  }
}

// The launchers ask for nothing of this: that a filter is taken must be enough.
TEST_CASE("conv2d from few channels: all filters that are taken fit a block, and rows of their patches are found",
          "[conv2d][mma]") {
  constexpr size_t kEveryArchitecture = 99 * 1024;  // bytes of shared memory of a block
  const auto check_rows = [](const doppel::Patch& patch) {
    int wrong = 0;
    for (int i = 0; i < patch.pixels(); ++i) wrong += patch.row_of(i) != i / patch.width;
    CHECK(wrong == 0);
  };
  int taken = 0;
  for (const int stride : {1, 2})
    for (int r = 1; r < 129; r += 2)
      for (int s = 1; s < 129; s += 2)
        for (const int k : {32, 64, 128}) {
          const doppel::Conv2d conv{
              1, 128, 128, 4, k, r, s, stride, r / 2, s / 2, r / 2, s / 2, doppel::DType::bf16, doppel::DType::bf16};
          if (!doppel::takes_few_inputs(conv)) continue;
          ++taken;
          INFO(r << " x " << s << ", stride " << stride << ", to " << k);
          const doppel::FewInputs fprop(conv);
          const doppel::FewInputsWgrad wgrad(conv);
          CHECK(fprop.shared(conv) <= kEveryArchitecture);
          CHECK(wgrad.shared() <= kEveryArchitecture);
          check_rows(fprop.patch);
          check_rows(wgrad.patch);
        }
  CHECK(taken > 2 * 3 * 16);  // 5 x 5 is not the largest
}
