// Where the tensor-core convolution keeps its operands in shared memory. A file of its own, since it includes device
// code, whose words CUDA's headers do not take.
#include <catch2/catch.hpp>

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
