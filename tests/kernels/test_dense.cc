// Dense layers against the double-precision reference.
#include "kernels/dense.h"

#include "kernels/harness.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

struct DenseRun {
  Dense dense;
  Buffer x, w, b, dy, y, dx, dw, db;
  bool workspaces_intact = true;

  DenseRun(const Dense& d, uint64_t seed)
      : dense(d),
        x(d.type, uniform(seed, int64_t(d.n) * d.c)),
        w(d.type, scaled(uniform(seed + 1, int64_t(d.k) * d.c), 2 / std::sqrt(double(d.c)))),
        b(DType::f32, uniform(seed + 2, d.k)),
        dy(d.type, uniform(seed + 3, int64_t(d.n) * d.k)),
        y(d.type, dy.count()),
        dx(d.type, x.count()),
        dw(DType::f32, w.count()),
        db(DType::f32, d.k) {}

  void all() {
    const DenseWorkspace sizes = dense_workspace(dense, {});
    Buffer fprop(DType::u8, int64_t(sizes.fprop)), dgrad(DType::u8, int64_t(sizes.dgrad)),
        wgrad(DType::u8, int64_t(sizes.wgrad));
    dense_fprop(y.data(), x.data(), w.data(), b.f32(), dense, fprop.data(), {});
    dense_dgrad(dx.data(), dy.data(), w.data(), dense, dgrad.data(), {});
    dense_wgrad(dw.f32(), db.f32(), x.data(), dy.data(), dense, wgrad.data(), {});
    workspaces_intact = fprop.guards_intact() && dgrad.guards_intact() && wgrad.guards_intact();
  }
};

Doubles with_rounding(Doubles allowed, const Doubles& want, DType type) {
  for (size_t i = 0; i < want.size(); ++i) allowed[i] += std::abs(want[i]) * 1.01 * unit_roundoff(type);
  return allowed;
}

}  // namespace

TEST_CASE("dense: all shapes and types agree with the reference", "[dense]") {
  const int shapes[][3] = {{1, 1, 1},   {1, 3, 5},    {2, 17, 1},   {1, 1, 16},   {3, 31, 13},
                           {5, 64, 33}, {7, 257, 12}, {8, 512, 64}, {4, 64, 512}, {16, 100, 100}};
  uint64_t seed = 1;
  for (const auto& [n, c, k] : shapes)
    for (const DType type : {DType::f32, DType::bf16}) {
      INFO("n " << n << " c " << c << " k " << k << " " << name_of(type));
      const Dense dense{n, c, k, type};
      DenseRun run(dense, seed += 10);
      run.all();
      const Doubles x = run.x.values(), w = run.w.values(), b = run.b.values(), dy = run.dy.values();
      const Doubles ax = absolute(x), aw = absolute(w), ady = absolute(dy);
      const Doubles y = reference::dense_y(dense, x, w, b), dx = reference::dense_dx(dense, dy, w);
      CHECK(mismatch(run.y, y,
                     with_rounding(scaled(reference::dense_y(dense, ax, aw, absolute(b)), sum_error(c + 1)), y,
                                   type)) == "");
      CHECK(mismatch(run.dx, dx, with_rounding(scaled(reference::dense_dx(dense, ady, aw), sum_error(k)), dx, type)) ==
            "");
      CHECK(mismatch(run.dw, reference::dense_dw(dense, x, dy),
                     scaled(reference::dense_dw(dense, ax, ady), sum_error(n))) == "");
      CHECK(mismatch(run.db, reference::dense_db(dense, dy), scaled(reference::dense_db(dense, ady), sum_error(n))) ==
            "");
      CHECK(run.workspaces_intact);
    }
}

TEST_CASE("dense: every run gives the same bits", "[dense]") {
  for (const DType type : {DType::f32, DType::bf16}) {
    DenseRun first({6, 300, 40, type}, 500), second({6, 300, 40, type}, 500);
    first.all();
    second.all();
    CHECK(first.y.same_bits(second.y));
    CHECK(first.dx.same_bits(second.dx));
    CHECK(first.dw.same_bits(second.dw));
    CHECK(first.db.same_bits(second.db));
  }
}

TEST_CASE("dense: a value that is not finite spoils its row and no other", "[dense]") {
  for (const DType type : {DType::f32, DType::bf16}) {
    DenseRun run({4, 33, 10, type}, 600);
    run.x.set(2 * 33 + 7, double(INFINITY));
    run.all();
    for (int64_t i = 0; i < run.y.count(); ++i) CHECK(std::isfinite(run.y[i]) == (i / 10 != 2));
  }
}
