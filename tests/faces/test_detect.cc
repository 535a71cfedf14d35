#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <thread>

#include "drawn_face.h"
#include "faces/align.h"
#include "faces/track.h"
#include "kernels/philox.h"
#include "tests_faces.h"

using namespace doppel;

namespace {

Image backdrop(int w, int h) {
  Image image(w, h);
  std::fill_n(image.data(), image.size_bytes(), uint8_t(120));
  return image;
}

// The drawn face's nose tip and chin, in its own units.
constexpr float kNoseY = 0.1f, kChinY = 0.68f;

}  // namespace

TEST_CASE("the detector finds drawn faces, and their landmarks are where they were drawn") {
  Detector detector;
  Image image = backdrop(640, 480);
  draw_face(image, 430, 230, 190);
  draw_face(image, 120, 200, 110, 8);
  const std::vector<Face> faces = detector.detect(image);
  REQUIRE(faces.size() == 2);
  CHECK(faces[0].score >= faces[1].score);
  for (const Face& face : faces) {
    const bool big = face.box.width > 150;
    const float width = big ? 190 : 110, cx = big ? 430 : 120, cy = big ? 230 : 200;
    CHECK(std::abs(face.box.centre().x - cx) < 0.15f * width);
    CHECK(std::abs(face.landmarks[30].x - cx) < 0.07f * width);
    CHECK(std::abs(face.landmarks[30].y - (cy + kNoseY * width)) < 0.1f * width);
    CHECK(std::abs(face.landmarks[8].y - (cy + kChinY * width)) < 0.12f * width);
    CHECK(overlap(box_of(face.landmarks), face.box) > 0.6f);
  }
}

TEST_CASE("a small face takes the second search, and min_face leaves smaller ones out") {
  Image image = backdrop(800, 720);  // the first search is at 480 lines, where this face has 40 pixels
  draw_face(image, 400, 350, 60);
  Detector detector;
  CHECK(detector.detect(image, false).empty());
  REQUIRE(detector.detect(image).size() == 1);
  DetectorOptions options;
  options.min_face = 110;
  CHECK(Detector(options).detect(image).empty());
}

TEST_CASE("nothing is found where nothing is") {
  Detector detector;
  CHECK(detector.detect(backdrop(320, 240)).empty());
  CHECK(detector.detect(ImageView{}).empty());
  CHECK(detector.detect(backdrop(3, 2)).empty());
  Face far;
  far.box = {5000, 5000, 100, 100};
  CHECK(!detector.detect_near(backdrop(320, 240), far));
}

TEST_CASE("detect_near follows a moved face and does not take another one for it") {
  Detector detector;
  Image first = backdrop(800, 500), second = first;
  draw_face(first, 220, 250, 160);
  draw_face(second, 240, 240, 168);
  draw_face(second, 600, 250, 160);
  const std::vector<Face> found = detector.detect(first);
  REQUIRE(found.size() == 1);
  const std::optional<Face> next = detector.detect_near(second, found[0]);
  REQUIRE(next);
  CHECK(std::abs(next->landmarks[30].x - 240) < 12);
  Image gone = backdrop(800, 500);
  draw_face(gone, 600, 250, 160);
  CHECK(!detector.detect_near(gone, found[0]));
}

TEST_CASE("two detectors in two threads") {
  Image image = backdrop(400, 400);
  draw_face(image, 200, 190, 150);
  Landmarks results[2];
  std::thread threads[2];
  for (int t = 0; t < 2; ++t) {
    threads[t] = std::thread([&image, &results, t] {
      Detector detector;
      for (int i = 0; i < 3; ++i) {
        const std::vector<Face> faces = detector.detect(image);
        if (!faces.empty()) results[t] = faces[0].landmarks;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(results[0][30].x > 100);
  for (size_t i = 0; i < results[0].size(); ++i) CHECK(results[0][i].x == results[1][i].x);
}

TEST_CASE("the tracker starts with the largest face and stays with it when a larger one comes") {
  Tracker tracker;
  int number = -1;
  for (int i = 0; i < 12; ++i) {
    Image frame = backdrop(900, 480);
    draw_face(frame, 180 + 4 * float(i), 230, 130);
    if (i >= 4) draw_face(frame, 650, 230, 200);
    const std::vector<TrackedFace> faces = tracker.next(frame, i / 30.0);
    REQUIRE(faces.size() == 1);
    CHECK(std::abs(faces[0].face.landmarks[30].x - (180 + 4 * float(i))) < 12);
    if (i == 0) number = faces[0].track;
    CHECK(faces[0].track == number);
  }
}

TEST_CASE("a short gap keeps the track, a long one or a jump starts another") {
  TrackerOptions options;
  options.detector.second_search = false;
  Tracker tracker(options);
  Image face = backdrop(600, 400), empty = face, elsewhere = face;
  draw_face(face, 150, 190, 130);
  draw_face(elsewhere, 450, 190, 130);
  const auto track_of = [&](const Image& frame, double t) {
    const std::vector<TrackedFace> faces = tracker.next(frame, t);
    return faces.empty() ? -1 : faces[0].track;
  };
  const int first = track_of(face, 0);
  REQUIRE(first >= 0);
  CHECK(track_of(empty, 0.1) == -1);
  CHECK(track_of(face, 0.2) == first);
  const int second = track_of(elsewhere, 0.3);
  CHECK(second != first);
  CHECK(track_of(empty, 0.4) == -1);
  CHECK(track_of(elsewhere, 2.0) != second);
}

TEST_CASE("all faces are followed, each with its number") {
  TrackerOptions options;
  options.all_faces = true;
  options.full_search_every = 5;
  Tracker tracker(options);
  int left = -1, right = -1;
  for (int i = 0; i < 12; ++i) {
    Image frame = backdrop(800, 400);
    draw_face(frame, 160 + 3 * float(i), 190, 120);
    if (i >= 3) draw_face(frame, 600, 190, 150);  // comes in later, and is found by the regular search
    const std::vector<TrackedFace> faces = tracker.next(frame, i / 30.0);
    if (i < 3) REQUIRE(faces.size() == 1);
    if (i >= 8) {
      REQUIRE(faces.size() == 2);
      CHECK(faces[0].face.box.width >= faces[1].face.box.width);
    }
    for (const TrackedFace& f : faces) {
      int& number = f.face.box.centre().x < 400 ? left : right;
      if (number < 0) number = f.track;
      CHECK(f.track == number);
    }
  }
  CHECK(right >= 0);
  CHECK(left != right);
}

TEST_CASE("the landmark filter calms a still face and follows a moving one") {
  Random random(5, 0, 0);
  const Landmarks still = moved(canonical_face(), similarity(200, 0, 300, 300));
  const auto trembling = [&](const Landmarks& face) {
    Landmarks out = face;
    for (Point& p : out) {
      p.x += 0.8f * random.normal();
      p.y += 0.8f * random.normal();
    }
    return out;
  };
  LandmarkFilter filter;
  double raw = 0, smooth = 0;
  Landmarks last_raw{}, last{};
  for (int i = 0; i < 90; ++i) {
    const Landmarks input = trembling(still), output = filter(input, 1.0 / 30);
    for (size_t k = 0; i > 30 && k < input.size(); ++k) {
      raw += std::pow(input[k].x - last_raw[k].x, 2);
      smooth += std::pow(output[k].x - last[k].x, 2);
    }
    last_raw = input;
    last = output;
  }
  CHECK(smooth < 0.25 * raw);

  // A head that sets off at one and a half face widths a second: within a few frames it is followed closely.
  for (int i = 1; i <= 15; ++i) {
    Landmarks input = still;
    for (Point& p : input) p.x += 10.0f * float(i);
    const Landmarks output = filter(input, 1.0 / 30);
    const float lag = input[30].x - output[30].x;
    CAPTURE(i);
    CHECK(lag < (i > 5 ? 2.0f : 9.0f));
  }

  // A new start, and time that stands still, take the landmarks as they are.
  filter.reset();
  const Landmarks input = trembling(still);
  CHECK(filter(input, 1.0 / 30)[5].x == input[5].x);
  const Landmarks again = trembling(still);
  CHECK(filter(again, 0)[5].x == again[5].x);
}

TEST_CASE("overlap of boxes") {
  CHECK(overlap({0, 0, 10, 10}, {0, 0, 10, 10}) == 1);
  CHECK(overlap({0, 0, 10, 10}, {5, 0, 10, 10}) == Approx(1 / 3.0));
  CHECK(overlap({0, 0, 10, 10}, {10, 0, 10, 10}) == 0);
}
