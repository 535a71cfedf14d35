// Face sets and models that are of another version, foreign, cut short or altered: refused, named, and left alone.
#include <catch2/catch.hpp>
#include <cstdio>

#include "runtime/atomic_file.h"
#include "tools/stage.h"

namespace fs = std::filesystem;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string flipped(std::string bytes, size_t at) {
  bytes[at] = char(bytes[at] ^ 0x10);
  return bytes;
}

std::vector<std::string> train_on(const std::string& faces, const std::string& model) {
  return {"train", "a=" + faces, "b=" + stage().b_faces, "-o", model, "--batch", "2", "--iterations", "5"};
}

// Spoils one file of a copy of the face set; training must refuse and name it, and extract must not write over it.
void check_spoiled_faces(const std::string& file, std::string (*spoil)(std::string), bool extract_too) {
  const TemporaryFolder folder;
  copy_folder(stage().a_faces, folder / "set");
  write_bytes(folder / "set/" + file, spoil(read_bytes(folder / "set/" + file)));
  const auto before = snapshot(folder / "set");
  CAPTURE(file);
  check_refused(train_on(folder / "set", folder / "model"), folder / "set/" + file);
  if (extract_too) check_refused({"extract", stage().b_clip, "-o", folder / "set"}, folder / "set");
  CHECK(before == snapshot(folder / "set"));
  CHECK_FALSE(fs::exists(folder / "model/model.json"));
}

// Every command goes through the same reader: info, which does nothing else, shows what that refuses; the others show
// once for each file that they ask it, and stop there.
enum class Commands { info, all };

// The same for the model: training, converting and info must refuse, and nothing may change.
void check_spoiled_model(const std::string& file, Commands commands, std::string (*spoil)(std::string)) {
  const TemporaryFolder folder;
  copy_folder(stage().model, folder / "model");
  write_bytes(folder / "model/" + file, spoil(read_bytes(folder / "model/" + file)));
  const auto before = snapshot(folder / "model");
  CAPTURE(file);
  check_refused({"info", folder / "model"}, folder / "model/" + file);
  if (commands == Commands::all) {
    check_refused(train_on(stage().a_faces, folder / "model"), folder / "model/" + file);
    check_refused({"convert", stage().picture, "-m", folder / "model", "--to", "b", "-o", folder / "out.png"},
                  folder / "model/" + file);
  }
  CHECK(before == snapshot(folder / "model"));
  CHECK_FALSE(fs::exists(folder / "out.png"));
}

const std::string kWeights = "weights-" + std::to_string(kStageIterations) + ".safetensors";

}  // namespace

TEST_CASE("a face set of another version is refused") {
  check_spoiled_faces(
      "manifest.jsonl",
      [](std::string text) {
        // A whole header of a later version: its checksum is right.
        const size_t end = text.find('\n');
        const std::string json = replaced(text.substr(0, text.find('\t')), "\"version\":1", "\"version\":2");
        char sum[16];
        std::snprintf(sum, sizeof sum, "\t%08x", doppel::crc32(json.data(), json.size()));
        return json + sum + text.substr(end);
      },
      true);
}

TEST_CASE("an altered or cut face set is refused") {
  check_spoiled_faces(
      "manifest.jsonl", [](std::string text) { return flipped(text, 20); }, true);
  check_spoiled_faces(
      "manifest.jsonl", [](std::string text) { return flipped(text, text.size() / 2); }, true);
  check_spoiled_faces(
      "manifest.jsonl", [](std::string) { return std::string(); }, true);
  // A manifest without its end is what a crash leaves: extract may finish it, training must not start.
  check_spoiled_faces(
      "manifest.jsonl", [](std::string text) { return text.substr(0, text.size() / 2); }, false);
  check_spoiled_faces(
      "000003.jpg", [](std::string bytes) { return flipped(bytes, bytes.size() / 2); }, false);
  check_spoiled_faces(
      "000003.jpg", [](std::string bytes) { return bytes.substr(0, bytes.size() / 2); }, false);
}

TEST_CASE("what is not a face set is refused and left alone") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "photos");
  write_bytes(folder / "photos/note.txt", "mine\n");
  const auto before = snapshot(folder / "photos");
  check_refused(train_on(folder / "photos", folder / "model"), folder / "photos");
  check_refused(train_on(folder / "missing", folder / "model"), folder / "missing");
  check_refused({"extract", stage().a_clip, "-o", folder / "photos"}, folder / "photos");
  check_refused(train_on(stage().a_faces, folder / "photos"), folder / "photos");
  CHECK(before == snapshot(folder / "photos"));
  write_bytes(folder / "photos/manifest.jsonl", "{\"format\":\"somebody's faces\"}\n");
  check_refused(train_on(folder / "photos", folder / "model"), folder / "photos/manifest.jsonl");
  check_refused({"info", folder / "photos"}, folder / "photos/manifest.jsonl");
  check_refused({"extract", stage().a_clip, "-o", stage().model}, stage().model);
}

TEST_CASE("a model of another version or of another program is refused") {
  const std::string file = "model.json";
  check_spoiled_model(file, Commands::all,
                      [](std::string text) { return replaced(text, "\"version\": ", "\"version\": 9"); });
  check_spoiled_model(file, Commands::info,
                      [](std::string text) { return replaced(text, "doppel model", "dapple model"); });
  check_spoiled_model(file, Commands::info, [](std::string) { return std::string("{\"layers\": 3}\n"); });
  const TemporaryFolder folder;
  fs::create_directory(folder / "other");
  write_bytes(folder / "other/weights.bin", "foreign");
  check_refused({"convert", stage().picture, "-m", folder / "other", "--to", "b", "-o", folder / "out.png"},
                folder / "other");
  check_refused({"convert", stage().picture, "-m", folder / "none", "--to", "b", "-o", folder / "out.png"},
                folder / "none");
  check_refused(train_on(stage().a_faces, folder / "other"), folder / "other");
  CHECK(read_bytes(folder / "other/weights.bin") == "foreign");
}

TEST_CASE("an altered or cut model is refused") {
  check_spoiled_model("model.json", Commands::all,
                      [](std::string text) { return flipped(text, text.find("iterations") + 13); });
  check_spoiled_model("model.json", Commands::info, [](std::string text) { return text.substr(0, text.size() / 2); });
  check_spoiled_model(kWeights, Commands::all, [](std::string bytes) { return flipped(bytes, bytes.size() - 1000); });
  check_spoiled_model(kWeights, Commands::info, [](std::string bytes) { return flipped(bytes, 100); });
  check_spoiled_model(kWeights, Commands::info, [](std::string bytes) { return bytes.substr(0, bytes.size() - 1); });
}

TEST_CASE("a model whose weights are gone is not replaced by a fresh start") {
  const TemporaryFolder folder;
  copy_folder(stage().model, folder / "model");
  fs::remove(folder / "model/" + kWeights);
  const auto before = snapshot(folder / "model");
  check_refused(train_on(stage().a_faces, folder / "model"), folder / "model/" + kWeights);
  CHECK(before == snapshot(folder / "model"));
}
