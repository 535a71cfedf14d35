// The converter with nets that are not learned: they invert colours, so that it shows where a face was put.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>

#include "media/actors.h"
#include "media/picture.h"
#include "media/provenance.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "program.h"
#include "runtime/error.h"
#include "tools/convert.h"

using namespace doppel;
using Catch::Contains;

namespace {

constexpr int kSize = 192;

struct Inverter {
  std::vector<int> batches;

  FaceNet net(int max_batch = 4) {
    FaceNet n;
    n.input_size = n.output_size = 48;
    n.max_batch = max_batch;
    n.coverage = 1.25f;
    n.run = [this, max_batch](const float* in, int count, float* out) {
      if (count < 1 || count > max_batch) throw Error("a batch of a size that was not agreed on");
      batches.push_back(count);
      for (int i = 0; i < count * 48 * 48 * 3; ++i) out[i] = 1 - in[i];
    };
    return n;
  }
};

ConvertSettings quiet() {
  ConvertSettings settings;
  settings.progress = false;
  settings.swap.paste.colour = 0;
  return settings;
}

Image wall() {
  Image image(kSize, kSize);
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < 3 * kSize; ++x) image.row(y)[x] = uint8_t(80 + (x + y) % 32);
  return image;
}

const Image& actor(int index) {
  static std::vector<Image> drawn;
  while (int(drawn.size()) <= index)
    drawn.push_back(render_actor(Actor::a, performance(Actor::a, double(drawn.size()) / 15), kSize));
  return drawn[index];
}

// Frames 0 to 3 and 12 are a bare wall, the others an actor; times are uneven.
constexpr int kFrames = 18;
bool has_face(int frame) {
  return frame > 3 && frame != 12;
}
std::vector<int64_t> write_clip(const std::string& path) {
  VideoFormat format = VideoFormat::simple(kSize, kSize, 30);
  format.time_base = {1, 600};
  std::vector<int64_t> times;
  VideoWriter writer(path, format);
  for (int i = 0; i < kFrames; ++i) {
    times.push_back(20 * i + (i % 3 ? 7 : 0));
    writer.write(has_face(i) ? actor(i) : wall(), times.back(), 20);
  }
  writer.finish();
  return times;
}

std::vector<VideoFrame> read_clip(const std::string& path) {
  VideoReader reader(path);
  std::vector<VideoFrame> frames;
  VideoFrame frame;
  while (reader.next(frame)) frames.push_back(frame);
  return frames;
}

double difference(const Image& a, const Image& b, int x0, int y0, int x1, int y1) {
  double sum = 0;
  for (int y = y0; y < y1; ++y)
    for (int x = 3 * x0; x < 3 * x1; ++x) sum += std::abs(double(a.row(y)[x]) - b.row(y)[x]);
  return sum / (3.0 * (x1 - x0) * (y1 - y0));
}

std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

size_t files_in(const std::string& folder) {
  return size_t(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("A clip keeps its times and the frames without a face, and gets the net's faces in order") {
  const TemporaryFolder folder;
  const std::vector<int64_t> times = write_clip(folder / "in.mp4");
  Inverter inverter;
  const auto jobs = plan_conversion({folder / "in.mp4"}, folder / "out.mp4");
  const ConvertResult result = convert_file(jobs.at(0), inverter.net(), quiet());
  CHECK(result.counts.frames == kFrames);
  CHECK(result.counts.with_face == kFrames - 5);
  CHECK(result.counts.faces == kFrames - 5);
  CHECK(result.damage.empty());
  int faces = 0;
  for (const int batch : inverter.batches) faces += batch;
  CHECK(faces == kFrames - 5);
  CHECK(*std::max_element(inverter.batches.begin(), inverter.batches.end()) > 1);

  const auto before = read_clip(folder / "in.mp4"), after = read_clip(folder / "out.mp4");
  REQUIRE(after.size() == kFrames);
  for (int i = 0; i < kFrames; ++i) {
    CAPTURE(i);
    CHECK(after[i].pts == times[i]);
    const double corner = difference(before[i].image, after[i].image, 0, 0, 40, 40);
    const double middle = difference(before[i].image, after[i].image, 80, 70, 112, 110);
    CHECK(corner < 3);
    if (has_face(i)) {
      CHECK(middle > 25);
    } else {
      CHECK(middle < 3);
    }
  }
  const auto mark = read_provenance(folder / "out.mp4");
  REQUIRE(mark);
  CHECK(mark->ours());
  CHECK_THAT(mark->source_type, Contains("compositeWithTrainedAlgorithmicMedia"));
}

TEST_CASE("A failing stage ends the others and leaves nothing behind") {
  const TemporaryFolder folder;
  write_clip(folder / "in.mp4");
  Inverter inverter;
  FaceNet net = inverter.net();
  net.run = [](const float*, int, float*) { throw Error("the net broke"); };
  const auto jobs = plan_conversion({folder / "in.mp4"}, folder / "out.mp4");
  CHECK(message([&] { convert_file(jobs.at(0), net, quiet()); }) == "the net broke");
  CHECK(files_in(folder.path()) == 1);

  VideoReader reader(folder / "in.mp4");
  int taken = 0;
  const auto full = [&](const VideoFrame&, const Rect&, const SwapCounts&) {
    if (++taken == 2) throw Error("disk full");
  };
  CHECK(message([&] { swap_frames(reader, inverter.net(), quiet().swap, full); }) == "disk full");
  CHECK(taken == 2);
}

TEST_CASE("A clip that is cut short is converted up to its end") {
  const TemporaryFolder folder;
  write_clip(folder / "whole.mp4");
  const std::string bytes = read_bytes(folder / "whole.mp4");
  write_bytes(folder / "in.mp4", bytes.substr(0, bytes.size() * 3 / 4));
  Inverter inverter;
  const auto jobs = plan_conversion({folder / "in.mp4"}, folder / "out.mp4");
  const ConvertResult result = convert_file(jobs.at(0), inverter.net(), quiet());
  CHECK_THAT(result.damage, Contains("cut short after " + std::to_string(result.counts.frames) + " of 18 frames"));
  CHECK(result.counts.frames < kFrames);
  CHECK(int64_t(read_clip(folder / "out.mp4").size()) == result.counts.frames);
  CHECK_THAT(message([&] { convert_files(jobs, inverter.net(), quiet()); }), Contains("in.mp4: cut short after"));
}

TEST_CASE("Nothing is written where there is no face") {
  const TemporaryFolder folder;
  VideoWriter writer(folder / "in.mp4", VideoFormat::simple(kSize, kSize, 30));
  for (int i = 0; i < 5; ++i) writer.write(wall(), i);
  writer.finish();
  write_picture(folder / "in.png", wall());
  Inverter inverter;
  for (const std::string kind : {".mp4", ".png"}) {
    const auto jobs = plan_conversion({folder / ("in" + kind)}, folder / ("out" + kind));
    CHECK_THAT(message([&] { convert_file(jobs.at(0), inverter.net(), quiet()); }), Contains("no face found"));
  }
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("Pictures are swapped and marked; a bad one does not stop the others") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "in");
  write_picture(folder / "in/a.png", actor(5));
  write_bytes(folder / "in/b.png", "no picture");
  write_picture(folder / "in/c.jpg", actor(6));
  Inverter inverter;
  const auto jobs = plan_conversion({folder / "in"}, folder / "out");
  REQUIRE(jobs.size() == 3);
  CHECK(message([&] { convert_files(jobs, inverter.net(), quiet()); }) == "1 of 3 inputs failed, see above");
  for (const char* name : {"out/a.png", "out/c.jpg"}) {
    const auto mark = read_provenance(folder / name);
    REQUIRE(mark);
    CHECK(mark->ours());
  }
  CHECK(difference(read_picture(folder / "out/a.png"), actor(5), 80, 70, 112, 110) > 25);
  CHECK(difference(read_picture(folder / "out/a.png"), actor(5), 0, 0, 40, 40) == 0);
  CHECK_FALSE(std::filesystem::exists(folder / "out/b.png"));
}

TEST_CASE("The plan names outputs, and refuses what would do harm") {
  const TemporaryFolder folder;
  const auto plan = [&](std::vector<std::string> inputs, const std::string& output) {
    for (std::string& input : inputs) input = folder / input;
    return plan_conversion(inputs, folder / output);
  };
  std::filesystem::create_directory(folder / "in");
  write_bytes(folder / "in/a.mp4", "x");
  write_bytes(folder / "in/b.avi", "x");
  write_bytes(folder / "in/c.bmp", "x");
  write_bytes(folder / "a.mp4", "x");
  const auto jobs = plan({"in"}, "out");
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0].output == folder / "out/a.mp4");
  CHECK(jobs[1].output == folder / "out/b.avi.mkv");
  CHECK(jobs[2].output == folder / "out/c.bmp.png");
  CHECK(jobs[2].kind == MediaKind::picture);
  CHECK(plan({"in/a.mp4"}, "swapped.mov")[0].output == folder / "swapped.mov");
  CHECK(plan({"in/a.mp4"}, "out")[0].output == folder / "out/a.mp4");
  CHECK(plan({"in/a.mp4"}, "new/")[0].output == folder / "new/a.mp4");

  CHECK_THAT(message([&] { plan({"in/a.mp4"}, "a.mp4"); }), Contains("was not made by doppel"));
  CHECK_THAT(message([&] { plan({"in/a.mp4"}, "in/a.mp4"); }), Contains("is the input itself"));
  CHECK_THAT(message([&] { plan({"in/a.mp4"}, "no/such/a.mp4"); }), Contains("no such folder"));
  CHECK_THAT(message([&] { plan({"none.mp4"}, "b.mp4"); }), Contains("none.mp4: no such file"));
  CHECK_THAT(message([&] { plan({"in"}, "a.mp4"); }), Contains("a.mp4: cannot make this folder"));
  CHECK_THROWS_AS(plan({"in/a.mp4"}, "b.png"), UsageError);
  CHECK_THROWS_AS(plan({"in/c.bmp"}, "b.mp4"), UsageError);
  CHECK_THROWS_AS(plan({"in/a.mp4", "a.mp4"}, "out"), UsageError);
  CHECK(read_bytes(folder / "a.mp4") == "x");

  // What doppel made may be made again.
  write_bytes(folder / "ours.png", mark_picture(encode_png(wall()), SourceType::composite));
  CHECK(plan({"in/c.bmp"}, "ours.png").size() == 1);
}
