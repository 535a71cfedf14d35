// Runs the launchers of kernels/conv2d.h on guarded buffers.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/harness.h"
#include "kernels/reference.h"

namespace doppel::testing {

enum class Padding { same, symmetric, none };

inline Conv2d make_conv(int n, int h, int w, int c, int k, int r, int s, int stride, Padding padding) {
  Conv2d conv{n, h, w, c, k, r, s, stride, 0, 0, 0, 0, DType::f32, DType::f32};
  if (padding == Padding::same) pad_same(conv);
  if (padding == Padding::symmetric) pad_symmetric(conv);
  return conv;
}

inline std::string describe(const Conv2d& v, const Epilogue& e) {
  std::ostringstream out;
  out << "x [" << v.n << "," << v.h << "," << v.w << "," << v.c << "] w [" << v.k << "," << v.r << "," << v.s << ","
      << v.c << "] stride " << v.stride << " pad " << v.pad_top << "," << v.pad_left << "," << v.pad_bottom << ","
      << v.pad_right << " " << name_of(v.type) << " to " << name_of(v.out_type) << " activation " << int(e.activation)
      << (e.shuffle ? " shuffled" : "") << " by";
  for (const KernelChoice& choice : {v.kernels.fprop, v.kernels.dgrad, v.kernels.wgrad})
    out << " " << name_of(choice.kernel) << (choice.shares > 0 ? ":" : "/") << std::max(choice.splits, choice.shares);
  return out.str();
}

// Inputs of one convolution, and what its launchers make of them.
struct ConvRun {
  Conv2d conv;
  Epilogue epilogue;
  Stream stream;
  Buffer x, w, b;
  Buffer y, z, dy, dz, db, dx, dw;  // z where the epilogue saves it, else empty
  ConvWorkspace sizes;
  bool workspaces_intact = true;

  // Weights are about 1 / sqrt(terms), so that z is about 1.
  ConvRun(const Conv2d& v, const Epilogue& e, uint64_t seed, Stream on = {})
      : conv(v),
        epilogue(e),
        stream(on),
        x(v.type, uniform(seed, int64_t(v.n) * v.h * v.w * v.c)),
        w(v.type, scaled(uniform(seed + 1, v.weights()), 2 / std::sqrt(double(v.r * v.s * v.c)))),
        b(DType::f32, uniform(seed + 2, v.k, -0.5f, 0.5f)),
        y(v.out_type, v.out_pixels() * v.k),
        z(v.out_type, saves_input(e.activation) ? y.count() : 0),
        dy(v.out_type, uniform(seed + 3, v.out_pixels() * v.k)),
        dz(v.type, v.out_pixels() * v.k),
        db(DType::f32, v.k),
        dx(v.type, x.count()),
        dw(DType::f32, v.weights()),
        sizes(conv2d_workspace(v, e, on)) {
    check(conv, epilogue);
  }

  void fprop() {
    with_workspace(sizes.fprop, [&](void* p) {
      conv2d_fprop(y.data(), x.data(), w.data(), b.f32(), conv, epilogue, p, stream,
                   z.count() > 0 ? z.data() : nullptr);
    });
  }
  // What the activation's derivative is taken from.
  Buffer& saved() { return saves_input(epilogue.activation) ? z : y; }
  void backward_epilogue() {
    const void* from = epilogue.activation == Activation::none ? nullptr : saved().data();
    with_workspace(sizes.backward_epilogue, [&](void* p) {
      conv2d_backward_epilogue(dz.data(), db.f32(), dy.data(), from, conv, epilogue, p, stream);
    });
  }
  void dgrad() {
    with_workspace(sizes.dgrad, [&](void* p) { conv2d_dgrad(dx.data(), dz.data(), w.data(), conv, p, stream); });
  }
  void wgrad() {
    with_workspace(sizes.wgrad, [&](void* p) { conv2d_wgrad(dw.f32(), x.data(), dz.data(), conv, p, stream); });
  }
  void all() { fprop(), backward_epilogue(), dgrad(), wgrad(); }

 private:
  // The workspace is filled with NaN each time: nothing may be read from it that was not written before.
  template <typename Body>
  void with_workspace(size_t bytes, Body&& body) {
    Buffer workspace(DType::u8, int64_t(bytes));
    body(workspace.data());
    workspaces_intact = workspaces_intact && workspace.guards_intact();
  }
};

}  // namespace doppel::testing
