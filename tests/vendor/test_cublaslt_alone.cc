// kernels/vendor where cuBLASLt can be used and cuDNN cannot (tests/vendor/fake).
#include "kernels/conv_runner.h"
#include "kernels/dense.h"
#include "kernels/vendor.h"
#include "vendor/fake/fake.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr Stream kStream{Device::emulator};
constexpr Pass kPasses[] = {Pass::fprop, Pass::dgrad, Pass::wgrad};

}  // namespace

TEST_CASE("vendor without cuDNN: cuBLASLt is found, and a line says what is left out", "[vendor]") {
  const VendorLibraries& found = vendor_libraries();
  const std::string version = "cuBLASLt " + std::to_string(fake::kCublasLtVersion);
  CHECK(found.cublaslt.version == version);
  CHECK(found.cublaslt.problem == "");
  CHECK(found.cudnn.version == "");
  CHECK_THAT(found.cudnn.problem, Catch::Contains(DOPPEL_FAKE_CUDNN " has no cudnn"));
  CHECK(found.versions() == version);
  CHECK(found.lines() ==
        std::vector<std::string>{"libraries: " + version, "cuDNN is left out: " + found.cudnn.problem});
}

TEST_CASE("vendor without cuDNN: dense layers have choices and run", "[vendor]") {
  const Dense dense{3, 10, 6, DType::f32};
  for (const Pass pass : kPasses) CHECK(on_vendor::dense_choices(dense, pass, kStream).size() == 3);
  const Buffer x(DType::f32, uniform(1, 30)), w(DType::f32, uniform(2, 60));
  Buffer b(DType::f32, uniform(3, 6)), y(DType::f32, 18),
      workspace(DType::u8, int64_t(on_vendor::dense_workspace(dense, kStream).fprop));
  on_vendor::dense_fprop(y.data(), x.data(), w.data(), b.f32(), dense, workspace.data(), kStream);
  const Doubles want = reference::dense_y(dense, x.values(), w.values(), b.values());
  CHECK(mismatch(y, want, Doubles(want.size(), 1e-5)) == "");
}

TEST_CASE("vendor without cuDNN: convolutions have no choice, and none is taken", "[vendor]") {
  const Conv2d conv = make_conv(2, 5, 4, 3, 8, 3, 3, 1, Padding::symmetric);
  for (const Pass pass : kPasses) CHECK(on_vendor::conv2d_choices(conv, pass, kStream).empty());
  CHECK_THROWS_WITH(on_vendor::conv2d_workspace(conv, {}, kStream), Catch::Contains(DOPPEL_FAKE_CUDNN " has no cudnn"));
}
