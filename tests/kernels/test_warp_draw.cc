// What the warp draws: its ranges and distributions, and how the target is fitted.
#include "kernels/warp_checks.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// Face and network grids share their centre: where regular node (i, j) lies in the face.
Point regular_in_face(const Warp& w, int i, int j) {
  const double size = w.face_size, inner = double(w.inner) * size;
  const auto at = [&](int k) { return float((size - 1) / 2 + (double(k) / (kWarpNodes - 1) - 0.5) * inner); };
  return {at(j), at(i)};
}

// And in the output, whose pixels' outer edges the outer nodes lie on.
std::vector<Point> regular_in_output(const Warp& w) {
  std::vector<Point> nodes;
  for (int i = 0; i < kWarpNodes; ++i)
    for (int j = 0; j < kWarpNodes; ++j)
      nodes.push_back(
          {float(j * w.out_size) / (kWarpNodes - 1) - 0.5f, float(i * w.out_size) / (kWarpNodes - 1) - 0.5f});
  return nodes;
}

std::vector<Point> nodes_of(const WarpSample& s) {
  return {&s.nodes[0][0], &s.nodes[0][0] + kWarpNodes * kWarpNodes};
}

struct Statistics {
  double low = 1e30, high = -1e30, sum = 0, squares = 0;
  int count = 0;
  void add(double v) {
    low = std::min(low, v), high = std::max(high, v);
    sum += v, squares += v * v, ++count;
  }
  double mean() const { return sum / count; }
  double deviation() const { return std::sqrt(squares / count - mean() * mean()); }
};

// Uniform in [low, high]: bounds, mean and deviation.
void check_uniform(const Statistics& s, double low, double high) {
  const double width = high - low;
  CHECK(s.low >= low - 1e-4 * width);
  CHECK(s.high <= high + 1e-4 * width);
  CHECK(s.low <= low + 0.01 * width);
  CHECK(s.high >= high - 0.01 * width);
  CHECK(s.mean() == Approx((low + high) / 2).margin(5 * width / std::sqrt(12.0 * s.count)));
  CHECK(s.deviation() == Approx(width / std::sqrt(12.0)).epsilon(5 / std::sqrt(double(s.count))));
}

// The linear part of the face's similarity, seen in the regular grid: columns are the images of right and down, in
// units of the undisturbed grid.
struct Linear {
  double xx, yx, xy, yy;
};
Linear linear_part(const Warp& w, const WarpSample& s) {
  const double span = double(w.inner) * w.face_size;
  const Point a = s.nodes[0][0], b = s.nodes[0][kWarpNodes - 1], c = s.nodes[kWarpNodes - 1][0];
  return {double(b.x - a.x) / span, double(b.y - a.y) / span, double(c.x - a.x) / span, double(c.y - a.y) / span};
}

constexpr int kDraws = 4000;
constexpr double kPi = 3.14159265358979323846;

}  // namespace

TEST_CASE("draw_warp: rotation, zoom, shift, flip and face have their ranges", "[warp]") {
  Warp w = still(256, 64);
  SECTION("rotation") {
    w.rotation = 10;
    Statistics angle;
    for (uint32_t i = 0; i < kDraws; ++i) {
      const Linear l = linear_part(w, draw_warp(w, 3, 5, i, 1));
      angle.add(std::atan2(l.yx, l.xx) * 180 / kPi);
      CHECK(std::hypot(l.xx, l.yx) == Approx(1).margin(1e-4));
    }
    check_uniform(angle, -10, 10);
  }
  SECTION("zoom") {
    w.zoom = 0.05f;
    Statistics zoom;
    for (uint32_t i = 0; i < kDraws; ++i) {
      const Linear l = linear_part(w, draw_warp(w, 3, 5, i, 1));
      zoom.add(1 / l.xx);  // the face grows by the factor, so the grid shrinks on it
      CHECK(l.yy == Approx(l.xx).margin(1e-4));
      CHECK(std::abs(l.yx) + std::abs(l.xy) < 1e-4);
    }
    check_uniform(zoom, 0.95, 1.05);
  }
  SECTION("shift") {
    w.shift = 0.05f;
    Statistics x, y;
    double product = 0;
    for (uint32_t i = 0; i < kDraws; ++i) {
      const Point p = draw_warp(w, 3, 5, i, 1).nodes[2][2];
      x.add((double(p.x) - 127.5) / 256), y.add((double(p.y) - 127.5) / 256);
      product += (double(p.x) - 127.5) * (double(p.y) - 127.5) / 65536;
    }
    check_uniform(x, -0.05, 0.05);
    check_uniform(y, -0.05, 0.05);
    CHECK(std::abs(product / kDraws) < 5 * 0.05 * 0.05 / 3 / std::sqrt(kDraws));  // independent
  }
  SECTION("flip") {
    w.flip = 0.4f;
    int flipped = 0;
    for (uint32_t i = 0; i < kDraws; ++i) {
      const Linear l = linear_part(w, draw_warp(w, 3, 5, i, 1));
      CHECK(l.yy == Approx(1).margin(1e-4));  // left and right change places, not up and down
      CHECK(std::abs(l.xx) == Approx(1).margin(1e-4));
      flipped += l.xx < 0;
    }
    CHECK(flipped == Approx(0.4 * kDraws).margin(5 * std::sqrt(0.4 * 0.6 * kDraws)));
  }
  SECTION("face") {
    std::vector<int> histogram(13);
    for (uint32_t i = 0; i < kDraws; ++i) ++histogram.at(draw_warp(w, 3, 5, i, 13).face);
    for (int seen : histogram) CHECK(seen == Approx(kDraws / 13.0).margin(5 * std::sqrt(kDraws / 13.0)));
  }
  SECTION("colour") {
    w.brightness = 0.1f, w.contrast = 0.2f;
    Statistics gain, brightness;
    for (uint32_t i = 0; i < kDraws; ++i) {
      const WarpSample s = draw_warp(w, 3, 5, i, 1);
      gain.add(double(s.gain));
      brightness.add(double(s.gain) * 0.5 + double(s.offset) - 0.5);  // what becomes of mid grey
    }
    check_uniform(gain, 0.8, 1.2);
    check_uniform(brightness, -0.1, 0.1);
  }
}

TEST_CASE("draw_warp: nodes move by N(0, jitter), each on its own", "[warp]") {
  Warp w = still(256, 64);
  w.jitter = 5.f / 256;
  Statistics x, y, fourth;
  double xy = 0, neighbours = 0;
  for (uint32_t i = 0; i < kDraws / 4; ++i) {
    const WarpSample s = draw_warp(w, 8, 2, i, 1);
    double last = 0;
    for (int r = 0; r < kWarpNodes; ++r)
      for (int c = 0; c < kWarpNodes; ++c) {
        const Point at = regular_in_face(w, r, c);
        const double dx = double(s.nodes[r][c].x) - double(at.x), dy = double(s.nodes[r][c].y) - double(at.y);
        x.add(dx), y.add(dy), fourth.add(std::pow(dx / 5, 4));
        xy += dx * dy / 25, neighbours += dx * last / 25;
        last = dx;
      }
  }
  const double root = std::sqrt(double(x.count));
  CHECK(x.mean() == Approx(0).margin(5 * 5 / root));
  CHECK(y.mean() == Approx(0).margin(5 * 5 / root));
  CHECK(x.deviation() == Approx(5).epsilon(5 / std::sqrt(2.0) / root));
  CHECK(y.deviation() == Approx(5).epsilon(5 / std::sqrt(2.0) / root));
  CHECK(fourth.mean() == Approx(3).margin(5 * std::sqrt(96.0) / root));
  CHECK(std::abs(xy / x.count) < 5 / root);
  CHECK(std::abs(neighbours / x.count) < 5 / root);
}

TEST_CASE("draw_warp: the target is the least-squares similarity of the nodes", "[warp]") {
  int mirrored = 0;
  for (uint32_t i = 0; i < 200; ++i) {
    Warp w = still(i % 2 ? 256 : 96, i % 3 ? 64 : 48);
    w.rotation = 10, w.zoom = 0.05f, w.shift = 0.05f, w.flip = 0.4f, w.jitter = 5.f / 256;
    const WarpSample s = draw_warp(w, 21, i, i, 4);
    // Fitted from the moved nodes to the regular ones, then inverted.
    const reference::Similarity m = reference::fit_similarity(nodes_of(s), regular_in_output(w));
    const double det = m.a * m.d - m.b * m.c;
    mirrored += det < 0;
    const double want[6] = {m.d / det,  -m.b / det, (m.b * m.ty - m.d * m.tx) / det,
                            -m.c / det, m.a / det,  (m.c * m.tx - m.a * m.ty) / det};
    const Affine& t = s.target;
    const double got[6] = {double(t.a), double(t.b), double(t.tx), double(t.c), double(t.d), double(t.ty)};
    // fp32 with coordinates up to the face's size; the linear part divides them by the output's.
    for (int e = 0; e < 6; ++e)
      CHECK(got[e] == Approx(want[e]).margin(64 * kRound * w.face_size / (e % 3 == 2 ? 1 : w.out_size)));
  }
  CHECK(mirrored > 40);
  CHECK(mirrored < 130);
}

TEST_CASE("draw_warps draws what draw_warp draws", "[warp][emulator]") {
  Warp w;
  w.people = 3, w.batch = 4, w.face_size = 256, w.out_size = 64;
  w.brightness = 0.1f, w.contrast = 0.2f;
  WarpFaces faces{};
  for (int p = 0; p < 3; ++p) faces.faces[p] = uint32_t(1 + 6 * p);
  on_backends([&](Stream stream) {
    // The formulas are the same, but each compiler fuses other products with the sums behind them, and a card's sin,
    // cos and log are off by up to 2 units in the last place. Coordinates are sums of a few terms as large as the face.
    const double exact = stream.device == Device::cpu ? 0 : stream.device == Device::emulator ? 2 : 16;
    Values<StepState> state(1);
    state[0] = {(uint64_t(7) << 40) + 3, (uint64_t(1) << 35) + 5, 0, 0};
    Values<WarpSample> got(12);
    draw_warps(got.data(), faces, state.data(), w, stream);
    CHECK(got.guards_intact());
    for (uint32_t i = 0; i < 12; ++i) {
      INFO("sample " << i);
      const WarpSample want = draw_warp(w, state[0].seed, state[0].step, i, faces.faces[i / 4]);
      const WarpSample& s = got[i];
      CHECK(s.face == want.face);
      const auto near = [&](float a, float b, double size) {
        return std::abs(double(a) - double(b)) <= exact * kRound * size;
      };
      for (int r = 0; r < kWarpNodes; ++r)
        for (int c = 0; c < kWarpNodes; ++c) {
          CHECK(near(s.nodes[r][c].x, want.nodes[r][c].x, 512));
          CHECK(near(s.nodes[r][c].y, want.nodes[r][c].y, 512));
        }
      const Affine &a = s.target, &b = want.target;
      CHECK((near(a.a, b.a, 16) && near(a.b, b.b, 16) && near(a.c, b.c, 16) && near(a.d, b.d, 16)));
      CHECK((near(a.tx, b.tx, 1024) && near(a.ty, b.ty, 1024)));
      CHECK((near(s.gain, want.gain, 2) && near(s.offset, want.offset, 2)));
    }
  });
}
