#include "tools/stage.h"

#include <catch2/catch.hpp>

#include "media/picture.h"
#include "media/video_reader.h"

namespace fs = std::filesystem;

namespace {

void must_work(const std::vector<std::string>& arguments) {
  const Outcome outcome = run_doppel(arguments);
  CAPTURE(arguments, outcome.err);
  REQUIRE(outcome.code == 0);
}

Stage make_stage(const std::string& folder) {
  Stage s;
  s.a_clip = folder + "/a.mp4";
  s.b_clip = folder + "/b.mp4";
  s.truth_clip = folder + "/truth.mp4";
  s.a_faces = folder + "/a.faces";
  s.b_faces = folder + "/b.faces";
  s.model = folder + "/model";
  s.picture = folder + "/a.png";
  must_work({"actors", "-o", folder, "--size", std::to_string(kStageSize), "--frames", std::to_string(kStageFrames),
             "--fps", "4"});
  must_work({"extract", s.a_clip, "-o", s.a_faces});
  must_work({"extract", s.b_clip, "-o", s.b_faces});
  must_work({"train", "a=" + s.a_faces, "b=" + s.b_faces, "-o", s.model, "--batch", "2", "--iterations",
             std::to_string(kStageIterations)});
  doppel::VideoReader reader(s.a_clip);
  doppel::VideoFrame frame;
  REQUIRE(reader.next(frame));
  doppel::write_picture(s.picture, frame.image);
  return s;
}

}  // namespace

const Stage& stage() {
  static const TemporaryFolder folder;
  static const Stage made = make_stage(folder.path());
  return made;
}

void copy_folder(const std::string& from, const std::string& to) {
  fs::copy(from, to, fs::copy_options::recursive);
}

doppel::Image blank_picture(int width, int height) {
  doppel::Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < 3 * width; ++x) image.row(y)[x] = uint8_t(60 + 120 * y / height);
  }
  return image;
}

std::string check_refused(const std::vector<std::string>& arguments, const std::string& named,
                          const RunOptions& options) {
  const Outcome outcome = run_doppel(arguments, options);
  CAPTURE(arguments, outcome.err, outcome.out);
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  CHECK(contains(outcome.err, named));
  // Progress and findings may come before it; the last line is the complaint, and the only one.
  const auto said = lines(outcome.err);
  REQUIRE_FALSE(said.empty());
  CHECK(said.back().rfind("doppel: ", 0) == 0);
  CHECK(contains(said.back(), named));
  return outcome.err;
}
