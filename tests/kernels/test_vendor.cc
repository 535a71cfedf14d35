// On a card with cuDNN or cuBLASLt: our convolutions and dense layers against theirs at the layers' real sizes, where
// a reference in double would take hours. Elsewhere there is nothing to test.
#include "kernels/vendor.h"

#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

constexpr Stream kOwn{Device::cuda, nullptr};

// False, with the reason as a warning, where that library or the card is missing.
bool present(const char* name, VendorLibraries::One VendorLibraries::*library) {
  const std::string problem = card_present() ? (vendor_libraries().*library).problem : "there is no card";
  if (!problem.empty()) WARN(name << " is not tested: " << problem);
  return problem.empty();
}
bool cudnn_present() {
  return present("cuDNN", &VendorLibraries::cudnn);
}
bool cublaslt_present() {
  return present("cuBLASLt", &VendorLibraries::cublaslt);
}

#if defined(DOPPEL_CUDNN)

// |a - b| / |b|; both rounded to their types, and sums in different orders.
double difference(const Buffer& a, const Buffer& b) {
  const Doubles x = a.values(), y = b.values();
  double square = 0;
  for (size_t i = 0; i < x.size(); ++i) square += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(square) / norm(y);
}

double allowed(DType type) {
  return type == DType::bf16 ? 1e-2 : 1e-4;
}

struct Layer {
  int size, c, k, filter, stride;
  Epilogue epilogue;
};
const Epilogue kLeaky{Activation::leaky_relu, 0.1f, false}, kUp{Activation::leaky_relu, 0.1f, true},
    kSigmoid{Activation::sigmoid, 0, false}, kCosine{Activation::x_cos_x, 0, false};
const Layer kLayers[] = {
    // "original"
    {64, 3, 128, 5, 2, kLeaky},
    {32, 128, 256, 5, 2, kLeaky},
    {16, 256, 512, 5, 2, kLeaky},
    {8, 512, 1024, 5, 2, kLeaky},
    {4, 1024, 2048, 3, 1, kUp},
    {8, 512, 1024, 3, 1, kUp},
    {16, 256, 512, 3, 1, kUp},
    {32, 128, 256, 3, 1, kUp},
    {64, 64, 3, 5, 1, kSigmoid},
    // "lite"
    {64, 3, 64, 5, 2, kLeaky},
    {32, 64, 96, 3, 2, kLeaky},
    {16, 96, 160, 3, 2, kLeaky},
    {8, 160, 256, 3, 2, kLeaky},
    {4, 256, 1024, 3, 1, kUp},
    {32, 64, 128, 3, 1, kUp},
    {64, 32, 3, 3, 1, kSigmoid},
};

Conv2d one_layer(const Layer& layer, DType type) {
  Conv2d c{};
  c.n = 4;
  c.h = c.w = layer.size;
  c.c = layer.c;
  c.k = layer.k;
  c.r = c.s = layer.filter;
  c.stride = layer.stride;
  c.type = type;
  c.out_type = layer.epilogue.activation == Activation::sigmoid ? DType::f32 : type;
  if (c.stride == 2)
    pad_same(c);
  else
    pad_symmetric(c);
  return c;
}

std::string describe(const Conv2d& c) {
  std::ostringstream text;
  text << c.c << " to " << c.k << " channels, " << c.r << "x" << c.s << " stride " << c.stride << ", " << c.h << "x"
       << c.w << " " << name_of(c.type);
  return text.str();
}

void compare_conv(const Layer& layer, DType type) {
  const Conv2d c = one_layer(layer, type);
  INFO(describe(c));
  const int64_t in = int64_t(c.n) * c.h * c.w * c.c, out = c.out_pixels() * c.k;
  const Buffer x(type, uniform(1, in)), w(type, uniform(2, c.weights(), -0.05f, 0.05f)), dz(type, uniform(3, out));
  Buffer b(DType::f32, uniform(4, c.k));
  const ConvWorkspace own = conv2d_workspace(c, layer.epilogue, kOwn);
  const ConvWorkspace theirs = on_vendor::conv2d_workspace(c, layer.epilogue, kOwn);
  Buffer workspace(DType::u8,
                   int64_t(std::max({own.fprop, own.dgrad, own.wgrad, theirs.fprop, theirs.dgrad, theirs.wgrad})));
  const auto compare = [&](const char* what, DType result, int64_t count, auto ours, auto vendors) {
    INFO(what);
    Buffer a(result, count), r(result, count), again(result, count);
    ours(a);
    vendors(r);
    vendors(again);
    CHECK(difference(a, r) <= allowed(type));
    CHECK(again.same_bits(r));
    for (const Buffer* buffer : {&a, &r, &workspace}) CHECK(buffer->guards_intact());
  };
  void* scratch = workspace.data();
  // By the layer's own choice, pass by pass.
  Conv2d mixed = c;
  mixed.kernels.dgrad = {KernelKind::vendor, 1};
  const ConvWorkspace chosen = conv2d_workspace(mixed, layer.epilogue, kOwn);
  CHECK(chosen.fprop == own.fprop);
  CHECK(chosen.dgrad == theirs.dgrad);
  CHECK(chosen.wgrad == own.wgrad);
  Buffer by_choice(type, in), by_vendor(type, in);
  conv2d_dgrad(by_choice.data(), dz.data(), w.data(), mixed, scratch, kOwn);
  on_vendor::conv2d_dgrad(by_vendor.data(), dz.data(), w.data(), c, scratch, kOwn);
  CHECK(by_choice.same_bits(by_vendor));
  compare(
      "fprop", c.out_type, out,
      [&](Buffer& y) { conv2d_fprop(y.data(), x.data(), w.data(), b.f32(), c, layer.epilogue, scratch, kOwn); },
      [&](Buffer& y) {
        on_vendor::conv2d_fprop(y.data(), x.data(), w.data(), b.f32(), c, layer.epilogue, scratch, kOwn, nullptr);
      });
  compare(
      "dgrad", type, in, [&](Buffer& dx) { conv2d_dgrad(dx.data(), dz.data(), w.data(), c, scratch, kOwn); },
      [&](Buffer& dx) { on_vendor::conv2d_dgrad(dx.data(), dz.data(), w.data(), c, scratch, kOwn); });
  compare(
      "wgrad", DType::f32, c.weights(),
      [&](Buffer& dw) { conv2d_wgrad(dw.f32(), x.data(), dz.data(), c, scratch, kOwn); },
      [&](Buffer& dw) { on_vendor::conv2d_wgrad(dw.f32(), x.data(), dz.data(), c, scratch, kOwn); });
}

// Two groups at once, called one after the other by each of cuDNN's algorithms, against our one launch. The groups'
// weights lie apart as in training; what lies between them stays as it is.
void compare_groups(const Layer& layer, DType type) {
  constexpr int kGroups = 2, kGap = 64;
  const Stream theirs{Device::cuda, nullptr, Library::vendor};
  Conv2d c = one_layer(layer, type);
  c.groups = kGroups;
  c.weight_stride = c.weights() + kGap;
  c.bias_stride = c.k + kGap;
  INFO("2 groups of " << describe(c));
  const int64_t in = kGroups * c.in_elements(), out = kGroups * c.out_elements(),
                weights = c.weight_stride + c.weights();
  const Buffer x(type, uniform(1, in)), w(type, uniform(2, weights, -0.05f, 0.05f)), dz(type, uniform(3, out));
  Buffer b(DType::f32, uniform(4, c.bias_stride + c.k)), z(c.out_type, out);
  void* const saved = saves_input(layer.epilogue.activation) ? z.data() : nullptr;
  const auto run = [&](const Conv2d& conv, Pass pass, Buffer& result) {
    const ConvWorkspace bytes = conv2d_workspace(conv, layer.epilogue, kOwn);
    Buffer workspace(DType::u8, int64_t(pass == Pass::fprop   ? bytes.fprop
                                        : pass == Pass::dgrad ? bytes.dgrad
                                                              : bytes.wgrad));
    if (pass == Pass::fprop)
      conv2d_fprop(result.data(), x.data(), w.data(), b.f32(), conv, layer.epilogue, workspace.data(), kOwn, saved);
    else if (pass == Pass::dgrad)
      conv2d_dgrad(result.data(), dz.data(), w.data(), conv, workspace.data(), kOwn);
    else
      conv2d_wgrad(result.f32(), x.data(), dz.data(), conv, workspace.data(), kOwn);
    CHECK(workspace.guards_intact());
  };
  for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
    INFO("pass " << int(pass));
    const DType result = pass == Pass::fprop ? c.out_type : pass == Pass::dgrad ? type : DType::f32;
    const int64_t count = pass == Pass::fprop ? out : pass == Pass::dgrad ? in : weights;
    const Doubles nothing(size_t(count), 0);
    Buffer ours(result, nothing);
    run(c, pass, ours);
    const std::vector<KernelChoice> choices = conv2d_choices(c, pass, theirs);
    CHECK(!choices.empty());
    for (const KernelChoice& choice : choices) {
      INFO("algorithm " << choice.algorithm);
      Conv2d chosen = c;
      chosen.kernels[pass] = choice;
      Buffer vendors(result, nothing), again(result, nothing);
      run(chosen, pass, vendors);
      run(chosen, pass, again);
      CHECK(difference(ours, vendors) <= allowed(type));
      CHECK(again.same_bits(vendors));
      CHECK(vendors.guards_intact());
      if (pass == Pass::wgrad)
        for (int64_t i = c.weights(); i < c.weight_stride; ++i) REQUIRE(vendors[i] == 0);
    }
  }
}

void compare_dense(const Dense& d) {
  INFO(d.n << " x " << d.c << " to " << d.k << " " << name_of(d.type));
  const Buffer x(d.type, uniform(1, int64_t(d.n) * d.c)), dy(d.type, uniform(3, int64_t(d.n) * d.k));
  const Buffer w(d.type, uniform(2, int64_t(d.c) * d.k, -0.05f, 0.05f));
  Buffer b(DType::f32, uniform(4, d.k));
  const DenseWorkspace own = dense_workspace(d, kOwn), theirs = on_vendor::dense_workspace(d, kOwn);
  Buffer scratch(DType::u8,
                 int64_t(std::max({own.fprop, own.dgrad, own.wgrad, theirs.fprop, theirs.dgrad, theirs.wgrad})));
  Buffer y(d.type, dy.count()), y_vendor(d.type, dy.count()), dx(d.type, x.count()), dx_vendor(d.type, x.count());
  Buffer dw(DType::f32, w.count()), dw_vendor(DType::f32, w.count()), db(DType::f32, d.k), db_vendor(DType::f32, d.k);
  dense_fprop(y.data(), x.data(), w.data(), b.f32(), d, scratch.data(), kOwn);
  on_vendor::dense_fprop(y_vendor.data(), x.data(), w.data(), b.f32(), d, scratch.data(), kOwn);
  dense_dgrad(dx.data(), dy.data(), w.data(), d, scratch.data(), kOwn);
  on_vendor::dense_dgrad(dx_vendor.data(), dy.data(), w.data(), d, scratch.data(), kOwn);
  dense_wgrad(dw.f32(), db.f32(), x.data(), dy.data(), d, scratch.data(), kOwn);
  on_vendor::dense_wgrad(dw_vendor.f32(), db_vendor.f32(), x.data(), dy.data(), d, scratch.data(), kOwn);
  CHECK(difference(y, y_vendor) <= allowed(d.type));
  CHECK(difference(dx, dx_vendor) <= allowed(d.type));
  CHECK(difference(dw, dw_vendor) <= 1e-4);
  CHECK(difference(db, db_vendor) <= 1e-4);
}

#endif

}  // namespace

TEST_CASE("our convolutions agree with cuDNN at real sizes", "[vendor]") {
  if (!cudnn_present()) return;
#if defined(DOPPEL_CUDNN)
  for (const DType type : {DType::f32, DType::bf16})
    for (const Layer& layer : kLayers) compare_conv(layer, type);
#endif
}

TEST_CASE("our grouped convolutions agree with each of cuDNN's algorithms, group by group", "[vendor][groups]") {
  if (!cudnn_present()) return;
#if defined(DOPPEL_CUDNN)
  // Layers of decoders, and one whose padding is not symmetric.
  for (const DType type : {DType::f32, DType::bf16})
    for (const Layer& layer :
         {Layer{8, 512, 1024, 3, 1, kUp}, Layer{32, 64, 128, 3, 1, kUp}, Layer{64, 32, 3, 3, 1, kSigmoid},
          Layer{16, 96, 160, 3, 2, kLeaky}, Layer{32, 64, 128, 3, 1, kCosine}})
      compare_groups(layer, type);
#endif
}

TEST_CASE("our dense layers agree with cuBLASLt at real sizes", "[vendor]") {
  if (!cublaslt_present()) return;
#if defined(DOPPEL_CUDNN)
  for (const DType type : {DType::f32, DType::bf16})
    for (const auto& [c, k] : {std::pair{16384, 1024}, std::pair{1024, 16384}, std::pair{4096, 256}})
      compare_dense({64, c, k, type});
#endif
}
