// Inputs that are missing, empty, cut short, something else, or without a face.
#include <catch2/catch.hpp>

#include "media/picture.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "tools/stage.h"

namespace fs = std::filesystem;

namespace {

struct BadInputs {
  TemporaryFolder folder;
  std::vector<std::string> paths;

  BadInputs() {
    paths = {folder / "missing.mp4", folder / "empty.mp4", folder / "text.mp4",      folder / "text.png",
             folder / "empty.png",   folder / "cut.png",   folder / "head_only.mp4", folder / "no_media"};
    write_bytes(folder / "empty.mp4", "");
    write_bytes(folder / "empty.png", "");
    write_bytes(folder / "text.mp4", std::string(5000, 'x'));
    write_bytes(folder / "text.png", "this is no picture\n");
    const std::string picture = read_bytes(stage().picture), clip = read_bytes(stage().a_clip);
    write_bytes(folder / "cut.png", picture.substr(0, picture.size() / 2));
    write_bytes(folder / "head_only.mp4", clip.substr(0, 64));
    fs::create_directory(folder / "no_media");
    write_bytes(folder / "no_media/notes.txt", "nothing to see\n");
  }
};

std::vector<std::string> convert(const std::vector<std::string>& inputs, const std::string& output) {
  std::vector<std::string> arguments = {"convert"};
  arguments.insert(arguments.end(), inputs.begin(), inputs.end());
  arguments.insert(arguments.end(), {"-m", stage().model, "--to", "b", "-o", output});
  return arguments;
}

// Most of a clip in a container that can be read without its end.
std::string cut_clip(const TemporaryFolder& folder) {
  {
    doppel::VideoReader reader(stage().a_clip);
    doppel::VideoWriter writer(folder / "whole.mkv", reader.format());
    doppel::VideoFrame frame;
    while (reader.next(frame)) writer.write(frame.image, frame.pts, frame.duration);
    writer.finish();
  }
  const std::string bytes = read_bytes(folder / "whole.mkv");
  write_bytes(folder / "cut.mkv", bytes.substr(0, bytes.size() * 6 / 10));
  return folder / "cut.mkv";
}

std::string faceless_clip(const TemporaryFolder& folder) {
  const std::string path = folder / "blank.mp4";
  doppel::VideoWriter writer(path, doppel::VideoFormat::simple(128, 96, 10));
  for (int i = 0; i < 5; ++i) writer.write(blank_picture(128, 96), i);
  writer.finish();
  return path;
}

}  // namespace

TEST_CASE("extract names an input that it cannot read, and leaves nothing behind") {
  const BadInputs bad;
  for (const std::string& path : bad.paths) {
    check_refused({"extract", path, "-o", bad.folder / "faces"}, path);
    CHECK_FALSE(fs::exists(bad.folder / "faces"));
  }
}

TEST_CASE("convert names an input that it cannot read, and leaves nothing behind") {
  const BadInputs bad;
  for (const std::string& path : bad.paths) {
    const std::string output = bad.folder / (path.ends_with(".png") ? "out.png" : "out.mp4");
    check_refused(convert({path}, path.ends_with("no_media") ? bad.folder / "out_folder" : output), path);
    CHECK_FALSE(fs::exists(output));
  }
}

TEST_CASE("info names what it cannot read") {
  const BadInputs bad;
  for (const std::string& path : bad.paths) check_refused({"info", path}, path);
}

TEST_CASE("of several inputs the good ones are done and the bad ones are counted") {
  const BadInputs bad;
  const Outcome extracted =
      run_doppel({"extract", bad.paths[1], stage().a_clip, bad.paths[0], bad.paths[5], "-o", bad.folder / "faces"});
  CAPTURE(extracted.err);
  CHECK(extracted.code == 1);
  CHECK(contains(lines(extracted.err).back(), "3 of"));
  for (const int i : {0, 1, 5}) CHECK(contains(extracted.err, bad.paths[size_t(i)]));
  CHECK(contains(extracted.out, std::to_string(kStageFrames) + " faces"));
  CHECK(run_doppel({"info", bad.folder / "faces"}).code == 0);

  const Outcome converted = run_doppel(convert({bad.paths[3], stage().picture, bad.paths[0]}, bad.folder / "out"));
  CAPTURE(converted.err);
  CHECK(converted.code == 1);
  CHECK(contains(lines(converted.err).back(), "2 of 3"));
  for (const int i : {0, 3}) CHECK(contains(converted.err, bad.paths[size_t(i)]));
  CHECK(fs::exists(bad.folder / "out/a.png"));
  CHECK_FALSE(fs::exists(bad.folder / "out/text.png"));
}

TEST_CASE("a truncated clip is done up to its end, with the count and exit code 1") {
  const TemporaryFolder folder;
  const std::string clip = cut_clip(folder);
  const Outcome converted = run_doppel(convert({clip}, folder / "out.mp4"));
  CAPTURE(converted.err, converted.out);
  CHECK(converted.code == 1);
  CHECK(contains(lines(converted.err).back(), clip));
  REQUIRE(fs::exists(folder / "out.mp4"));
  doppel::VideoReader reader(folder / "out.mp4");
  doppel::VideoFrame frame;
  int frames = 0;
  while (reader.next(frame)) ++frames;
  CHECK(frames >= 1);
  CHECK(frames < kStageFrames);
  CHECK(contains(converted.out, std::to_string(frames) + " frames"));
  CHECK(contains(lines(converted.err).back(), std::to_string(frames)));

  const Outcome extracted = run_doppel({"extract", clip, "-o", folder / "faces"});
  CHECK(extracted.code == 1);
  CHECK(contains(extracted.err, clip));
  CHECK(contains(extracted.out, std::to_string(frames) + " faces"));
}

TEST_CASE("no face in any frame is said, with what to try") {
  const TemporaryFolder folder;
  const std::string clip = faceless_clip(folder);
  CHECK(contains(check_refused({"extract", clip, "-o", folder / "faces"}, "no face"), "--min-face"));
  CHECK(contains(check_refused(convert({clip}, folder / "out.mp4"), "no face"), "--min-face"));
  CHECK_FALSE(fs::exists(folder / "out.mp4"));
  doppel::write_picture(folder / "blank.png", blank_picture(200, 200));
  check_refused(convert({folder / "blank.png"}, folder / "out.png"), "no face");
  CHECK_FALSE(fs::exists(folder / "out.png"));
}

TEST_CASE("a face set with fewer than eight faces is too small to train on") {
  const TemporaryFolder folder;
  REQUIRE(run_doppel({"extract", stage().a_clip, "-o", folder / "few", "--every", "2"}).code == 0);
  const std::string said = check_refused(
      {"train", "a=" + folder / "few", "b=" + stage().b_faces, "-o", folder / "model", "--iterations", "1"},
      folder / "few");
  CHECK(contains(said, "6 faces"));
  CHECK(contains(said, "8"));
  CHECK(contains(said, "extract"));
}
