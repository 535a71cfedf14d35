// Dense layers against the double-precision reference.
#include "kernels/dense.h"

#include "kernels/hopper_backends.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

struct DenseRun {
  Dense dense;
  Stream stream;
  Buffer x, w, b, dy, y, dx, dw, db;
  bool workspaces_intact = true;

  DenseRun(const Dense& d, uint64_t seed, Stream on)
      : dense(d),
        stream(on),
        x(d.type, uniform(seed, int64_t(d.n) * d.c)),
        w(d.type, scaled(uniform(seed + 1, int64_t(d.k) * d.c), 2 / std::sqrt(double(d.c)))),
        b(DType::f32, uniform(seed + 2, d.k)),
        dy(d.type, uniform(seed + 3, int64_t(d.n) * d.k)),
        y(d.type, dy.count()),
        dx(d.type, x.count()),
        dw(DType::f32, w.count()),
        db(DType::f32, d.k) {}

  void all() {
    const DenseWorkspace sizes = dense_workspace(dense, stream);
    Buffer fprop(DType::u8, int64_t(sizes.fprop)), dgrad(DType::u8, int64_t(sizes.dgrad)),
        wgrad(DType::u8, int64_t(sizes.wgrad));
    dense_fprop(y.data(), x.data(), w.data(), b.f32(), dense, fprop.data(), stream);
    dense_dgrad(dx.data(), dy.data(), w.data(), dense, dgrad.data(), stream);
    dense_wgrad(dw.f32(), db.f32(), x.data(), dy.data(), dense, wgrad.data(), stream);
    workspaces_intact = fprop.guards_intact() && dgrad.guards_intact() && wgrad.guards_intact();
  }
};

Doubles with_rounding(Doubles allowed, const Doubles& want, DType type) {
  for (size_t i = 0; i < want.size(); ++i) allowed[i] += std::abs(want[i]) * 1.01 * unit_roundoff(type);
  return allowed;
}

void check_dense(const Dense& dense, uint64_t seed, Stream stream) {
  const auto& [n, c, k, type, kernels] = dense;
  INFO("n " << n << " c " << c << " k " << k << " " << name_of(type) << ", fprop by " << name_of(kernels.fprop.kernel));
  DenseRun run(dense, seed, stream);
  run.all();
  const Doubles x = run.x.values(), w = run.w.values(), b = run.b.values(), dy = run.dy.values();
  const Doubles ax = absolute(x), aw = absolute(w), ady = absolute(dy);
  const Doubles y = reference::dense_y(dense, x, w, b), dx = reference::dense_dx(dense, dy, w);
  CHECK(mismatch(run.y, y,
                 with_rounding(scaled(reference::dense_y(dense, ax, aw, absolute(b)), sum_error(c + 1)), y, type)) ==
        "");
  CHECK(mismatch(run.dx, dx, with_rounding(scaled(reference::dense_dx(dense, ady, aw), sum_error(k)), dx, type)) == "");
  CHECK(mismatch(run.dw, reference::dense_dw(dense, x, dy),
                 scaled(reference::dense_dw(dense, ax, ady), sum_error(n))) == "");
  CHECK(mismatch(run.db, reference::dense_db(dense, dy), scaled(reference::dense_db(dense, ady), sum_error(n))) == "");
  CHECK(run.workspaces_intact);
}

}  // namespace

TEST_CASE("dense: all shapes and types agree with the reference", "[dense][emulator]") {
  // The last ones in bf16 run on tensor cores: tails of a tile, of a step and of a unit, and a sum in parts.
  const int shapes[][3] = {{1, 1, 1},   {1, 3, 5},    {2, 17, 1},     {1, 1, 16},   {3, 31, 13},
                           {5, 64, 33}, {7, 257, 12}, {8, 512, 64},   {4, 64, 512}, {16, 100, 100},
                           {1, 8, 8},   {65, 40, 72}, {130, 24, 136}, {17, 520, 8}, {9, 8, 520}};
  on_backends([&](Stream stream) {
    uint64_t seed = 1;
    for (const auto& [n, c, k] : shapes)
      for (const DType type : {DType::f32, DType::bf16}) check_dense({n, c, k, type}, seed += 10, stream);
  });
}

TEST_CASE("dense: sums are split where the rows are few", "[dense]") {
  const DenseWorkspace bytes = dense_workspace({17, 520, 8, DType::bf16}, Stream{Device::emulator});
  CHECK(bytes.fprop > 0);
}

TEST_CASE("dense: every listed kernel agrees with the reference", "[dense][choice][emulator]") {
  const auto check_all = [](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16}) {
      Dense dense{17, 520, 24, type};
      for (const KernelChoice& choice : dense_choices(dense, Pass::fprop, stream)) {
        // As good a kernel for the other products, whose own lists are other numbers of parts.
        dense.kernels = {choice, choice, choice};
        check_dense(dense, 40, stream);
      }
    }
  };
  on_emulator(emulator::Order::reverse, check_all);
  on_card(check_all);
}

TEST_CASE("dense: by wgmma where the device has it", "[dense][choice][wgmma][emulator]") {
  const auto check_all = [](Stream stream) {
    Dense dense{67, 72, 136, DType::bf16};
    for (const KernelChoice& choice :
         {KernelChoice{KernelKind::wgmma_128x256, 1}, {KernelKind::wgmma_256x128, 1}, {KernelKind::wgmma_128x128, 2}}) {
      for (const Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
        const std::vector<KernelChoice> all = dense_choices(dense, pass, stream);
        CHECK(std::any_of(all.begin(), all.end(), [&](const KernelChoice& c) { return c.kernel == choice.kernel; }));
      }
      dense.kernels = {choice, choice, choice};
      check_dense(dense, 50, stream);
    }
  };
  on_emulated_hopper(emulator::Order::shuffled, check_all);
  on_hopper(check_all);
}

TEST_CASE("dense: every run and order gives the same bits", "[dense][emulator]") {
  for (const DType type : {DType::f32, DType::bf16})
    for (const int c : {300, 520}) {
      const auto check_same = [&](DenseRun& first, Stream stream) {
        DenseRun second({6, c, 40, type}, 500, stream);
        second.all();
        CHECK(first.y.same_bits(second.y));
        CHECK(first.dx.same_bits(second.dx));
        CHECK(first.dw.same_bits(second.dw));
        CHECK(first.db.same_bits(second.db));
      };
      const auto check_twice = [&](Stream stream) {
        DenseRun first({6, c, 40, type}, 500, stream);
        first.all();
        check_same(first, stream);
      };
      on_fast_backends(check_twice);
      DenseRun first({6, c, 40, type}, 500, Stream{Device::emulator});
      first.all();
      on_emulator([&](Stream stream) { check_same(first, stream); });
    }
}

TEST_CASE("dense: a value that is not finite spoils its row and no other", "[dense][emulator]") {
  on_backends([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const auto& [c, k] : {std::pair{33, 10}, std::pair{40, 16}}) {
        DenseRun run({4, c, k, type}, 600, stream);
        run.x.set(2 * c + 7, double(INFINITY));
        run.all();
        for (int64_t i = 0; i < run.y.count(); ++i) CHECK(std::isfinite(run.y[i]) == (i / k != 2));
      }
  });
}
