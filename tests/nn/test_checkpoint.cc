// Checkpoints that survive damage by being refused.
#include <catch2/catch.hpp>
#include <filesystem>
#include <regex>

#include "nn/runs.h"
#include "nn/swapper.h"
#include "runtime/atomic_file.h"

using namespace doppel;
using testing::Folder;
using testing::lite;
using testing::Run;
using testing::weights_file;
namespace fs = std::filesystem;

namespace {

// XORs one bit.
void flip(const std::string& path, size_t at) {
  std::string content = read_file(path);
  content[at % content.size()] = char(content[at % content.size()] ^ 4);
  write_file(path, content);
}

}  // namespace

TEST_CASE("saving again replaces the checkpoint and leaves one weights file", "[checkpoint]") {
  Run run;
  Folder folder;
  Trainer trainer = run.trainer(lite("fp32"));
  trainer.save(folder.path);
  trainer.step();
  trainer.save(folder.path);
  REQUIRE(load_description(folder.path).iterations == 1);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path)) files += entry.path().extension() == ".safetensors";
  REQUIRE(files == 1);
}

TEST_CASE("damaged, cut and foreign models are refused by name", "[checkpoint]") {
  Run run;
  Folder folder;
  Trainer trainer = run.trainer(lite("fp32"));
  trainer.save(folder.path);
  const std::string json = folder.path + "/model.json", weights = weights_file(folder.path);
  const std::string good = read_file(json);
  const auto load = [&] { Swapper swapper(folder.path, 1); };
  REQUIRE_NOTHROW(load());

  for (size_t at = 0; at < good.size(); at += 7) {
    flip(json, at);
    INFO("model.json, byte " << at);
    REQUIRE_THROWS_WITH(load(), Catch::Contains("model.json"));
    write_file(json, good);
  }
  const std::string data = read_file(weights);
  for (size_t at : {size_t(0), size_t(9), size_t(200), data.size() / 2, data.size() - 1}) {
    flip(weights, at);
    INFO("weights, byte " << at);
    REQUIRE_THROWS_WITH(load(), Catch::Contains(".safetensors"));
    write_file(weights, data);
  }
  write_file(weights, std::string_view(data).substr(0, data.size() / 2));
  REQUIRE_THROWS_WITH(load(), Catch::Contains(".safetensors") && Catch::Contains("bytes"));
  fs::remove(weights);
  REQUIRE_THROWS_WITH(load(), Catch::Contains(".safetensors"));
  write_file(weights, data);
  REQUIRE_NOTHROW(load());

  const std::string other = std::regex_replace(good, std::regex("\"version\": \\d+"), "\"version\": 999");
  REQUIRE(other != good);
  write_file(json, other);
  REQUIRE_THROWS_WITH(load(), Catch::Contains("another version"));
  const std::string older = std::regex_replace(good, std::regex("\"version\": \\d+"), "\"version\": 1");
  write_file(json, older);
  REQUIRE_THROWS_WITH(load(), Catch::Contains("another version"));
  write_file(json, "{\"format\": \"something else\"}");
  REQUIRE_THROWS_WITH(load(), Catch::Contains("not a doppel model"));
}

TEST_CASE("a model of version 2 was trained with Adam, every weight and no clipping", "[checkpoint]") {
  Run run;
  Folder folder;
  ModelDescription model = lite("fp32");
  model.optimizer = "adabelief", model.lr_dropout = 0.5f, model.clip = 2;
  run.trainer(model).save(folder.path);
  const std::string json = folder.path + "/model.json";
  std::string text = read_file(json);
  text = std::regex_replace(text, std::regex("\n *\"(optimizer|lr_dropout|clip)\": [^\n]*"), "");
  text = std::regex_replace(text, std::regex("\"version\": 3"), "\"version\": 2");
  text.resize(text.rfind(",\n \"crc32\": "));
  write_file(json, text + ",\n \"crc32\": " + std::to_string(crc32(text.data(), text.size())) + "\n}\n");
  const ModelDescription old = load_description(folder.path);
  CHECK(old.optimizer == "adam");
  CHECK(old.lr_dropout == 0);
  CHECK(old.clip == 0);
  CHECK(old.warp == model.warp);
}
