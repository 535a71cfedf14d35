// The instructions of sm_90 and sm_90a, on the emulator (and on such a card, when there is one), against what their
// documentation says.
#include "emulator/hopper.h"
#include "emulator/instructions.h"
#include "kernels/harness.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

// Like where_compiled of test_instructions.cc, for an architecture that has them.
template <typename Body>
void on_hopper(Body body) {
  if (!compiled_for_card()) {
    testing::on_emulator([&](Stream stream) {
      emulator::options().sm = 90;
      body(stream);
    });
  } else if (hopper_present()) {
    body(Stream{Device::cuda});
  }
}

// Rows of 64 of `out` against element(row, c).
template <typename Element>
void check_rows(const Buffer& out, Element&& element) {
  Doubles want;
  for (int row = 0; row < int(out.count()) / 64; ++row)
    for (int c = 0; c < 64; ++c) want.push_back(element(row, c));
  CHECK(mismatch(out, want, Doubles(want.size())) == "");
}

}  // namespace

TEST_CASE("a tensor's box arrives swizzled, with zeros for what lies outside", "[hopper][emulator]") {
  on_hopper([](Stream stream) {
    // The outermost distance is no multiple of the others, as that of two decoders' weights may be.
    const int64_t c = 72, rows = 20, planes = 3, groups = 2, stride = c * rows * planes + 40;
    const Buffer x(DType::bf16, uniform(1, stride * groups));
    for (const auto& [at_c, at_j, at_k, at_l] : {std::tuple{0, 0, 0, 0},
                                                 {8, 3, 1, 1},
                                                 {64, 15, 2, 0},
                                                 {-8, -2, 0, 1},
                                                 {80, 0, 0, 0},
                                                 {0, 0, 0, 2},
                                                 {0, 0, 0, -1}}) {
      const Tiled t{x.data(), {c, rows, planes, groups}, {c, c * rows, stride}, 8, 2};
      Buffer out(DType::bf16, 16 * 64);
      run_tma_load(out.bf16(), t, {at_c, at_j, at_k, at_l}, stream);
      check_rows(out, [&, c0 = at_c, j0 = at_j, k0 = at_k, l = at_l](int row, int i) {
        const int64_t e = c0 + i, j = j0 + row % 8, k = k0 + row / 8;
        const bool inside = e >= 0 && e < c && j >= 0 && j < rows && k < planes && l >= 0 && l < groups;
        return inside ? x[l * stride + (k * rows + j) * c + e] : 0;
      });
    }
  });
}

TEST_CASE("pixels of pictures arrive as a filter's tap sees them", "[hopper][emulator]") {
  on_hopper([](Stream stream) {
    const int n = 3, h = 5, w = 7;
    // With 40 and 8 channels a row of 64 is wider than a pixel: zeros follow, not the next pixel.
    for (const auto& [channels, stride] : {std::pair{72, 1}, {72, 2}, {40, 1}, {40, 2}, {8, 1}}) {
      const int c = channels, step = stride;
      INFO("channels " << c << ", step " << step);
      const Buffer x(DType::bf16, uniform(2, int64_t(n) * h * w * c));
      const int some = c < 64 ? 0 : 16;
      for (const auto& [right, down] : {std::pair{0, 0}, {2, 1}, {4, 2}}) {
        // A filter of 3 x 5 with paddings 1, 2 (top, left) and 1, 1: outputs begin at (-2, -1) and end so that the
        // filter ends one beyond the picture.
        const Im2col t{x.data(), n, h, w, c, -2, -1, 1 - 4, 1 - 2, step, 40};
        const int across = (w + 3 - 5) / step + 1, along = (h + 2 - 3) / step + 1;
        // Two copies can fill a step, the second from a row on that is not the first of a swizzle's pattern.
        for (const auto& [first, to_row, at_c] :
             {std::tuple{0, 0, some}, {4, 0, some}, {across * along, 3, some}, {4, 5, c}}) {
          const int q = first % across, p = first / across % along, image = first / across / along;
          Buffer out(DType::bf16, 40 * 64);
          run_tma_load_im2col(out.bf16(), t, {at_c, q * step - 2, p * step - 1, image}, right, down, to_row, stream);
          check_rows(out, [&, m0 = first, c0 = at_c, dx = right, dy = down](int row, int i) {
            const int m = m0 + row, picture = m / across / along;
            const int y = m / across % along * step - 1 + dy, at = m % across * step - 2 + dx;
            const bool inside = picture < n && y >= 0 && y < h && at >= 0 && at < w && c0 + i < c;
            return inside ? x[((int64_t(picture) * h + y) * w + at) * c + c0 + i] : 0;
          });
        }
      }
    }
  });
}

TEST_CASE("a warpgroup multiplies what lies in shared memory", "[hopper][emulator]") {
  on_hopper([](Stream stream) {
    for (const int n : {128, 256})
      for (const bool a_across : {false, true})
        for (const bool b_across : {false, true}) {
          INFO("n " << n << (a_across ? ", a across" : "") << (b_across ? ", b across" : ""));
          const Buffer a(DType::bf16, uniform(3, 64 * 64)), b(DType::bf16, uniform(4, 64 * n));
          Buffer d(DType::f32, 64 * n);
          run_wgmma(d.f32(), static_cast<const Bf16*>(a.data()), static_cast<const Bf16*>(b.data()), n, a_across,
                    b_across, stream);
          Doubles want, allowed;
          for (int i = 0; i < 64; ++i)
            for (int j = 0; j < n; ++j) {
              double sum = 0, size = 0;
              for (int k = 0; k < 64; ++k) {
                const double v = a[a_across ? k * 64 + i : i * 64 + k] * b[b_across ? k * n + j : j * 64 + k];
                sum += 2 * v, size += 2 * std::abs(v);
              }
              want.push_back(sum), allowed.push_back(size * sum_error(128));
            }
          CHECK(mismatch(d, want, allowed) == "");
        }
  });
}

TEST_CASE("blocks of a cluster bring each other what both need", "[cluster][emulator]") {
  on_hopper([](Stream stream) {
    for (const emulator::Order order :
         {emulator::Order::forward, emulator::Order::reverse, emulator::Order::shuffled}) {
      emulator::options().blocks = emulator::options().warps = order;
      const int c = 72, rows = 40;
      const Buffer x(DType::bf16, uniform(5, c * rows));
      Buffer out(DType::bf16, 4 * 32 * 64);
      run_tma_load_to(out.bf16(), {x.data(), {c, rows, 1, 1}, {c, c * rows, c * rows}, 16, 1}, stream);
      check_rows(out, [&](int row, int i) { return x[row % 32 * c + i]; });
      // Pictures of 5 rows of 8, of which a tap one to the right is wanted: the last of each row is outside.
      const Im2col t{x.data(), 1, 5, 8, c, 0, 0, 0, 0, 1, 16};
      run_tma_load_im2col_to(out.bf16(), t, {{8, 0, 0, 0}, {8, 4, 2, 0}}, stream);
      check_rows(out, [&](int row, int i) {
        const int pixel = row % 32 + (row % 32 < 16 ? 0 : 4);
        return pixel % 8 == 7 ? 0 : x[(pixel + 1) * c + 8 + i];
      });
    }
  });
}

TEST_CASE("blocks of a cluster arrive at each other's mbarriers", "[cluster][emulator]") {
  on_hopper([](Stream stream) {
    for (const int cluster : {1, 2, 4, 8})
      for (const emulator::Order order : {emulator::Order::forward, emulator::Order::shuffled}) {
        emulator::options().blocks = emulator::options().warps = order;
        Values<int> out(24);
        for (int i = 0; i < 24; ++i) out[i] = -1;
        run_arrive_at(out.data(), 24, cluster, stream);
        for (int i = 0; i < 24; ++i) CHECK(out[i] == i % cluster);
      }
  });
}

TEST_CASE("tensor maps have limits", "[hopper][emulator]") {
  alignas(16) static Bf16 data[64];
  const Tiled good{data, {64, 1, 1, 1}, {64, 64, 64}, 8, 1};
  const Im2col pictures{data, 1, 1, 1, 64, -1, -1, -1, -1, 1, 64};
  CHECK(tensor_map_problem(good) == "");
  CHECK(tensor_map_problem(pictures) == "");
  const auto bad = [](auto map, auto spoil) {
    spoil(map);
    return tensor_map_problem(map) != "";
  };
  CHECK(bad(good, [](Tiled& t) { t.data = data + 1; }));
  CHECK(bad(good, [](Tiled& t) { t.sizes[1] = 0; }));
  CHECK(bad(good, [](Tiled& t) { t.sizes[3] = 0; }));
  CHECK(bad(good, [](Tiled& t) { t.strides[0] = 4; }));
  CHECK(bad(good, [](Tiled& t) { t.strides[2] = 4; }));
  CHECK(bad(good, [](Tiled& t) { t.rows = 257; }));
  CHECK(bad(pictures, [](Im2col& t) { t.data = data + 1; }));
  CHECK(bad(pictures, [](Im2col& t) { t.lower_x = -129; }));
  CHECK(bad(pictures, [](Im2col& t) { t.upper_y = -2; }));  // empty
  CHECK(bad(pictures, [](Im2col& t) { t.step = 9; }));
  CHECK(bad(pictures, [](Im2col& t) { t.pixels = 1025; }));
  CHECK(bad(pictures, [](Im2col& t) { t.c = 60; }));
  CHECK(bad(pictures, [](Im2col& t) { t.n = 0; }));
}
