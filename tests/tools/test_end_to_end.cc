// The main job, through the program: extract, train, convert, info, and going on after an end or a Ctrl-C.
#include <catch2/catch.hpp>

#include "media/provenance.h"
#include "media/video_reader.h"
#include "tools/compare.h"
#include "tools/stage.h"

namespace {

std::vector<std::string> train(const std::string& model, const std::string& iterations) {
  return {"train",   "a=" + stage().a_faces, "b=" + stage().b_faces, "-o", model, "--batch", "2", "--iterations",
          iterations};
}

int count_frames(const std::string& clip) {
  doppel::VideoReader reader(clip);
  doppel::VideoFrame frame;
  int frames = 0;
  while (reader.next(frame)) ++frames;
  CHECK(reader.damage().empty());
  return frames;
}

}  // namespace

TEST_CASE("extract finds the face in every frame and reports it") {
  const TemporaryFolder folder;
  const Outcome outcome = run_doppel({"extract", stage().a_clip, stage().picture, "-o", folder / "faces"});
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, std::to_string(kStageFrames + 1) + " faces"));
  CHECK(contains(outcome.out, " 0 without"));
  CHECK(contains(outcome.out, "frames/s"));
  const Outcome again = run_doppel({"extract", stage().a_clip, stage().picture, "-o", folder / "faces"});
  CHECK(again.code == 0);
  CHECK(contains(again.out, std::to_string(kStageFrames + 1) + " faces"));
  CHECK(contains(again.out, " 0 frames"));
}

TEST_CASE("info tells what things are") {
  const Outcome faces = run_doppel({"info", stage().a_faces});
  CHECK(faces.code == 0);
  CHECK(contains(faces.out, "face set"));
  CHECK(contains(faces.out, "256 x 256"));
  const Outcome model = run_doppel({"info", stage().model});
  CHECK(model.code == 0);
  CHECK(contains(model.out, "2: a, b"));
  CHECK(contains(model.out, "lite"));
  CHECK(contains(model.out, "iterations     " + std::to_string(kStageIterations)));
  const Outcome clip = run_doppel({"info", stage().a_clip});
  CHECK(clip.code == 0);
  CHECK(contains(clip.out, "256 x 256"));
  CHECK(contains(clip.out, "digitalsourcetype/algorithmicMedia"));
  const Outcome picture = run_doppel({"info", stage().picture});
  CHECK(picture.code == 0);
  CHECK(contains(picture.out, "not marked"));
}

TEST_CASE("training that computes values again leaves the same model, and says what it costs") {
  const TemporaryFolder folder;
  const auto weights = [&](const std::string& recompute) {
    std::vector<std::string> arguments = train(folder / recompute, "2");
    arguments.insert(arguments.end(), {"--recompute", recompute});
    const Outcome outcome = run_doppel(arguments);
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(contains(outcome.err, "% more FLOPs") == (recompute == "on"));
    return read_bytes(folder / (recompute + "/weights-2.safetensors"));
  };
  const bool same = weights("on") == weights("off");
  CHECK(same);
}

TEST_CASE("convert keeps every frame, changes the face, and marks what it wrote") {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_doppel({"convert", stage().a_clip, "-m", stage().model, "--to", "b", "-o", folder / "s.mp4"});
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(contains(outcome.out, std::to_string(kStageFrames) + " frames"));
  CHECK(count_frames(folder / "s.mp4") == kStageFrames);
  const auto mark = doppel::read_provenance(folder / "s.mp4");
  REQUIRE(mark.has_value());
  CHECK(contains(mark->source_type, "compositeWithTrainedAlgorithmicMedia"));
  CHECK(contains(run_doppel({"info", folder / "s.mp4"}).out, "compositeWithTrainedAlgorithmicMedia"));
  // What is ours may be written again.
  CHECK(run_doppel({"convert", stage().a_clip, "-m", stage().model, "--to", "b", "-o", folder / "s.mp4"}).code == 0);

  // Against itself instead of a truth: the face differs from the input's, which does not differ from itself.
  const auto comparison = doppel::compare_clips(stage().a_clip, folder / "s.mp4", stage().a_clip);
  CHECK(comparison.frames == kStageFrames);
  CHECK(comparison.without_face == 0);
  CHECK(comparison.unswapped.squared_rgb == 0);
  CHECK(comparison.swap.psnr_rgb() < 40);
}

TEST_CASE("convert takes pictures and folders") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "in");
  std::filesystem::copy(stage().picture, folder / "in/one.png");
  std::filesystem::copy(stage().picture, folder / "in/two.png");
  const Outcome outcome =
      run_doppel({"convert", folder / "in", "-m", stage().model, "--to", "a", "-o", folder / "out"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  for (const char* name : {"out/one.png", "out/two.png"}) {
    const auto mark = doppel::read_provenance(folder / name);
    REQUIRE(mark.has_value());
    CHECK(mark->ours());
  }
}

TEST_CASE("training that stopped and went on gives the bytes of training that did not stop") {
  const TemporaryFolder folder;
  REQUIRE(run_doppel(train(folder / "once", "3")).code == 0);
  REQUIRE(run_doppel(train(folder / "twice", "1")).code == 0);
  const Outcome on = run_doppel(train(folder / "twice", "3"));
  REQUIRE(on.code == 0);
  CHECK(contains(on.err, "iteration 1"));
  const std::string once = read_bytes(folder / "once/weights-3.safetensors");
  CHECK(once == read_bytes(folder / "twice/weights-3.safetensors"));
  CHECK(once != read_bytes(stage().model + "/weights-2.safetensors"));
  CHECK(std::filesystem::exists(folder / "once/preview.png"));
  // Its end has come: nothing is done, and nothing is wrong.
  const auto before = snapshot(folder / "once");
  CHECK(run_doppel(train(folder / "once", "3")).code == 0);
  CHECK(before == snapshot(folder / "once"));
}

TEST_CASE("faces in a file train as faces in memory do") {
  const TemporaryFolder folder;
  std::vector<std::string> in_memory = train(folder / "memory", "2"), in_file = train(folder / "file", "2");
  in_memory.insert(in_memory.end(), {"--device", "cpu"});
  in_file.insert(in_file.end(), {"--device", "cpu", "--face-memory", "1M"});
  const Outcome memory = run_doppel(in_memory), file = run_doppel(in_file);
  REQUIRE(memory.code == 0);
  REQUIRE(file.code == 0);
  CHECK_FALSE(contains(memory.err, "in a file"));
  CHECK(contains(file.err, "in a file"));
  CHECK(read_bytes(folder / "memory/weights-2.safetensors") == read_bytes(folder / "file/weights-2.safetensors"));
  CHECK(snapshot(folder / "file").size() == snapshot(folder / "memory").size());
}

TEST_CASE("a model remembers how its weights are moved") {
  const TemporaryFolder folder;
  const auto with_options = [&](const std::string& model, const std::string& iterations) {
    std::vector<std::string> arguments = train(model, iterations);
    for (const char* option : {"--optimizer", "adabelief", "--lr-dropout", "0.25", "--clip", "0.5"})
      arguments.push_back(option);
    return arguments;
  };
  REQUIRE(run_doppel(with_options(folder / "once", "2")).code == 0);
  REQUIRE(run_doppel(with_options(folder / "twice", "1")).code == 0);
  REQUIRE(run_doppel(train(folder / "twice", "2")).code == 0);
  const std::string once = read_bytes(folder / "once/weights-2.safetensors");
  CHECK(once == read_bytes(folder / "twice/weights-2.safetensors"));
  CHECK(once != read_bytes(stage().model + "/weights-2.safetensors"));
  CHECK(contains(run_doppel({"info", folder / "twice"}).out,
                 "adabelief, learning-rate dropout 0.25, gradients clipped to 0.500"));

  std::vector<std::string> other = train(folder / "twice", "3");
  other.insert(other.end(), {"--optimizer", "adam"});
  const Outcome refused = run_doppel(other);
  CHECK(refused.code == 2);
  CHECK(contains(refused.err, "--optimizer adabelief"));
}

TEST_CASE("Ctrl-C saves, and the same command goes on") {
  const TemporaryFolder folder;
  RunOptions soon;
  soon.interrupt_after = 4;
  const Outcome stopped = run_doppel(train(folder / "model", "1000000"), soon);
  CAPTURE(stopped.err);
  CHECK(stopped.code == 130);
  CHECK(contains(lines(stopped.err).back(), "doppel: stopped"));
  const Outcome info = run_doppel({"info", folder / "model"});
  CHECK(info.code == 0);
  CHECK(contains(info.out, "iterations     "));
  const Outcome again = run_doppel(train(folder / "model", "1000000"), soon);
  CHECK(again.code == 130);
  CHECK(contains(again.err, "goes on after iteration"));
}
