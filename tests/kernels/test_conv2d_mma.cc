// The tensor-core convolution, kernel by kernel: each tile, whole sums and split ones, on shapes whose last tile, last
// step and last unit are not full. The tests of the operator (test_conv2d.cc) take what the plan chooses.
#include "kernels/conv2d_mma.h"

#include "kernels/conv2d_mma_plan.h"
#include "kernels/conv_runner.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr Epilogue kPlain{};
constexpr Epilogue kLeaky{Activation::leaky_relu, 0.1f, false};
constexpr Epilogue kUp{Activation::leaky_relu, 0.1f, true};
constexpr Epilogue kSigmoidUp{Activation::sigmoid, 0, true};

// Every tile, whole and in `splits` parts, while it lives.
struct Forced {
  Forced(MmaTile tile, int splits) { mma_force = {true, {tile, splits}}; }
  ~Forced() { mma_force = {}; }
};

template <typename Body>
void with_plans(std::initializer_list<MmaPlan> plans, Body&& body) {
  for (const MmaPlan& plan : plans) {
    INFO("tile " << int(plan.tile) << " in " << plan.splits << " parts");
    const Forced forced(plan.tile, plan.splits);
    body();
  }
}

constexpr MmaPlan kLarge{MmaTile::large, 1}, kTall{MmaTile::tall, 1}, kSmall{MmaTile::small, 1},
    kLargeSplit{MmaTile::large, 2}, kTallSplit{MmaTile::tall, 3}, kSmallSplit{MmaTile::small, 3};

Conv2d bf16(Conv2d conv, DType out_type = DType::bf16) {
  conv.type = DType::bf16, conv.out_type = out_type;
  return conv;
}

}  // namespace

TEST_CASE("conv2d on tensor cores: fprop on every tile", "[conv2d][mma][emulator]") {
  // 165 pixels, 136 channels out, 40 in: two tiles and a bit each way, a step and a quarter for each tap.
  const Conv2d odd = bf16(make_conv(1, 15, 11, 40, 136, 3, 1, 1, Padding::same));
  with_plans({kLarge, kLargeSplit}, [&] { check_mma_fprop(odd, kLeaky, 1); });
}
