// kernels/vendor where cuDNN can be used and cuBLASLt cannot (tests/vendor/fake).
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

TEST_CASE("vendor without cuBLASLt: cuDNN is found, and a line says what is left out", "[vendor]") {
  const VendorLibraries& found = vendor_libraries();
  const std::string version = "cuDNN " + std::to_string(fake::kCudnnVersion);
  CHECK(found.cudnn.version == version);
  CHECK(found.cudnn.problem == "");
  CHECK(found.cublaslt.version == "");
  CHECK_THAT(found.cublaslt.problem, Catch::Contains(DOPPEL_FAKE_CUBLASLT " has no cublasLt"));
  CHECK(found.versions() == version);
  CHECK(found.lines() ==
        std::vector<std::string>{"libraries: " + version, "cuBLASLt is left out: " + found.cublaslt.problem});
}

TEST_CASE("vendor without cuBLASLt: convolutions have choices and run", "[vendor]") {
  ConvRun run(make_conv(2, 5, 4, 3, 8, 3, 3, 1, Padding::symmetric), {}, 5, kStream);
  for (const Pass pass : kPasses)
    CHECK(on_vendor::conv2d_choices(run.conv, pass, kStream).size() == std::size(fake::kUsable));
  Buffer workspace(DType::u8, int64_t(on_vendor::conv2d_workspace(run.conv, {}, kStream).fprop));
  on_vendor::conv2d_fprop(run.y.data(), run.x.data(), run.w.data(), run.b.f32(), run.conv, {}, workspace.data(),
                          kStream, nullptr);
  const Doubles want = reference::conv2d_z(run.conv, run.x.values(), run.w.values(), run.b.values());
  CHECK(mismatch(run.y, want, Doubles(want.size(), 1e-5)) == "");
}

TEST_CASE("vendor without cuBLASLt: dense layers have no choice, and none is taken", "[vendor]") {
  const Dense dense{3, 10, 6, DType::f32};
  for (const Pass pass : kPasses) CHECK(on_vendor::dense_choices(dense, pass, kStream).empty());
  CHECK(on_vendor::dense_product_choices(dense).empty());
  const Buffer x(DType::f32, uniform(1, 30)), w(DType::f32, uniform(2, 60));
  Buffer b(DType::f32, uniform(3, 6)), y(DType::f32, 18),
      workspace(DType::u8, int64_t(on_vendor::dense_workspace(dense, kStream).fprop));
  CHECK_THROWS_WITH(on_vendor::dense_fprop(y.data(), x.data(), w.data(), b.f32(), dense, workspace.data(), kStream),
                    Catch::Contains(DOPPEL_FAKE_CUBLASLT " has no cublasLt"));
}
