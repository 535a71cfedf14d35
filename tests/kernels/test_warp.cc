// The warp augmentation: what is drawn, how the target is fitted, and what is sampled.
#include "kernels/warp.h"

#include <deque>
#include <memory>

#include "kernels/harness.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// All randomness off; tests switch on what they measure.
Warp still(int face_size, int out_size) {
  Warp w;
  w.people = 1, w.batch = 1;
  w.face_size = face_size, w.out_size = out_size;
  w.rotation = w.zoom = w.shift = w.flip = w.jitter = 0;
  return w;
}

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

std::vector<uint8_t> noise_faces(int faces, int size, uint64_t seed) {
  Random random(seed, 0, 0);
  std::vector<uint8_t> v(size_t(faces) * size_t(size) * size_t(size) * 3);
  for (auto& e : v) e = uint8_t(random.below(256));
  return v;
}

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

TEST_CASE("warp_batch agrees with sampling in double", "[warp][emulator]") {
  struct Size {
    int face, out;
    bool large;
  };
  for (const auto& [face_size, out, large] :
       {Size{256, 64, true}, Size{40, 64, true}, Size{67, 17, false}, Size{96, 33, false}, Size{2, 2, false}})
    for (const DType type : {DType::f32, DType::bf16}) {
      INFO("face " << face_size << " output " << out << " " << name_of(type));
      Warp w;
      w.people = 2, w.batch = 3, w.face_size = face_size, w.out_size = out, w.input_type = type;
      w.brightness = 0.1f, w.contrast = 0.2f;
      Values<uint8_t> first(int64_t(3) * face_size * face_size * 3), second(int64_t(2) * face_size * face_size * 3);
      WarpFaces faces{};
      int person = 0;
      for (Values<uint8_t>* set : {&first, &second}) {
        const std::vector<uint8_t> noise = noise_faces(3 - person, face_size, uint64_t(1 + person));
        set->assign(noise);
        faces.pixels[person] = set->data(), faces.faces[person] = uint32_t(3 - person);
        ++person;
      }
      faces.shift[1][0] = 0.1f, faces.shift[1][1] = -0.2f, faces.shift[1][2] = 0.05f;
      Values<StepState> state(1);
      state[0] = {9, 4, 0, 0};

      Doubles want_input, want_target;
      for (uint32_t i = 0; i < 6; ++i) {
        const uint32_t of = i / 3;
        const WarpSample s = draw_warp(w, 9, 4, i, faces.faces[of]);
        REQUIRE(s.face < faces.faces[of]);
        const uint8_t* face = faces.pixels[of] + size_t(s.face) * size_t(face_size * face_size * 3);
        const reference::Warped r = reference::warp(w, s, face, faces.shift[of]);
        want_input.insert(want_input.end(), r.input.begin(), r.input.end());
        want_target.insert(want_target.end(), r.target.begin(), r.target.end());
      }
      // Coordinates of up to the face's size in fp32 are off by some 2^-24 of it, and neighbouring pixels of noise
      // differ by up to 1 on both axes.
      const double coordinates = 2 * 1.2 * 16 * kRound * face_size + 16 * kRound;
      Doubles target_allowed(want_input.size(), coordinates), input_allowed = target_allowed;
      if (type == DType::bf16)
        for (size_t i = 0; i < input_allowed.size(); ++i)
          input_allowed[i] += 1.01 * unit_roundoff(type) * want_input[i];

      const auto check = [&](Stream stream) {
        const int64_t picture = int64_t(out) * out * 3;
        Buffer input(type, 6 * picture), target(DType::f32, 6 * picture);
        warp_batch(input.data(), target.f32(), faces, state.data(), w, stream);
        CHECK(mismatch(target, want_target, target_allowed) == "");
        CHECK(mismatch(input, want_input, input_allowed) == "");
        for (double v : input.values())
          if (v < 0 || v > 1) FAIL("an input of " << v);
      };
      if (!large)
        on_backends(check);
      else if (!emulator::checked())
        on_fast_backends(check);
    }
}

TEST_CASE("warp_batch: without randomness the input is the target is the reduced face", "[warp][emulator]") {
  // 160 of 256 pixels onto 80: each output pixel is a 2 x 2 block, whose pixels the four taps hit exactly.
  const Warp w = still(256, 80);
  const std::vector<uint8_t> noise = noise_faces(1, 256, 3);
  Values<uint8_t> face(int64_t(noise.size()));
  face.assign(noise);
  WarpFaces faces{};
  faces.pixels[0] = face.data(), faces.faces[0] = 1;
  Values<StepState> state(1);
  state[0] = {1, 1, 0, 0};
  Doubles want;
  for (int y = 0; y < 80; ++y)
    for (int x = 0; x < 80; ++x)
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int i = 0; i < 4; ++i)
          sum += noise[size_t(((48 + 2 * y + i / 2) * 256 + 48 + 2 * x + i % 2) * 3 + c)] / 255.0;
        want.push_back(sum / 4);
      }
  const Doubles allowed(want.size(), 2 * 1.2 * 16 * kRound * 256);
  on_backends([&](Stream stream) {
    Buffer input(DType::f32, 80 * 80 * 3), target(DType::f32, 80 * 80 * 3);
    warp_batch(input.f32(), target.f32(), faces, state.data(), w, stream);
    CHECK(mismatch(input, want, allowed) == "");
    CHECK(mismatch(target, want, allowed) == "");
  });
}

TEST_CASE("a staged face is warped as it is in its set", "[warp][emulator]") {
  Warp w;
  w.people = 3, w.batch = 3, w.face_size = 24, w.out_size = 12;
  const int64_t bytes = 24 * 24 * 3, count = int64_t(w.people) * w.batch * 12 * 12 * 3;
  WarpFaces resident{};
  std::deque<Values<uint8_t>> sets, staging;
  for (int p = 0; p < w.people; ++p) {
    resident.faces[p] = uint32_t(4 + p);
    const std::vector<uint8_t> noise = noise_faces(4 + p, 24, uint64_t(p));
    sets.emplace_back(int64_t(noise.size()));
    sets.back().assign(noise);
    resident.pixels[p] = sets.back().data();
    staging.emplace_back(2 * w.batch * bytes);
    staging.back().set_written();  // below, face by face
  }
  WarpFaces staged = resident;
  for (const int p : {0, 2}) staged.pixels[p] = staging[size_t(p)].data(), staged.staged[p] = true;

  // A step that is even and one that is odd; what the other half holds must not matter.
  for (const uint64_t step : {(uint64_t(1) << 40) + 6, (uint64_t(1) << 40) + 7}) {
    INFO("step " << step);
    for (const int p : {0, 2}) {
      uint8_t* to = staging[size_t(p)].data();
      std::fill_n(to, 2 * w.batch * bytes, uint8_t(7));
      for (int b = 0; b < w.batch; ++b) {
        const uint32_t sample = uint32_t(p * w.batch + b), face = drawn_face(5, step, sample, resident.faces[p]);
        CHECK(face == draw_warp(w, 5, step, sample, resident.faces[p]).face);
        std::copy_n(resident.pixels[p] + face * bytes, bytes, to + (int64_t(step % 2) * w.batch + b) * bytes);
      }
    }
    Values<StepState> state(1);
    state[0] = {5, step, 0, 0};
    on_backends([&](Stream stream) {
      Buffer input(DType::f32, count), target(DType::f32, count), input_staged(DType::f32, count),
          target_staged(DType::f32, count);
      warp_batch(input.f32(), target.f32(), resident, state.data(), w, stream);
      warp_batch(input_staged.f32(), target_staged.f32(), staged, state.data(), w, stream);
      CHECK(input_staged.same_bits(input));
      CHECK(target_staged.same_bits(target));
    });
  }
}

// Also of the order of the blocks, and bit for bit. The small output ends within a block, the large one has several.
TEST_CASE("warp_batch depends on (seed, step, sample) alone", "[warp][emulator]") {
  const int out_size = GENERATE(9, 24);
  Warp w;
  w.people = 2, w.batch = 4, w.face_size = 40, w.out_size = out_size;
  w.brightness = 0.1f, w.contrast = 0.2f;
  const std::vector<uint8_t> noise = noise_faces(5, 40, 3);
  Values<uint8_t> set(int64_t(noise.size()));
  set.assign(noise);
  WarpFaces faces{};
  for (int p = 0; p < 2; ++p) faces.pixels[p] = set.data(), faces.faces[p] = 5;
  const int64_t count = int64_t(8) * out_size * out_size * 3;
  struct Pictures {
    Buffer input, target;
    explicit Pictures(int64_t elements) : input(DType::f32, elements), target(DType::f32, elements) {}
  };
  const auto run = [&](uint64_t seed, uint64_t step, int threads, Stream stream) {
    Values<StepState> state(1);
    state[0] = {seed, step, 0, 0};
    auto made = std::make_unique<Pictures>(count);
    with_threads(threads, [&] { warp_batch(made->input.f32(), made->target.f32(), faces, state.data(), w, stream); });
    return made;
  };
  const auto check = [&](const Pictures& first, Stream stream) {
    for (const int threads : {1, 2, 3, 8}) {
      if (stream.device != Device::cpu && threads > 1) continue;
      const auto again = run(1, 2, threads, stream);
      CHECK(again->input.same_bits(first.input));
      CHECK(again->target.same_bits(first.target));
    }
    CHECK_FALSE(run(2, 2, 1, stream)->input.same_bits(first.input));
    CHECK_FALSE(run(1, 3, 1, stream)->input.same_bits(first.input));
    // Samples differ from one another, also those of the two people, who have the same faces here.
    const int64_t picture = count / 8;
    for (int64_t i = 1; i < 8; ++i) {
      int64_t same = 0;
      for (int64_t e = 0; e < picture; ++e) same += first.input[e] == first.input[i * picture + e];
      CHECK(same < picture / 2);
    }
  };
  if (!emulator::checked()) on_fast_backends([&](Stream stream) { check(*run(1, 2, 1, stream), stream); });
  const auto first = run(1, 2, 1, {Device::emulator});
  on_emulator([&](Stream stream) { check(*first, stream); });
}
