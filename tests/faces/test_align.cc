#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "faces/align.h"
#include "faces/canonical.h"
#include "kernels/philox.h"
#include "runtime/image.h"
#include "tests_faces.h"

using namespace doppel;

TEST_CASE("umeyama finds a known similarity") {
  Random random(1, 0, 0);
  for (const float degrees : {0.0f, 30.0f, -120.0f, 180.0f}) {
    const Affine truth = similarity(0.37f, degrees, 12, -40);
    std::vector<Point> from, to;
    for (int i = 0; i < 7; ++i) {
      from.push_back({random.uniform(-100, 100), random.uniform(0, 300)});
      to.push_back(truth(from.back()));
    }
    const Affine found = umeyama(from, to);
    CHECK(found.a == Approx(truth.a).margin(1e-5));
    CHECK(found.b == Approx(truth.b).margin(1e-5));
    CHECK(found.tx == Approx(truth.tx).margin(1e-3));
    CHECK(found.c == Approx(truth.c).margin(1e-5));
    CHECK(found.ty == Approx(truth.ty).margin(1e-3));
  }
}

TEST_CASE("umeyama never mirrors, even when a mirror image would fit") {
  const std::vector<Point> from = {{0, 0}, {4, 0}, {0, 2}, {5, 3}};
  std::vector<Point> to = from;
  for (Point& p : to) p.x = -p.x;
  const Affine found = umeyama(from, to);
  CHECK(found.a * found.d - found.b * found.c > 0);
  CHECK(found.a == Approx(found.d));
  CHECK(found.b == Approx(-found.c));
}

TEST_CASE("umeyama is the least-squares optimum: no small change is better") {
  Random random(2, 0, 0);
  std::vector<Point> from, to;
  std::vector<float> weights;
  for (int i = 0; i < 12; ++i) {
    from.push_back({random.normal(), random.normal()});
    to.push_back({3 * random.normal(), 3 * random.normal()});
    weights.push_back(random.uniform(0.1f, 2));
  }
  const auto error = [&](const Affine& m) {
    double sum = 0;
    for (size_t i = 0; i < from.size(); ++i) {
      const Point p = m(from[i]);
      sum += weights[i] * (std::pow(p.x - to[i].x, 2) + std::pow(p.y - to[i].y, 2));
    }
    return sum;
  };
  const Affine best = umeyama(from, to, weights);
  for (int i = 0; i < 40; ++i) {
    Affine other = best;
    const float da = 0.05f * random.normal(), db = 0.05f * random.normal();
    other.a += da;
    other.d += da;
    other.b += db;
    other.c -= db;
    other.tx += 0.05f * random.normal();
    other.ty += 0.05f * random.normal();
    CHECK(error(other) > error(best));
  }
}

TEST_CASE("umeyama refuses what has no answer") {
  const std::vector<Point> two = {{1, 1}, {2, 3}}, same = {{5, 5}, {5, 5}}, three(3);
  CHECK_THROWS_AS(umeyama(two, three), std::invalid_argument);
  CHECK_THROWS_AS(umeyama(same, two), std::invalid_argument);
  CHECK_THROWS_AS(umeyama(std::span(two).first(1), std::span(two).first(1)), std::invalid_argument);
}

TEST_CASE("the canonical face is what its description says") {
  const Landmarks& face = canonical_face();
  float top = 1, outermost = 0;
  for (const Point p : face) {
    top = std::min(top, p.y);
    outermost = std::max(outermost, std::abs(p.x));
  }
  CHECK(face[16].x - face[0].x == Approx(1).margin(1e-4));
  CHECK(outermost == Approx(0.5).margin(1e-4));
  CHECK(top == Approx(-face[8].y).margin(2e-3));
  for (const auto& [left, right] : {std::pair{0, 16}, {17, 26}, {36, 45}, {39, 42}, {48, 54}, {31, 35}, {60, 64}}) {
    CHECK(face[size_t(left)].x == Approx(-face[size_t(right)].x));
    CHECK(face[size_t(left)].y == Approx(face[size_t(right)].y));
  }
  // Brows to chin fit into what a network sees.
  CHECK(face[8].y < 0.5f * kDefaultCoverage * kNetworkPart - 0.05f);
}

TEST_CASE("align takes landmarks to their canonical places, from anywhere") {
  for (const float degrees : {0.0f, 25.0f, -70.0f}) {
    const Landmarks inframe = moved(canonical_face(), similarity(180, degrees, 400, 300));
    for (const auto& [size, coverage] : {std::pair{256, 2.1f}, {64, 1.3f}, {101, 3.0f}}) {
      const Affine map = align(inframe, size, coverage), wanted = canonical_to_crop(size, coverage);
      for (size_t i = 0; i < inframe.size(); ++i) {
        const Point p = map(inframe[i]), q = wanted(canonical_face()[i]);
        REQUIRE(p.x == Approx(q.x).margin(0.01));
        REQUIRE(p.y == Approx(q.y).margin(0.01));
      }
      // And back.
      const Point there = map.inverse()(map(inframe[30]));
      CHECK(there.x == Approx(inframe[30].x).margin(0.01));
    }
  }
}

TEST_CASE("the crop follows a turned head's outline half of the way, along the face's own horizontal") {
  // Turned: the sides of the jaw have moved by 0.2 jaw widths, the inner points have not.
  for (const float degrees : {0.0f, 30.0f}) {
    const Affine place = similarity(100, degrees, 200, 200);
    Landmarks turned = canonical_face();
    for (size_t i = 0; i < 17; ++i) turned[i].x -= 0.2f;
    const Affine map = align(moved(turned, place), 256, 2), straight = align(moved(canonical_face(), place), 256, 2);
    const Point tip = place(canonical_face()[30]);
    CHECK(map(tip).x - straight(tip).x == Approx(0.5f * 0.2f * 256 / 2).margin(0.01));
    CHECK(map(tip).y == Approx(straight(tip).y).margin(0.01));
    CHECK(map.a == Approx(straight.a).margin(1e-5));
    CHECK(map.b == Approx(straight.b).margin(1e-5));
  }
}

TEST_CASE("the height of the jaw does not matter to align") {
  const Landmarks face = moved(canonical_face(), similarity(100, 0, 200, 200));
  Landmarks talking = face;
  for (size_t i = 0; i < 17; ++i) talking[i].y += 20;
  const Affine a = align(face, 256), b = align(talking, 256);
  CHECK(a.a == b.a);
  CHECK(a.ty == b.ty);
}

TEST_CASE("centre_part is the same square as aligning with less coverage") {
  const Landmarks face = moved(canonical_face(), similarity(140, 12, 320, 240));
  const Affine whole = align(face, 256);
  const Affine direct = align(face, 64, kDefaultCoverage * kNetworkPart);
  const Affine part = centre_part(whole, 256, kNetworkPart, 64);
  CHECK(part.a == Approx(direct.a).margin(1e-5));
  CHECK(part.b == Approx(direct.b).margin(1e-5));
  CHECK(part.tx == Approx(direct.tx).margin(1e-2));
  CHECK(part.ty == Approx(direct.ty).margin(1e-2));
  // The centre stays the centre.
  const Point middle = whole.inverse()({127.5f, 127.5f});
  CHECK(part(middle).x == Approx(31.5).margin(1e-3));
}

namespace {

// The canonical face in three dimensions, turned, seen from far away.
Landmarks turned_head(float yaw, float pitch, float roll) {
  const float k = 0.01745329f;
  Landmarks out;
  for (size_t i = 0; i < out.size(); ++i) {
    const float x = canonical_face()[i].x, y = canonical_face()[i].y, z = kCanonicalDepth[i];
    const float x1 = x * std::cos(yaw * k) - z * std::sin(yaw * k), z1 = x * std::sin(yaw * k) + z * std::cos(yaw * k);
    const float y1 = y * std::cos(pitch * k) + z1 * std::sin(pitch * k);
    out[i] = {x1, y1};
  }
  return moved(out, similarity(150, roll, 300, 200));
}

}  // namespace

TEST_CASE("estimate_pose gives back the angles of a turned head, with the signs of the header") {
  for (const float yaw : {-30.0f, 0.0f, 25.0f}) {
    for (const float pitch : {-15.0f, 0.0f, 15.0f}) {
      for (const float roll : {-20.0f, 0.0f, 10.0f}) {
        const Pose pose = estimate_pose(turned_head(yaw, pitch, roll));
        CAPTURE(yaw, pitch, roll);
        CHECK(pose.yaw == Approx(yaw).margin(0.5));
        CHECK(pose.pitch == Approx(pitch).margin(0.5));
        CHECK(pose.roll == Approx(roll).margin(0.5));
      }
    }
  }
  // yaw > 0: the nose moves to the right of the eyes; pitch > 0: it moves up; roll > 0: the right eye goes down.
  CHECK(turned_head(20, 0, 0)[30].x > turned_head(0, 0, 0)[30].x);
  CHECK(turned_head(0, 20, 0)[30].y < turned_head(0, 0, 0)[30].y);
  CHECK(turned_head(0, 0, 20)[45].y > turned_head(0, 0, 0)[45].y);
}

TEST_CASE("sharpness does not depend on the size in the frame, and falls with blur") {
  const auto sharpness = [](int side, float cycles) {  // a face-sized pattern of that many cycles a jaw width
    Image image(side, side);
    const float width = float(side) / 2;
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const float v = 128 + 50 * std::sin(6.2831853f * cycles * float(x) / width);
        std::fill_n(image.row(y) + 3 * x, 3, uint8_t(v));
      }
    }
    return face_sharpness(image, moved(canonical_face(), similarity(width, 0, float(side) / 2, float(side) / 2)));
  };
  CHECK(sharpness(800, 12) == Approx(sharpness(400, 12)).epsilon(0.1));
  CHECK(sharpness(400, 12) > 5 * sharpness(400, 4));
  CHECK(sharpness(400, 0) == 0);
}
