// Outputs that are somebody else's, cannot be written, or do not fit; and work that does not fit in memory.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tools/stage.h"

namespace fs = std::filesystem;

namespace {

std::vector<std::string> convert(const std::string& output) {
  return {"convert", stage().a_clip, "-m", stage().model, "--to", "b", "-o", output};
}

std::vector<std::string> train(const std::string& model, const std::string& iterations) {
  return {"train",   "a=" + stage().a_faces, "b=" + stage().b_faces, "-o", model, "--batch", "2", "--iterations",
          iterations};
}

}  // namespace

TEST_CASE("an output that is not ours is left alone") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "demo");
  for (const char* name : {"a.mp4", "out.mp4", "out.png", "file", "demo/sheet.png"}) {
    write_bytes(folder / name, "somebody's work\n");
  }
  const std::string holiday = read_bytes(stage().picture);  // a picture, but not marked as made here
  write_bytes(folder / "holiday.png", holiday);
  const auto before = snapshot(folder.path());
  check_refused(convert(folder / "out.mp4"), folder / "out.mp4");
  check_refused({"convert", stage().picture, "-m", stage().model, "--to", "b", "-o", folder / "holiday.png"},
                folder / "holiday.png");
  check_refused({"convert", stage().picture, "-m", stage().model, "--to", "b", "-o", stage().picture}, stage().picture);
  check_refused({"actors", "-o", folder.path(), "--frames", "1", "--size", "64"}, folder / "a.mp4");
  check_refused({"demo", "-o", folder / "demo", "--minutes", "0.01"}, folder / "demo/sheet.png");
  check_refused({"extract", stage().a_clip, "-o", folder / "file"}, folder / "file");
  check_refused(train(folder / "file", "1"), folder / "file");
  CHECK(before == snapshot(folder.path()));
  CHECK(read_bytes(stage().picture) == holiday);
}

TEST_CASE("an output that cannot be written is refused before the work") {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "x");
  // Below a file, and in a file system that takes no files, even from root.
  for (const std::string& place : {folder / "file/", std::string("/proc/doppel/")}) {
    check_refused(convert(place + "out.mp4"), place.substr(0, place.size() - 1));
    check_refused({"extract", stage().a_clip, "-o", place + "faces"}, place + "faces");
    check_refused(train(place + "model", "1"), place + "model");
    check_refused({"actors", "-o", place + "stage", "--frames", "1", "--size", "64"}, place + "stage");
  }
  check_refused(convert(folder / "no/such/folder/out.mp4"), folder / "no/such/folder");
}

TEST_CASE("a full disk is reported and nothing half-written takes a name") {
  const TemporaryFolder folder;
  RunOptions full;
  full.largest_file = 4096;
  check_refused(convert(folder / "out.mp4"), folder / "out.mp4", full);
  CHECK_FALSE(fs::exists(folder / "out.mp4"));
  check_refused({"actors", "-o", folder / "stage", "--frames", "2", "--size", "256"}, folder / "stage", full);
  CHECK_FALSE(fs::exists(folder / "stage/a.mp4"));
  check_refused({"extract", stage().a_clip, "-o", folder / "faces"}, folder / "faces", full);
  // The same command goes on once there is room.
  CHECK(run_doppel({"extract", stage().a_clip, "-o", folder / "faces"}).code == 0);
}

TEST_CASE("a disk that fills while training leaves the last checkpoint whole") {
  const TemporaryFolder folder;
  copy_folder(stage().model, folder / "model");
  const auto before = snapshot(folder / "model");
  RunOptions full;
  full.largest_file = 1 << 20;
  const std::string said = check_refused(train(folder / "model", "4"), folder / "model", full);
  CHECK(contains(said, "holds iteration 2, the same command goes on from there"));
  CHECK(before == snapshot(folder / "model"));
  CHECK(contains(check_refused(train(folder / "new", "4"), folder / "new", full), "holds no checkpoint yet"));
  CHECK(run_doppel(train(folder / "model", "4")).code == 0);
}

TEST_CASE("a preview that cannot be written is told, and the training is done") {
  const TemporaryFolder folder;
  copy_folder(stage().model, folder / "model");
  fs::remove(folder / "model/preview.png");
  fs::create_directories(folder / "model/preview.png/in the way");
  const Outcome outcome = run_doppel(train(folder / "model", "4"));
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.err, "model/preview.png: there is no new preview: "));
  CHECK(contains(read_bytes(folder / "model/model.json"), "\"iterations\": 4"));
}

TEST_CASE("face sets for which there is room neither in memory nor on the disk are refused before they are loaded") {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = train(folder / "model", "1");
  arguments.insert(arguments.end(), {"--device", "cpu", "--face-memory", "1M"});
  RunOptions full;
  full.largest_file = 1 << 20;
  CHECK(contains(check_refused(arguments, folder / "model", full), "no room"));
  CHECK(fs::is_empty(folder / "model"));
}

TEST_CASE("memory for faces is kept to, and memory that not even two iterations' faces fit into is wrong usage") {
  const TemporaryFolder folder;
  const auto with = [&](const std::string& memory) {
    return run_doppel({"train", "a=" + stage().a_faces, "b=" + stage().b_faces, "-o", folder / "model", "--batch", "1",
                       "--iterations", "1", "--precision", "fp32", "--device", "emulator", "--face-memory", memory});
  };
  // A face is 192 KiB: for two people two iterations' are 768 KiB, and a set of 12 and two iterations' 2688 KiB.
  const Outcome little = with("767K");
  CAPTURE(little.err);
  CHECK(little.code == 2);
  const auto said = lines(little.err);
  REQUIRE(said.size() == 2);
  CHECK(contains(said[0], "--face-memory"));
  CHECK(contains(said[0], "at least 1M"));

  const Outcome enough = with("2688K");
  CAPTURE(enough.err);
  CHECK(enough.code == 0);
  CHECK(contains(enough.err, "stream from the host: 1 of 2"));
}

TEST_CASE("a name that the model does not know gives the names it knows") {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_doppel({"convert", stage().picture, "-m", stage().model, "--to", "carol", "-o", folder / "out.png"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  const auto said = lines(outcome.err);
  REQUIRE(said.size() == 2);
  CHECK(contains(said[0], "carol"));
  CHECK(contains(said[0], "a, b"));
  CHECK(said[1].rfind("usage: doppel convert", 0) == 0);
  CHECK_FALSE(fs::exists(folder / "out.png"));
}

TEST_CASE("wrong people are wrong usage") {
  const TemporaryFolder folder;
  const std::string a = "a=" + stage().a_faces, b = "b=" + stage().b_faces;
  for (const std::vector<std::string>& people :
       {std::vector<std::string>{a}, {a, a}, {a, stage().b_faces}, {a, "=" + stage().b_faces}}) {
    std::vector<std::string> arguments = {"train", "-o", folder / "model"};
    arguments.insert(arguments.end(), people.begin(), people.end());
    const Outcome outcome = run_doppel(arguments);
    CAPTURE(people, outcome.err);
    CHECK(outcome.code == 2);
    CHECK(lines(outcome.err).size() == 2);
  }
  // The model that is there knows other people.
  const Outcome other = run_doppel({"train", a, "carol=" + stage().b_faces, "-o", stage().model});
  CHECK(other.code == 2);
  CHECK(contains(other.err, "a, b"));
}

TEST_CASE("more memory than there is, is said before the first step, with the batch that would fit") {
  const TemporaryFolder folder;
  const std::string said = check_refused({"train", "a=" + stage().a_faces, "b=" + stage().b_faces, "-o",
                                          folder / "model", "--batch", "100000", "--iterations", "1"},
                                         "--batch 100000");
  const size_t at = said.find("--batch ", said.find("--batch 100000") + 1);
  REQUIRE(at != std::string::npos);
  const long fits = std::atol(said.c_str() + at + 8);
  CHECK(fits >= 1);
  CHECK(fits < 100000);
  CHECK(contains(said, "would fit"));
  CHECK_FALSE(fs::exists(folder / "model/model.json"));
}
