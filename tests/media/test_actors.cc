#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "kernels/parallel.h"
#include "media/actor_shape.h"
#include "media/actors.h"
#include "media/provenance.h"
#include "media/video_reader.h"
#include "runtime/error.h"

using namespace doppel;

namespace {

// Mean absolute difference over a rectangle given in picture widths.
double difference(const Image& a, const Image& b, double x0, double y0, double x1, double y1) {
  double sum = 0;
  int count = 0;
  for (int y = int(y0 * a.height()); y < int(y1 * a.height()); ++y) {
    for (int x = int(3 * std::floor(x0 * a.width())); x < int(3 * std::floor(x1 * a.width())); ++x, ++count) {
      sum += std::abs(int(a.row(y)[x]) - int(b.row(y)[x]));
    }
  }
  REQUIRE(count > 0);
  return sum / count;
}

bool equal(const Image& a, const Image& b) {
  return a.width() == b.width() && a.height() == b.height() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

struct Folder {
  std::filesystem::path path;
  explicit Folder(const char* name) : path(std::filesystem::temp_directory_path() / (std::string("doppel_") + name)) {
    std::filesystem::remove_all(path);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

TEST_CASE("actors perform within the stated ranges and reach them") {
  for (Actor who : {Actor::a, Actor::b}) {
    float yaw[2] = {0, 0}, pitch[2] = {0, 0}, azimuth[2] = {0, 0}, jaw = 0, blink = 0;
    for (int i = 0; i < 300; ++i) {
      const Performance p = performance(who, i / 30.0);
      for (float v : {p.jaw, p.smile, p.pucker, p.wide, p.blink}) REQUIRE((v >= 0 && v <= 1));
      REQUIRE(std::abs(p.yaw) <= 30);
      REQUIRE(std::abs(p.pitch) <= 15);
      REQUIRE(std::abs(p.roll) <= 6);
      REQUIRE((p.brow >= -0.5f && p.brow <= 1));
      REQUIRE(std::abs(p.gaze_x) <= 25);
      REQUIRE(std::abs(p.gaze_y) <= 12);
      REQUIRE(std::abs(p.light_azimuth) <= 45);
      REQUIRE((p.light_elevation >= 22 && p.light_elevation <= 53));
      REQUIRE((p.light_intensity >= 0.7f && p.light_intensity <= 1.2f));
      REQUIRE((p.fill >= 0.7f && p.fill <= 1.2f));
      yaw[0] = std::min(yaw[0], p.yaw), yaw[1] = std::max(yaw[1], p.yaw);
      pitch[0] = std::min(pitch[0], p.pitch), pitch[1] = std::max(pitch[1], p.pitch);
      azimuth[0] = std::min(azimuth[0], p.light_azimuth), azimuth[1] = std::max(azimuth[1], p.light_azimuth);
      jaw = std::max(jaw, p.jaw), blink = std::max(blink, p.blink);
    }
    CHECK(yaw[0] < -28);
    CHECK(yaw[1] > 28);
    CHECK(pitch[0] < -11);
    CHECK(pitch[1] > 11);
    CHECK(azimuth[0] < -40);
    CHECK(azimuth[1] > 40);
    CHECK(jaw > 0.65f);
    CHECK(blink > 0.95f);
  }
}

TEST_CASE("an actor's frame is the same whatever the threads and whatever was drawn before") {
  const Performance p = performance(Actor::a, 1.7);
  const Image first = render_actor(Actor::a, p, 64);
  render_actor(Actor::b, performance(Actor::b, 0.3), 41);
  Image again[4];
  parallel_for(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) again[k] = render_actor(Actor::a, p, 64);
  });
  for (const Image& image : again) CHECK(equal(first, image));
}

TEST_CASE("the actors differ in the face, not behind it") {
  Performance p = performance(Actor::a, 0);
  p.yaw = p.pitch = p.roll = p.x = p.y = 0;
  const Image a = render_actor(Actor::a, p, 128), truth = render_actor(Actor::b, p, 128);
  CHECK(difference(a, truth, 0.38, 0.35, 0.62, 0.65) > 8);
  CHECK(difference(a, truth, 0.0, 0.0, 0.25, 0.6) == 0);
  CHECK(difference(a, truth, 0.75, 0.0, 1.0, 0.6) == 0);
  CHECK(difference(a, truth, 0.0, 0.94, 1.0, 1.0) == 0);  // A's clothes
  Performance elsewhere = p;
  elsewhere.place = Actor::b;
  CHECK(difference(a, render_actor(Actor::a, elsewhere, 128), 0.0, 0.0, 0.25, 0.6) > 8);
}

TEST_CASE("each part of a performance is seen") {
  Performance rest;
  const Image still = render_actor(Actor::b, rest, 128);
  const auto moved = [&](auto&& change, double x0, double y0, double x1, double y1) {
    Performance p = rest;
    change(p);
    return difference(still, render_actor(Actor::b, p, 128), x0, y0, x1, y1);
  };
  CHECK(moved([](Performance& p) { p.jaw = 1; }, 0.42, 0.58, 0.58, 0.72) > 5);
  CHECK(moved([](Performance& p) { p.blink = 1; }, 0.38, 0.41, 0.62, 0.48) > 3);
  CHECK(moved([](Performance& p) { p.gaze_x = 20; }, 0.38, 0.41, 0.62, 0.48) > 1);
  CHECK(moved([](Performance& p) { p.brow = 1; }, 0.36, 0.36, 0.64, 0.42) > 1);
  CHECK(moved([](Performance& p) { p.smile = 1; }, 0.40, 0.55, 0.60, 0.65) > 1);
  CHECK(moved([](Performance& p) { p.pucker = 1; }, 0.40, 0.55, 0.60, 0.65) > 1);
  CHECK(moved([](Performance& p) { p.wide = 1; }, 0.40, 0.55, 0.60, 0.65) > 0.5);
  CHECK(moved([](Performance& p) { p.light_azimuth = 60; }, 0.3, 0.3, 0.7, 0.7) > 5);
  CHECK(moved([](Performance& p) { p.light_warmth = 1; }, 0.3, 0.3, 0.7, 0.7) > 1);
  CHECK(moved([](Performance& p) { p.pan = 0.2f; }, 0.0, 0.0, 0.2, 0.5) > 1);
}

TEST_CASE("the two heads carry their features in the same places") {
  const ActorTraits &a = traits(Actor::a), &b = traits(Actor::b);
  CHECK(a.mouth == Approx(b.mouth).margin(0.03));
  CHECK(a.nose_y == Approx(b.nose_y).margin(0.04));
  CHECK(a.brow_y == Approx(b.brow_y).margin(0.05));
  CHECK(a.chin_y == Approx(b.chin_y).margin(0.05));
  for (Actor who : {Actor::a, Actor::b}) {
    CHECK(head_distance(traits(who), {0, 0, 0}) < 0);
    CHECK(head_distance(traits(who), {0, -0.4f, 1.6f}) > 0.3f);
    const LidContour open = lid_contour(traits(who), kEyeX), shut = lid_contour(traits(who), kEyeX, 1, 0, 0);
    CHECK(open.upper - open.lower > 0.07f);
    CHECK(shut.upper - shut.lower < 0.005f);
  }
}

TEST_CASE("actors of any size can be drawn") {
  for (int size : {1, 7, 33, 101}) {
    const Image image = render_actor(Actor::a, performance(Actor::a, 0.5), size);
    CHECK(image.width() == size);
    CHECK(image.height() == size);
  }
  CHECK_THROWS_AS(render_actor(Actor::a, Performance(), 0), Error);
}

TEST_CASE("write_actors leaves three marked clips") {
  const Folder folder("test_actors");
  ActorsOptions options;
  options.folder = (folder.path / "deep").string();
  options.size = 64;
  options.frames = 3;
  int last = 0, total = 0;
  write_actors(options, [&](int done, int all) {
    CHECK(done == last + 1);
    last = done;
    total = all;
  });
  CHECK(last == 9);
  CHECK(total == 9);
  for (const char* name : {"a.mp4", "b.mp4", "truth.mp4"}) {
    const std::string path = (std::filesystem::path(options.folder) / name).string();
    const auto mark = read_provenance(path);
    REQUIRE(mark);
    CHECK(mark->source_type == "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia");
    VideoReader reader(path);
    VideoFrame frame;
    int frames = 0;
    while (reader.next(frame)) {
      const bool a = std::strcmp(name, "a.mp4") == 0, b = std::strcmp(name, "b.mp4") == 0;
      const Image drawn =
          render_actor(a ? Actor::a : Actor::b, performance(b ? Actor::b : Actor::a, frames / 30.0), 64);
      CHECK(difference(frame.image, drawn, 0, 0, 1, 1) < 8);
      ++frames;
    }
    CHECK(frames == 3);
  }
}

TEST_CASE("write_actors refuses what it cannot do") {
  ActorsOptions options;
  options.folder = "/proc/no-such-place/actors";
  CHECK_THROWS_AS(write_actors(options, {}), Error);
  options.size = 65;
  CHECK_THROWS_AS(write_actors(options, {}), UsageError);
  options.size = 64;
  options.frames = 0;
  CHECK_THROWS_AS(write_actors(options, {}), UsageError);
  options.frames = 3;
  options.fps = 0;
  CHECK_THROWS_AS(write_actors(options, {}), UsageError);
}
