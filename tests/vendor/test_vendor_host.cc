// kernels/vendor on the host, with libraries that stand in for the real ones (tests/vendor/fake): everything but what
// cuDNN and cuBLASLt themselves compute. What runs around them, finish() and column_sums(), runs on the emulator.
#include <dlfcn.h>

#include "kernels/conv_checks.h"
#include "kernels/device_error.h"
#include "kernels/vendor.h"
#include "kernels/vendor/library.h"
#include "vendor/fake/fake.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr Stream kStream{Device::emulator};
constexpr Pass kPasses[] = {Pass::fprop, Pass::dgrad, Pass::wgrad};

const fake::Call& last_call(const char* library) {
  void* const handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(handle);
  const void* const call = dlsym(handle, "last_call");
  REQUIRE(call);
  return *static_cast<const fake::Call*>(call);
}
const fake::Call& last_convolution() {
  return last_call(DOPPEL_FAKE_CUDNN);
}
const fake::Call& last_product() {
  return last_call(DOPPEL_FAKE_CUBLASLT);
}

size_t bytes_of(const ConvWorkspace& bytes, Pass pass) {
  return pass == Pass::fprop ? bytes.fprop : pass == Pass::dgrad ? bytes.dgrad : bytes.wgrad;
}

// Runs one pass in a workspace of exactly the size that is asked for.
void run(ConvRun& r, Pass pass) {
  const size_t bytes = bytes_of(on_vendor::conv2d_workspace(r.conv, r.epilogue, kStream), pass);
  Buffer workspace(DType::u8, int64_t(bytes));
  void* const p = workspace.data();
  if (pass == Pass::fprop)
    on_vendor::conv2d_fprop(r.y.data(), r.x.data(), r.w.data(), r.b.f32(), r.conv, r.epilogue, p, kStream, nullptr);
  else if (pass == Pass::dgrad)
    on_vendor::conv2d_dgrad(r.dx.data(), r.dz.data(), r.w.data(), r.conv, p, kStream);
  else
    on_vendor::conv2d_wgrad(r.dw.f32(), r.x.data(), r.dz.data(), r.conv, p, kStream);
  CHECK(workspace.guards_intact());
}

// Of a value that was rounded once more than ours are, to `type`.
Doubles rounded(const Doubles& values, DType type) {
  return scaled(absolute(values), type == DType::bf16 ? 1.01 * unit_roundoff(type) : 4 * kRound);
}
Doubles sum(Doubles a, const Doubles& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

void check_conv(const Conv2d& v, const Epilogue& e) {
  INFO(describe(v, e));
  ConvRun r(v, e, 5, kStream);
  const Doubles x = r.x.values(), w = r.w.values(), b = r.b.values();
  run(r, Pass::fprop);
  // z is rounded before bias and activation.
  const Doubles z = reference::conv2d_z(v, x, w, b), product = reference::conv2d_z(v, x, w, {});
  const Doubles want = reference::conv2d_y(v, e, z);
  Doubles allowed = scaled(rounded(product, v.type), widening(e.activation, 0));
  allowed = reference::conv2d_y(v, {Activation::none, 0, e.shuffle}, allowed);
  for (size_t i = 0; i < want.size(); ++i)
    allowed[i] += (std::abs(want[i]) + 1) * 8 * kRound + std::abs(want[i]) * 1.01 * unit_roundoff(v.out_type);
  CHECK(mismatch(r.y, want, allowed) == "");

  const Buffer dz(v.type, uniform(9, r.dz.count()));
  for (int64_t i = 0; i < dz.count(); ++i) r.dz.set(i, dz[i]);
  run(r, Pass::dgrad);
  const Doubles dx = reference::conv2d_dx(v, dz.values(), w);
  CHECK(mismatch(r.dx, dx, rounded(dx, v.type)) == "");
  run(r, Pass::wgrad);
  const Doubles dw = reference::conv2d_dw(v, x, dz.values());
  CHECK(mismatch(r.dw, dw, rounded(dw, v.type)) == "");
}

// A layer that cuDNN knows as it is, and one with odd padding.
Conv2d plain(DType type) {
  Conv2d conv = make_conv(2, 5, 4, 3, 8, 3, 3, 1, Padding::symmetric);
  conv.type = conv.out_type = type;
  return conv;
}
Conv2d padded(DType type) {
  Conv2d conv = make_conv(2, 6, 8, 3, 4, 5, 5, 2, Padding::same);
  conv.type = conv.out_type = type;
  return conv;
}

std::vector<KernelChoice> usable() {
  std::vector<KernelChoice> choices;
  for (const int algorithm : fake::kUsable) choices.push_back({KernelKind::vendor, 1, 1 + algorithm});
  return choices;
}

}  // namespace

TEST_CASE("vendor: the libraries are found and say their versions", "[vendor]") {
  const VendorLibraries& found = vendor_libraries();
  REQUIRE(found.cudnn.problem + found.cublaslt.problem == "");
  const std::string both =
      "cuDNN " + std::to_string(fake::kCudnnVersion) + ", cuBLASLt " + std::to_string(fake::kCublasLtVersion);
  CHECK(found.versions() == both);
  CHECK(found.lines() == std::vector<std::string>{"libraries: " + both});
}

TEST_CASE("vendor: convolutions agree with the reference", "[vendor]") {
  for (const DType type : {DType::f32, DType::bf16})
    for (const Conv2d& conv : {plain(type), padded(type)})
      for (const Epilogue& epilogue : {kPlain, kLeaky, kSigmoid, kUp}) check_conv(conv, epilogue);
  Conv2d last = plain(DType::bf16);
  last.out_type = DType::f32;
  check_conv(last, kSigmoid);
  // Padding above alone: no output sees the last row and column, and the padded picture ends before them.
  Conv2d cut = make_conv(1, 5, 5, 2, 3, 3, 3, 2, Padding::none);
  cut.pad_top = cut.pad_left = 1;
  check_conv(cut, kPlain);
}

TEST_CASE("vendor: cuDNN's algorithms that work, fit and repeat themselves can be chosen", "[vendor]") {
  for (const DType type : {DType::f32, DType::bf16})
    for (const Conv2d& shape : {plain(type), padded(type)})
      for (const Pass pass : kPasses) {
        const std::vector<KernelChoice> choices = on_vendor::conv2d_choices(shape, pass, kStream);
        REQUIRE(choices == usable());
        size_t least = 0;
        for (const KernelChoice& choice : choices) {
          Conv2d conv = shape;
          conv.kernels[pass] = choice;
          INFO("algorithm " << choice.algorithm << " of " << describe(conv, kPlain));
          // Chosen before or not: the list is the same.
          CHECK(on_vendor::conv2d_choices(conv, pass, kStream) == choices);
          ConvRun r(shape, kPlain, 3, kStream);
          for (int64_t i = 0; i < r.dz.count(); ++i) r.dz.set(i, 1);
          r.conv = conv;
          run(r, pass);
          const fake::Call& call = last_convolution();
          CHECK(call.algorithm == choice.algorithm - 1);
          const auto proposal =
              std::find_if(std::begin(fake::kProposals), std::end(fake::kProposals),
                           [&](const fake::Proposal& p) { return p.algorithm == choice.algorithm - 1; });
          CHECK(call.workspace == proposal->workspace);
          const size_t bytes = bytes_of(on_vendor::conv2d_workspace(conv, kPlain, kStream), pass);
          if (choice == choices.front()) least = bytes - (proposal->workspace + 255) / 256 * 256;
          CHECK(bytes == least + (proposal->workspace + 255) / 256 * 256);
          // fp32 by fp32 arithmetic whatever cuDNN lists, bf16 by what it lists.
          constexpr int kTensorCores = 1, kFma = 3, kDefault = 0;  // cudnnMathType_t
          CHECK(call.math == (type == DType::f32 ? kFma : proposal->tensor_cores ? kTensorCores : kDefault));
        }
      }
}

TEST_CASE("vendor: without a choice it is the first, and each pass obeys its own", "[vendor]") {
  Conv2d conv = plain(DType::bf16);
  ConvRun r(conv, kPlain, 3, kStream);
  for (int64_t i = 0; i < r.dz.count(); ++i) r.dz.set(i, 1);
  const auto algorithm = [&](Pass pass) {
    run(r, pass);
    return last_convolution().algorithm;
  };
  for (const Pass pass : kPasses) CHECK(algorithm(pass) == fake::kUsable[0]);
  r.conv.kernels = {{KernelKind::mma_64x64, 3}, {KernelKind::vendor}, {KernelKind::vendor, 1, 1 + fake::kUsable[2]}};
  CHECK(algorithm(Pass::fprop) == fake::kUsable[0]);
  CHECK(algorithm(Pass::dgrad) == fake::kUsable[0]);
  CHECK(algorithm(Pass::wgrad) == fake::kUsable[2]);
}

TEST_CASE("vendor: what cuDNN does not have is refused", "[vendor]") {
  const Conv2d conv = plain(DType::f32);
  // Numbers are 1 + cuDNN's: another result on every run, not for this shape, too large, one too many, and unknown
  // ones.
  for (const int number : {1 + 3, 1 + 4, 1 + 5, 1 + 2, 9, -1}) {
    INFO(number);
    for (const Pass pass : kPasses) {
      Conv2d chosen = conv;
      chosen.kernels[pass] = {KernelKind::vendor, 1, number};
      CHECK_THROWS_AS(on_vendor::conv2d_workspace(chosen, kPlain, kStream), std::invalid_argument);
    }
  }
  CHECK_NOTHROW(on_vendor::conv2d_workspace(conv, kPlain, kStream));
  // A layer with no dgrad at all still has its other passes.
  Conv2d odd = make_conv(1, 4, 4, 2, fake::kChannelsWithoutDgrad, 3, 3, 1, Padding::symmetric);
  CHECK(on_vendor::conv2d_choices(odd, Pass::dgrad, kStream).empty());
  CHECK(on_vendor::conv2d_choices(odd, Pass::fprop, kStream) == usable());
  ConvRun r(odd, kPlain, 3, kStream);
  for (int64_t i = 0; i < r.dz.count(); ++i) r.dz.set(i, 1);
  CHECK_NOTHROW(run(r, Pass::fprop));
  CHECK_NOTHROW(run(r, Pass::wgrad));
  CHECK_THROWS_WITH(run(r, Pass::dgrad), Catch::Contains("cuDNN has no algorithm for dgrad"));
}

TEST_CASE("vendor: a library's failure and a lost card's are told apart, with call and place", "[vendor]") {
  const auto failing = [] { DOPPEL_CHECK_LIBRARY(CUDNN_STATUS_EXECUTION_FAILED, "a test"); };
  try {
    failing();
    FAIL("nothing was thrown");
  } catch (const DeviceError&) {
    FAIL("the card is well");
  } catch (const std::runtime_error& e) {
    CHECK_THAT(e.what(),
               Catch::Contains("a test: ") && Catch::Contains("CUDNN_STATUS_EXECUTION_FAILED (test_vendor_host.cc:"));
  }
  fake::card_is_lost = true;
  CHECK_THROWS_AS(failing(), DeviceError);
  CHECK_THROWS_WITH(failing(), Catch::Contains("an illegal address"));
  fake::card_is_lost = false;
}

TEST_CASE("vendor: dense layers agree with the reference, by each of cuBLASLt's algorithms", "[vendor]") {
  for (const DType type : {DType::f32, DType::bf16}) {
    const Dense shape{3, 10, 6, type};
    const Buffer x(type, uniform(1, 30)), dy(type, uniform(2, 18)), w(type, uniform(3, 60));
    Buffer b(DType::f32, uniform(4, 6));
    const Doubles y = reference::dense_y(shape, x.values(), w.values(), b.values()),
                  dx = reference::dense_dx(shape, dy.values(), w.values()),
                  dw = reference::dense_dw(shape, x.values(), dy.values()),
                  db = reference::dense_db(shape, dy.values());
    // Of four algorithms asked for the second does not work.
    const std::vector<KernelChoice> all{
        {KernelKind::vendor, 1, 1}, {KernelKind::vendor, 1, 2}, {KernelKind::vendor, 1, 3}};
    constexpr int kNumbers[] = {10, 12, 13};
    for (const Pass pass : kPasses) CHECK(on_vendor::dense_choices(shape, pass, kStream) == all);
    for (const KernelChoice& choice : {KernelChoice{}, all[0], all[1], all[2]}) {
      Dense dense = shape;
      dense.kernels = {choice, choice, choice};
      const int number = kNumbers[std::max(choice.algorithm, 1) - 1];
      const DenseWorkspace bytes = on_vendor::dense_workspace(dense, kStream);
      Buffer workspace(DType::u8, int64_t(std::max({bytes.fprop, bytes.dgrad, bytes.wgrad})));
      Buffer got_y(type, 18), got_dx(type, 30), got_dw(DType::f32, 60), got_db(DType::f32, 6);
      on_vendor::dense_fprop(got_y.data(), x.data(), w.data(), b.f32(), dense, workspace.data(), kStream);
      CHECK(last_product().algorithm == number);
      CHECK(last_product().alignment == 16);
      on_vendor::dense_dgrad(got_dx.data(), dy.data(), w.data(), dense, workspace.data(), kStream);
      CHECK(last_product().algorithm == number);
      on_vendor::dense_wgrad(got_dw.f32(), got_db.f32(), x.data(), dy.data(), dense, workspace.data(), kStream);
      CHECK(last_product().algorithm == number);
      CHECK(workspace.guards_intact());
      const auto near = [](const Doubles& v, DType t) { return sum(rounded(v, t), Doubles(v.size(), 16 * kRound)); };
      CHECK(mismatch(got_y, y, near(y, type)) == "");
      CHECK(mismatch(got_dx, dx, near(dx, type)) == "");
      CHECK(mismatch(got_dw, dw, near(dw, DType::f32)) == "");
      CHECK(mismatch(got_db, db, near(db, DType::f32)) == "");
    }
    Dense unknown = shape;
    unknown.kernels.fprop = {KernelKind::vendor, 1, 4};
    Buffer y_unused(type, 18), workspace(DType::u8, int64_t(on_vendor::dense_workspace(shape, kStream).fprop));
    CHECK_THROWS_AS(
        on_vendor::dense_fprop(y_unused.data(), x.data(), w.data(), b.f32(), unknown, workspace.data(), kStream),
        std::invalid_argument);
  }
}

TEST_CASE("vendor: the bare product is rounded once, with nothing before or after it", "[vendor]") {
  for (const DType type : {DType::f32, DType::bf16}) {
    const Dense shape{3, 10, 6, type};
    // Whole allocations begin where cuBLASLt likes them; the tests' buffers do not.
    const auto aligned = [](Buffer& b) {
      return static_cast<char*>(b.data()) + (256 - reinterpret_cast<uintptr_t>(b.data()) % 256) % 256;
    };
    const size_t element = size_of(type);
    Buffer x_room(DType::u8, 1024), w_room(DType::u8, 1024), y_room(DType::u8, 1024),
        workspace(DType::u8, int64_t(on_vendor::dense_product_workspace()));
    const Buffer x(type, uniform(1, 30)), w(type, uniform(3, 60));
    std::memcpy(aligned(x_room), x.data(), 30 * element);
    std::memcpy(aligned(w_room), w.data(), 60 * element);
    const Doubles want = reference::dense_y(shape, x.values(), w.values(), Doubles(6));
    const std::vector<KernelChoice> all = on_vendor::dense_product_choices(shape);
    REQUIRE(all == on_vendor::dense_choices(shape, Pass::fprop, kStream));
    constexpr int kNumbers[] = {10, 12, 13};
    for (const KernelChoice& choice : all) {
      Dense dense = shape;
      dense.kernels.fprop = choice;
      on_vendor::dense_product(aligned(y_room), aligned(x_room), aligned(w_room), dense, workspace.data(), kStream);
      CHECK(last_product().algorithm == kNumbers[choice.algorithm - 1]);
      CHECK(last_product().workspace == on_vendor::dense_product_workspace());
      CHECK(last_product().alignment == 256);
      CHECK(workspace.guards_intact());
      Buffer y(type, 18);
      std::memcpy(y.data(), aligned(y_room), 18 * element);
      CHECK(mismatch(y, want, sum(rounded(want, type), Doubles(18, 16 * kRound))) == "");
    }
    Dense unknown = shape;
    unknown.kernels.fprop = {KernelKind::vendor, 1, 4};
    CHECK_THROWS_AS(
        on_vendor::dense_product(aligned(y_room), aligned(x_room), aligned(w_room), unknown, workspace.data(), kStream),
        std::invalid_argument);
  }
}
