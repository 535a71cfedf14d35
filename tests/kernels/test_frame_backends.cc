// Frame kernels on every backend: against the formulas in double, and where those stand in test_frame.cc already,
// against the CPU.
#include "kernels/frame.h"
#include "kernels/harness.h"
#include "kernels/reference_frame.h"

using namespace doppel;
using namespace doppel::testing;
using namespace doppel::reference;

namespace {

// Noise; rows are longer than they need to be, so that a kernel that ignores the stride fails.
struct Bytes {
  int width, height, channels;
  std::ptrdiff_t stride;
  Values<uint8_t> bytes;

  Bytes(int w, int h, int c, uint64_t seed, int low = 0, int high = 255)
      : width(w), height(h), channels(c), stride(c * w + 5), bytes(stride * h) {
    Random random(seed, 0, 0);
    for (int64_t i = 0; i < bytes.count(); ++i) bytes[i] = uint8_t(low + int(random.below(uint32_t(high - low + 1))));
  }
  ImageView view() { return {bytes.data(), width, height, stride}; }
  double clamped(int x, int y, int c) {
    x = std::clamp(x, 0, width - 1);
    y = std::clamp(y, 0, height - 1);
    return bytes[y * stride + channels * x + c];
  }
};

struct Crop {
  Affine map;
  int size;
};
const Crop kCrops[] = {
    {Affine{}, 9},                       // pixels as they are
    {turned(1, 0, -3.5f, 2.25f), 33},    // shifted; more than a block
    {turned(3.1f, 20, -40, -31), 11},    // enlarged and turned
    {turned(0.4f, -33, 3, 6), 10},       // reduced
    {turned(0.15f, 5, 2, 1), 5},         // reduced far: kernels larger than the frame
    {turned(1.3f, 90, 300, -200), 4},    // wholly outside
    {turned(0.08f, 0, 0.2f, -3.4f), 3},  // so far reduced that kernels reach back into the frame from 20 pixels outside
};

// exact(x, y, c): the crop's value in double, 0..255, not clamped. Runs both crops on a backend.
template <typename Exact, typename CropBytes, typename CropFloats>
void check_crop(const Crop& crop, Exact&& exact, CropBytes&& crop_bytes, CropFloats&& crop_floats) {
  CAPTURE(crop.map.a, crop.map.b, crop.map.tx, crop.size);
  const int size = crop.size;
  const std::ptrdiff_t stride = 3 * size + 2;
  Values<uint8_t> got(stride * size);
  std::fill(got.data(), got.data() + got.count(), uint8_t(99));
  Buffer floats(DType::f32, int64_t(3) * size * size);
  crop_bytes(ImageView{got.data(), size, size, stride});
  crop_floats(floats.f32());
  CHECK(got.guards_intact());
  double worst_byte = 0;
  Doubles want;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x)
      for (int c = 0; c < 3; ++c) {
        const double value = std::clamp(exact(x, y, c), 0.0, 255.0);
        want.push_back(value / 255);
        worst_byte = std::max(worst_byte, std::abs(got[y * stride + 3 * x + c] - value));
      }
    CHECK((got[y * stride + 3 * size] == 99 && got[y * stride + 3 * size + 1] == 99));
  }
  // The position's float error (2^-22 of some hundred pixels) times the steepest slope of noise.
  CHECK(mismatch(floats, want, Doubles(want.size(), 0.05 / 255)) == "");
  CHECK(worst_byte < 0.5 + 0.05);
}

}  // namespace

TEST_CASE("RGB crops are the formula on every backend", "[frame][emulator]") {
  Bytes frame(31, 23, 3, 1);
  on_backends([&](Stream stream) {
    for (const Crop& crop : kCrops) {
      const Back back(crop.map);
      check_crop(
          crop,
          [&](int u, int v, int c) {
            return sample([&](int x, int y, int k) { return frame.clamped(x, y, k); }, back.x(u, v), back.y(u, v),
                          back.sx, back.sy, c);
          },
          [&](ImageView out) { crop_u8(frame.view(), crop.map, out, stream); },
          [&](float* out) { crop_f32(frame.view(), crop.map, crop.size, out, stream); });
    }
  });
}

TEST_CASE("NV12 crops are the formula on every backend", "[frame][emulator]") {
  struct Format {
    YuvMatrix matrix;
    bool full;
    float x, y;
    int width, height;
  };
  // Odd sizes: the last chroma value covers one luma pixel.
  const Format formats[] = {{YuvMatrix::bt709, false, 0, 0.5f, 30, 22},
                            {YuvMatrix::bt601, true, 0.5f, 0.5f, 31, 23},
                            {YuvMatrix::bt2020, false, 0, 0, 29, 21}};
  on_backends([&](Stream stream) {
    for (const Format& f : formats) {
      Bytes luma(f.width, f.height, 1, 3), chroma((f.width + 1) / 2, (f.height + 1) / 2, 2, 4, 60, 200);
      Nv12View view;
      view.luma = luma.bytes.data(), view.chroma = chroma.bytes.data();
      view.width = f.width, view.height = f.height;
      view.luma_stride = luma.stride, view.chroma_stride = chroma.stride;
      view.matrix = f.matrix, view.full_range = f.full, view.chroma_x = f.x, view.chroma_y = f.y;
      const double kr = f.matrix == YuvMatrix::bt601 ? 0.299 : f.matrix == YuvMatrix::bt709 ? 0.2126 : 0.2627;
      const double kb = f.matrix == YuvMatrix::bt601 ? 0.114 : f.matrix == YuvMatrix::bt709 ? 0.0722 : 0.0593;
      for (const Crop& crop : kCrops) {
        const Back back(crop.map);
        const auto exact = [&](int u, int v, int c) {
          const double qx = back.x(u, v), qy = back.y(u, v);
          const auto value = [&](Bytes& plane, double x, double y, double scale, int channel) {
            return sample([&](int i, int j, int k) { return plane.clamped(i, j, k); }, x, y,
                          std::max(1.0, back.sx / scale), std::max(1.0, back.sy / scale), channel);
          };
          const double code = value(luma, qx, qy, 1, 0);
          const double cx = (qx - double(f.x)) / 2, cy = (qy - double(f.y)) / 2;
          const double e = f.full ? code / 255 : (code - 16) / 219, range = f.full ? 255 : 224;
          const double pb = (value(chroma, cx, cy, 2, 0) - 128) / range;
          const double pr = (value(chroma, cx, cy, 2, 1) - 128) / range;
          const double r = e + 2 * (1 - kr) * pr, b = e + 2 * (1 - kb) * pb;
          return 255 * (c == 0 ? r : c == 2 ? b : (e - kr * r - kb * b) / (1 - kr - kb));
        };
        check_crop(
            crop, exact, [&](ImageView out) { crop_nv12_u8(view, crop.map, out, stream); },
            [&](float* out) { crop_nv12_f32(view, crop.map, crop.size, out, stream); });
      }
    }
  });
}

TEST_CASE("an NV12 frame without colour is grey", "[frame]") {
  Bytes luma(8, 8, 1, 3, 16, 235), chroma(4, 4, 2, 4, 128, 128);
  Nv12View view;
  view.luma = luma.bytes.data(), view.chroma = chroma.bytes.data(), view.width = view.height = 8;
  view.luma_stride = luma.stride, view.chroma_stride = chroma.stride;
  luma.bytes[0] = 16, luma.bytes[1] = 235;
  Bytes out(8, 8, 3, 1);
  crop_nv12_u8(view, Affine{}, out.view());
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x)
      CHECK((out.clamped(x, y, 0) == out.clamped(x, y, 1) && out.clamped(x, y, 1) == out.clamped(x, y, 2)));
  CHECK(out.clamped(0, 0, 0) == 0);
  CHECK(out.clamped(1, 0, 0) == 255);
}

TEST_CASE("colour statistics and transfer are the CPU's on every backend", "[frame][emulator]") {
  on_backends([](Stream stream) {
    for (const int64_t pixels : {int64_t(1), int64_t(2), int64_t(255), int64_t(2600)}) {
      INFO(pixels << " pixels");
      Doubles colours = uniform(1, 3 * pixels, 0.3f, 0.6f), weights = uniform(2, pixels, -0.3f, 1);
      for (double& w : weights) w = std::max(w, 0.0);
      weights[0] = 0.5;
      for (int64_t i = 3; i < 3 * pixels; i += 210)
        colours[size_t(i)] = 1.5;  // highlights, which the second pass drops
      Buffer image(DType::f32, colours), mask(DType::f32, weights);
      const ColourStats want = colour_stats(image.f32(), mask.f32(), pixels);
      const ColourStats got = colour_stats(image.f32(), mask.f32(), pixels, stream);
      // Sums are double on both sides; only the last rounding to float can differ.
      CHECK(double(got.weight) == Approx(double(want.weight)).epsilon(2 * kRound));
      for (int c = 0; c < 3; ++c) {
        CHECK(std::abs(double(got.mean[c]) - double(want.mean[c])) <= 4 * kRound);
        CHECK(std::abs(double(got.deviation[c]) - double(want.deviation[c])) <= 1e-6);
      }
      Buffer none(DType::f32, Doubles(size_t(pixels)));
      const ColourStats empty = colour_stats(image.f32(), none.f32(), pixels, stream);
      CHECK((empty.weight == 0 && empty.mean[0] == 0 && empty.deviation[2] == 0));

      ColourMap map;
      for (int e = 0; e < 9; ++e) map.m[e] = 0.1f * float(e) - 0.3f;
      map.t[0] = 0.1f, map.t[1] = -0.2f, map.t[2] = 0.3f;
      Doubles mapped;
      for (int64_t i = 0; i < 3 * pixels; ++i) {
        double sum = double(map.t[i % 3]);
        for (int64_t k = 0; k < 3; ++k) sum += double(map.m[i % 3 * 3 + k]) * image[i / 3 * 3 + k];
        mapped.push_back(sum);
      }
      apply_colour(image.f32(), pixels, map, stream);
      CHECK(mismatch(image, mapped, Doubles(mapped.size(), 8 * kRound)) == "");
    }
    CHECK(colour_stats(nullptr, nullptr, 0, stream).weight == 0);
  });
}

TEST_CASE("colour statistics have the same bits in all orders", "[frame][emulator]") {
  const int64_t pixels = 5000;
  Buffer image(DType::f32, uniform(1, 3 * pixels, 0.2f, 0.9f)), mask(DType::f32, uniform(2, pixels, 0, 1));
  const auto check = [&](const ColourStats& first, Stream stream) {
    const ColourStats again = colour_stats(image.f32(), mask.f32(), pixels, stream);
    CHECK(std::memcmp(&again, &first, sizeof first) == 0);
  };
  const ColourStats first = colour_stats(image.f32(), mask.f32(), pixels, Stream{Device::emulator});
  on_emulator([&](Stream stream) { check(first, stream); });
  on_card([&](Stream stream) { check(colour_stats(image.f32(), mask.f32(), pixels, stream), stream); });
}

TEST_CASE("paste is the CPU's on every backend", "[frame][emulator]") {
  const int size = 12, mask_size = 20;
  Buffer face(DType::f32, uniform(7, 3 * size * size, -0.1f, 1.1f)), mask(DType::f32, mask_size * mask_size);
  for (int i = 0; i < mask_size * mask_size; ++i) {
    const double r = std::hypot(i % mask_size - 9.5, i / mask_size - 9.5);
    mask.set(i, std::clamp((9 - r) / 5, 0.0, 1.0));
  }
  // Enlarged and turned; reduced; half outside the frame; wholly outside.
  for (const Affine& map :
       {turned(0.3f, 25, -3, -6), turned(1.9f, -10, -30, -20), turned(0.25f, 0, 4, -2), turned(0.3f, 0, 100, 100)}) {
    CAPTURE(map.a, map.tx);
    Bytes before(41, 35, 3, 5), want(41, 35, 3, 5);
    paste(want.view(), face.f32(), size, mask.f32(), mask_size, map);
    on_backends([&](Stream stream) {
      Bytes frame(41, 35, 3, 5);
      paste(frame.view(), face.f32(), size, mask.f32(), mask_size, map, stream);
      CHECK(frame.bytes.guards_intact());
      int off = 0, wrong = 0;
      for (int64_t i = 0; i < frame.bytes.count(); ++i) {
        // Next to a tie a value may round either way.
        const int d = std::abs(int(frame.bytes[i]) - int(want.bytes[i]));
        off += d == 1;
        wrong += d > 1;
      }
      CHECK(wrong == 0);
      CHECK(off <= 2);
    });
  }
}

TEST_CASE("paste touches nothing where the mask is 0, whatever the face is", "[frame][emulator]") {
  Buffer face(DType::f32, Doubles(3 * 12 * 12, double(NAN))), mask(DType::f32, Doubles(16));
  Bytes before(20, 20, 3, 5);
  on_backends([&](Stream stream) {
    Bytes frame(20, 20, 3, 5);
    paste(frame.view(), face.f32(), 12, mask.f32(), 4, turned(0.9f, 20, 2, -3), stream);
    for (int64_t i = 0; i < frame.bytes.count(); ++i)
      if (frame.bytes[i] != before.bytes[i]) FAIL("byte " << i);
  });
}

TEST_CASE("frame kernels refuse what they cannot do on every backend", "[frame][emulator]") {
  on_backends([](Stream stream) {
    Bytes frame(8, 8, 3, 1), crop(4, 4, 3, 2);
    Buffer face(DType::f32, Doubles(12)), mask(DType::f32, Doubles(4));
    CHECK_THROWS_AS(crop_u8(frame.view(), Affine{0, 0, 0, 0, 0, 0}, crop.view(), stream), std::invalid_argument);
    ImageView none = frame.view();
    none.width = 0;
    CHECK_THROWS_AS(crop_u8(none, Affine{}, crop.view(), stream), std::invalid_argument);
    none = crop.view();
    none.width = 0;
    CHECK_NOTHROW(crop_u8(frame.view(), Affine{}, none, stream));
    CHECK_THROWS_AS(crop_u8(ImageView{}, Affine{}, crop.view(), stream), std::invalid_argument);
    CHECK_THROWS_AS(crop_nv12_u8(Nv12View{}, Affine{}, crop.view(), stream), std::invalid_argument);
    CHECK_THROWS_AS(paste(frame.view(), face.f32(), 1, mask.f32(), 2, Affine{}, stream), std::invalid_argument);
    CHECK_THROWS_AS(paste(frame.view(), face.f32(), 2, mask.f32(), 2, Affine{1, 1, 0, 1, 1, 0}, stream),
                    std::invalid_argument);
  });
}
