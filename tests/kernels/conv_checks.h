// Each launcher of kernels/conv2d.h against the double-precision reference.
#pragma once

#include "kernels/conv_runner.h"

namespace doppel::testing {

inline constexpr Epilogue kPlain{};
inline constexpr Epilogue kLeaky{Activation::leaky_relu, 0.1f, false};
inline constexpr Epilogue kSigmoid{Activation::sigmoid, 0, false};
inline constexpr Epilogue kUp{Activation::leaky_relu, 0.1f, true};
inline constexpr Epilogue kShuffle{Activation::none, 0, true};
inline constexpr Epilogue kSigmoidShuffle{Activation::sigmoid, 0, true};
inline constexpr Epilogue kCosine{Activation::x_cos_x, 0, false};
inline constexpr Epilogue kCosineShuffle{Activation::x_cos_x, 0, true};

// How much f can widen an error of z.
inline double widening(Activation f, double z) {
  return f == Activation::sigmoid ? 0.25 : f == Activation::x_cos_x ? 1 + std::abs(z) : 1;
}

inline void check_fprop(ConvRun& run) {
  const Conv2d& v = run.conv;
  run.fprop();
  const Doubles x = run.x.values(), w = run.w.values(), b = run.b.values();
  const Doubles z = reference::conv2d_z(v, x, w, b);
  const Doubles size = reference::conv2d_z(v, absolute(x), absolute(w), absolute(b));
  const Doubles want = reference::conv2d_y(v, run.epilogue, z);
  // The error of z moves with its element through the shuffle.
  const Activation f = run.epilogue.activation;
  const Epilogue moved{Activation::none, 0, run.epilogue.shuffle};
  const Doubles wanted_z = reference::conv2d_y(v, moved, z);
  const Doubles error = reference::conv2d_y(v, moved, scaled(size, sum_error(v.r * v.s * v.c + 1)));
  Doubles allowed = error, allowed_z = error;
  for (size_t i = 0; i < want.size(); ++i) {
    // z cos z is off by some units of z where the cosine is 0, and may be that of the z that was rounded to be saved.
    const double scale = std::abs(saves_input(f) ? wanted_z[i] : want[i]);
    const double rounding = saves_input(f) ? scale * 1.01 * unit_roundoff(v.out_type) : 0;
    allowed[i] = widening(f, wanted_z[i]) * (error[i] + rounding) + scale * 8 * kRound;
    allowed[i] += std::abs(want[i]) * 1.01 * unit_roundoff(v.out_type);
    allowed_z[i] += std::abs(wanted_z[i]) * (8 * kRound + 1.01 * unit_roundoff(v.out_type));
  }
  CHECK(mismatch(run.y, want, allowed) == "");
  if (saves_input(f)) CHECK(mismatch(run.z, wanted_z, allowed_z) == "");
}

inline void check_backward_epilogue(ConvRun& run) {
  const Conv2d& v = run.conv;
  run.backward_epilogue();
  const Doubles dy = run.dy.values(), saved = run.saved().values();
  const Doubles dz = reference::conv2d_dz(v, run.epilogue, dy, saved);
  const Doubles size = absolute(dz);
  Doubles allowed = scaled(size, 4 * kRound + 1.01 * unit_roundoff(v.type));
  if (saves_input(run.epilogue.activation)) {
    // The terms of cos z - z sin z may cancel.
    Doubles terms = dy;
    for (size_t i = 0; i < terms.size(); ++i) terms[i] = std::abs(dy[i]) * (1 + std::abs(saved[i]));
    terms = reference::conv2d_dz(v, {Activation::none, 0, run.epilogue.shuffle}, terms, saved);
    for (size_t i = 0; i < terms.size(); ++i) allowed[i] += 8 * kRound * terms[i];
  }
  CHECK(mismatch(run.dz, dz, allowed) == "");
  // db may sum dz before or after its rounding to `type`.
  const double rounding = v.type == DType::bf16 ? unit_roundoff(DType::bf16) : 0;
  CHECK(mismatch(run.db, reference::conv2d_db(v, dz),
                 scaled(reference::conv2d_db(v, size), sum_error(double(v.out_pixels())) + rounding)) == "");
}

inline void check_gradients(ConvRun& run) {
  const Conv2d& v = run.conv;
  run.dgrad();
  run.wgrad();
  const Doubles x = run.x.values(), w = run.w.values(), dz = run.dz.values();
  const Doubles dx = reference::conv2d_dx(v, dz, w);
  Doubles allowed = scaled(reference::conv2d_dx(v, absolute(dz), absolute(w)), sum_error(v.r * v.s * v.k));
  for (size_t i = 0; i < dx.size(); ++i) allowed[i] += std::abs(dx[i]) * 1.01 * unit_roundoff(v.type);
  CHECK(mismatch(run.dx, dx, allowed) == "");
  CHECK(mismatch(run.dw, reference::conv2d_dw(v, x, dz),
                 scaled(reference::conv2d_dw(v, absolute(x), absolute(dz)), sum_error(double(v.out_pixels())))) == "");
}

// All launchers, for one combination of types.
inline void check_launchers(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed, bool gradients,
                            Stream stream) {
  INFO(describe(conv, epilogue));
  ConvRun run(conv, epilogue, seed, stream);
  check_fprop(run);
  check_backward_epilogue(run);
  if (gradients) check_gradients(run);
  CHECK(run.workspaces_intact);
  CHECK(run.x.guards_intact());
  CHECK(run.w.guards_intact());
  CHECK(run.dy.guards_intact());
}

// All launchers, for each epilogue.
inline void check_epilogues(const Conv2d& conv, const std::vector<Epilogue>& epilogues, uint64_t seed, Stream stream) {
  bool gradients = true;  // once: they do not depend on the epilogue
  for (const Epilogue& epilogue : epilogues) {
    if (epilogue.shuffle && conv.k % 4 != 0) continue;
    check_launchers(conv, epilogue, seed, gradients, stream);
    gradients = false;
  }
}

// `conv` in every combination of types.
inline std::vector<Conv2d> in_all_types(Conv2d conv) {
  std::vector<Conv2d> all;
  for (const auto& [type, out_type] :
       {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::bf16}, std::pair{DType::bf16, DType::f32}}) {
    conv.type = type, conv.out_type = out_type;
    all.push_back(conv);
  }
  return all;
}

// On the CPU and on the card if there is one, in every combination of types.
inline void check_fast(const Conv2d& conv, const std::vector<Epilogue>& epilogues, uint64_t seed) {
  on_fast_backends([&](Stream stream) {
    for (const Conv2d& typed : in_all_types(conv)) check_epilogues(typed, epilogues, seed, stream);
  });
}

// There and on the emulator; each type in another of the emulator's orders: that the orders give the same bits is a
// test of its own.
inline void check_everywhere(const Conv2d& conv, const std::vector<Epilogue>& epilogues, uint64_t seed) {
  int order = 0;
  for (const Conv2d& typed : in_all_types(conv))
    on_emulator(emulator::Order(order++ % 3), [&](Stream s) { check_epilogues(typed, epilogues, seed, s); });
  if (!emulator::checked()) check_fast(conv, epilogues, seed);
}

inline const std::vector<Epilogue> kAll = {kPlain,   kLeaky,          kSigmoid, kUp,
                                           kShuffle, kSigmoidShuffle, kCosine,  kCosineShuffle};

struct Layer {
  Conv2d conv;
  Epilogue epilogue;
};

// The layers of the first autoencoder on pictures of `size` (a multiple of 16), of which the first has `width` filters.
inline std::vector<Layer> first_autoencoder(int width, int size) {
  std::vector<Layer> layers;
  int c = 3, k = width, at = size;
  for (int i = 0; i < 4; ++i, c = k, k *= 2, at /= 2)
    layers.push_back({make_conv(2, at, at, c, k, 5, 5, 2, Padding::same), kLeaky});
  for (c = 4 * width; at < size; c /= 2, at *= 2)
    layers.push_back({make_conv(2, at, at, c, 2 * c, 3, 3, 1, Padding::symmetric), kUp});
  layers.push_back({make_conv(2, size, size, c, 3, 5, 5, 1, Padding::symmetric), kSigmoid});
  return layers;
}

}  // namespace doppel::testing
