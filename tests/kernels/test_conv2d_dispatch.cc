// Which kernels the convolution's launchers launch for a shape. Where a slower one gives the same results only this
// shows that the right one was taken; the emulator records the launches and runs nothing.
//
// Without kernels/harness.h: where there is CUDA, its dim3 is not the emulator's.
#include <catch2/catch.hpp>
#include <string>

#include "kernels/conv2d.h"
#include "kernels/emulator/recording.h"

using namespace doppel;

namespace {

Conv2d same_conv(int h, int w, int c, int k, int r, int s, int stride) {
  Conv2d conv{1, h, w, c, k, r, s, stride, 0, 0, 0, 0, DType::f32, DType::f32};
  pad_same(conv);
  return conv;
}

// The names without template arguments, in order. `x_off` bytes into memory that fits every vector lies x.
std::string launched(Conv2d conv, DType type, Pass pass, int x_off = 0) {
  alignas(256) static char memory[512];
  const Stream stream{Device::emulator};
  conv.type = conv.out_type = type;
  float* const sums = reinterpret_cast<float*>(memory);
  const emulator::Recording recording([&] {
    if (pass == Pass::fprop) conv2d_fprop(memory, memory + x_off, memory, sums, conv, {}, memory, stream);
    if (pass == Pass::dgrad) conv2d_dgrad(memory, memory + x_off, memory, conv, memory, stream);
    if (pass == Pass::wgrad) conv2d_wgrad(sums, memory + x_off, memory, conv, memory, stream);
  });
  std::string names;
  for (const emulator::RecordedLaunch& launch : recording.launches())
    names += (names.empty() ? "" : " ") + launch.kernel.substr(0, launch.kernel.find('<'));
  return names;
}

}  // namespace

TEST_CASE("conv2d dispatch: from and to few channels", "[conv2d][emulator]") {
  const Conv2d first = same_conv(16, 16, 3, 16, 5, 5, 2);
  CHECK(launched(first, DType::f32, Pass::fprop) == "gather_kernel");
  CHECK(launched(first, DType::f32, Pass::wgrad) == "wgrad_kernel");
  CHECK(launched(first, DType::bf16, Pass::fprop) == "few_inputs_fprop_kernel");
  CHECK(launched(first, DType::bf16, Pass::dgrad) == "gather_kernel add_kernel");
  CHECK(launched(first, DType::bf16, Pass::wgrad) == "few_inputs_wgrad_kernel");

  const Conv2d last = same_conv(16, 16, 16, 3, 5, 5, 1);
  CHECK(launched(last, DType::f32, Pass::fprop) == "few_outputs_kernel");
  CHECK(launched(last, DType::f32, Pass::dgrad) == "gather_kernel");
  CHECK(launched(last, DType::f32, Pass::wgrad) == "wgrad_kernel add_kernel mirror_kernel");
  CHECK(launched(last, DType::bf16, Pass::fprop) == "few_outputs_mma_kernel");
  CHECK(launched(last, DType::bf16, Pass::dgrad) == "few_inputs_fprop_kernel");
  CHECK(launched(last, DType::bf16, Pass::wgrad) == "few_inputs_wgrad_kernel");
}

TEST_CASE("conv2d dispatch: to few channels, but not on tensor cores", "[conv2d][emulator]") {
  const auto fprop = [](const Conv2d& conv, int x_off = 0) { return launched(conv, DType::bf16, Pass::fprop, x_off); };
  CHECK(fprop(same_conv(16, 16, 16, 3, 5, 5, 1), 4) == "few_outputs_kernel");        // x fits no vector
  CHECK(fprop(same_conv(16, 16, 11, 3, 5, 5, 1)) == "few_outputs_kernel");           // nor do channels
  CHECK(fprop(same_conv(16, 16, 16, 4, 5, 5, 1)) == "few_outputs_kernel");           // 20 of 16 rows
  CHECK(fprop(same_conv(16, 16, 264, 3, 5, 5, 1)) == "few_outputs_kernel");          // more than four warps' channels
  CHECK(fprop(same_conv(16, 16, 16, 3, 7, 3, 1)) == "gather_kernel finish_kernel");  // rows a tile lacks
  CHECK(fprop(same_conv(16, 16, 16, 3, 3, 7, 1)) == "gather_kernel finish_kernel");
  CHECK(fprop(same_conv(7, 9, 16, 3, 5, 5, 1)) == "gather_kernel finish_kernel");  // 63 pixels
  CHECK(fprop(same_conv(8, 8, 16, 3, 5, 5, 1)) == "few_outputs_mma_kernel");
  CHECK(fprop(same_conv(16, 16, 4, 3, 3, 3, 1)) == "few_outputs_kernel");
  CHECK(fprop(same_conv(16, 16, 3, 3, 3, 3, 1)) == "gather_kernel");  // no fewer than there were
}

TEST_CASE("conv2d dispatch: 64 pixels are worth a part of the bias gradient's sum, up to 256 parts",
          "[conv2d][emulator]") {
  const auto parts = [](const Conv2d& conv) {
    return conv2d_workspace(conv, {}, Stream{Device::emulator}).backward_epilogue / (size_t(conv.k) * sizeof(float));
  };
  CHECK(parts(same_conv(7, 9, 16, 8, 3, 3, 1)) == 1);
  CHECK(parts(same_conv(8, 24, 16, 8, 3, 3, 1)) == 3);
  CHECK(parts(same_conv(128, 129, 16, 8, 3, 3, 1)) == 256);
}
