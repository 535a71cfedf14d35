// What the warp samples: batches of inputs and targets.
#include "kernels/warp_checks.h"

#include <deque>
#include <memory>

using namespace doppel;
using namespace doppel::testing;

namespace {

// [faces, size, size, 3]
struct NoiseFaces : Values<uint8_t> {
  NoiseFaces(int faces, int size, uint64_t seed) : Values(int64_t(faces) * size * size * 3) {
    Random random(seed, 0, 0);
    for (int64_t i = 0; i < count(); ++i) data()[i] = uint8_t(random.below(256));
    set_written();
  }
};

}  // namespace

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
      NoiseFaces first(3, face_size, 1), second(2, face_size, 2);
      WarpFaces faces{};
      faces.pixels[0] = first.data(), faces.faces[0] = 3;
      faces.pixels[1] = second.data(), faces.faces[1] = 2;
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
  NoiseFaces face(1, 256, 3);
  const uint8_t* noise = face.data();
  WarpFaces faces{};
  faces.pixels[0] = face.data(), faces.faces[0] = 1;
  Values<StepState> state(1);
  state[0] = {1, 1, 0, 0};
  Doubles want;
  for (int y = 0; y < 80; ++y)
    for (int x = 0; x < 80; ++x)
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int i = 0; i < 4; ++i) sum += noise[((48 + 2 * y + i / 2) * 256 + 48 + 2 * x + i % 2) * 3 + c] / 255.0;
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
  std::deque<NoiseFaces> sets;
  std::deque<Values<uint8_t>> staging;
  for (int p = 0; p < w.people; ++p) {
    resident.faces[p] = uint32_t(4 + p);
    sets.emplace_back(4 + p, 24, uint64_t(p));
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
  NoiseFaces set(5, 40, 3);
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
