// The file that keeps the times of kernels: where it lies, and what becomes of one that is not as it should be.
#include <cstdlib>

#include "runtime/atomic_file.h"
#include "runtime/kernel_cache.h"
#include "runtime/tuner_bench.h"

using namespace doppel;
using namespace doppel::testing;
namespace fs = std::filesystem;

TEST_CASE("tuner: a file that is damaged or of another time is replaced", "[tuner]") {
  TunerBench bench;
  Graph first = network();
  bench.tune(first, by_splits);
  const std::string good = read_file(bench.file);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  struct Case {
    std::string text;
    bool damaged;
  };
  const Case cases[] = {{good.substr(0, good.size() / 2), true},
                        {"", true},
                        {"[]", true},
                        {changed("\"mma_64x64/1\": ", "\"mma_64x64/1\": -"), true},
                        {changed("\"mma_64x64/1\": ", "\"mma_64x64/1\": \"\", \"x\": "), true},
                        {changed("\"generation\": \"", "\"generation\": \"0"), false},
                        {changed("\"format\": 2", "\"format\": 1"), false},
                        {changed("\"device\": \"", "\"device\": \"other "), false}};
  for (const Case& c : cases) {
    INFO(c.text);
    write_file(bench.file, c.text);
    Graph g = network();
    CHECK(bench.tune(g, by_fewest_splits).timed > 0);
    CHECK(bench.told.size() == (c.damaged ? 2 : 1));
    CHECK(bench.was_told("damaged") == c.damaged);
    CHECK(chosen(g) != chosen(first));
    check_kept(bench, g, by_splits);
  }
  // What is missing alone is measured.
  write_file(bench.file, changed("\"mma_64x64/1\": ", "\"mma_64x64/1000\": "));
  Graph g = network();
  CHECK(bench.tune(g, by_splits).timed == 1);
}

TEST_CASE("tuner: a file that cannot be written is told and no failure", "[tuner]") {
  TunerBench bench;
  fs::create_directories(bench.folder);
  write_file(bench.folder + "/deep", "a file where a folder should be");
  Graph g = network();
  CHECK(bench.tune(g, by_splits).timed > 0);
  CHECK(bench.was_told("not kept"));
  CHECK(chosen(g).front() != KernelChoice{});
}

TEST_CASE("tuner: the file may lie in the folder of the process", "[tuner]") {
  TunerBench bench;
  fs::create_directories(bench.folder);
  const fs::path before = fs::current_path();
  fs::current_path(bench.folder);
  KernelCache cache("times.json", "a device", "a generation", "");
  cache["a product"]["simt/1"] = 1;
  CHECK_NOTHROW(cache.write());
  CHECK(fs::exists("times.json"));
  fs::current_path(before);
}

TEST_CASE("tuner: where the file lies", "[tuner]") {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const std::string cache_before = cache ? cache : "", home_before = home ? home : "";
  setenv("XDG_CACHE_HOME", "/cache", 1);
  CHECK(kernel_cache_path("NVIDIA H200") == "/cache/doppel/kernels-NVIDIA-H200.json");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/anna", 1);
  CHECK(kernel_cache_path("a/b") == "/home/anna/.cache/doppel/kernels-a-b.json");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  CHECK(kernel_cache_path("x").empty());
  if (cache) setenv("XDG_CACHE_HOME", cache_before.c_str(), 1);
  if (home) setenv("HOME", home_before.c_str(), 1);
}
