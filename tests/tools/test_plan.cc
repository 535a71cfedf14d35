// doppel plan: the memory that training needs, and the batch that fits.
#include <catch2/catch.hpp>

#include "runtime/json.h"
#include "tools/program.h"

namespace {

doppel::Json plan(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "plan");
  arguments.push_back("--json");
  const Outcome outcome = run_doppel(arguments);
  CAPTURE(arguments, outcome.err);
  REQUIRE(outcome.code == 0);
  REQUIRE(outcome.err.empty());
  return doppel::Json::parse(outcome.out, "stdout");
}

double bytes(const doppel::Json& j, const std::string& part) {
  return j.at("bytes").at(part).number();
}

}  // namespace

TEST_CASE("a plan lists its parts, and they add up") {
  const doppel::Json j = plan({"--arch", "lite", "--batch", "4", "--precision", "fp32", "--faces", "100"});
  double sum = 0;
  for (const auto& [name, value] : j.at("bytes").members())
    if (name != "total") sum += value.number();
  CHECK(sum == bytes(j, "total"));
  CHECK(bytes(j, "gradients") == bytes(j, "parameters"));
  CHECK(bytes(j, "optimiser") == 2 * bytes(j, "parameters"));
  CHECK(bytes(j, "working_copies") == 0);
  CHECK(bytes(j, "activations") > 0);
  CHECK(bytes(j, "face_sets") == 2.0 * 100 * 256 * 256 * 3);
  CHECK(j.at("batch").number() == 4);

  const Outcome table = run_doppel({"plan", "--batch", "4", "--precision", "fp32", "--faces", "100"});
  CHECK(table.code == 0);
  CHECK(table.err.empty());
  for (const char* row : {"parameters ", "gradients ", "optimiser ", "working copies ", "average ", "activations ",
                          "workspace ", "preview ", "face sets ", "in all ", "there are ", "largest --batch "})
    CHECK(contains(table.out, row));
}

TEST_CASE("the batch that a plan says fits, fits") {
  const std::vector<std::string> common = {"--precision", "fp32", "--faces", "100", "--memory", "3G"};
  const auto with_batch = [&](int batch) {
    std::vector<std::string> arguments = common;
    arguments.insert(arguments.end(), {"--batch", std::to_string(batch)});
    return plan(arguments);
  };
  const doppel::Json first = with_batch(2);
  CHECK(first.at("memory").number() == 3.0 * (1 << 30));
  CHECK(first.at("fits").boolean());
  const int largest = int(first.at("largest_batch").number());
  REQUIRE(largest > 2);
  // Each plan counts what its own process holds, which differs by some megabytes (more under a sanitizer).
  CHECK(with_batch(largest - largest / 20).at("fits").boolean());
  CHECK_FALSE(with_batch(2 * largest).at("fits").boolean());
}

TEST_CASE("a plan for too little memory says so") {
  const Outcome outcome = run_doppel({"plan", "--batch", "64", "--memory", "300M", "--faces", "0"});
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "does not fit"));
  CHECK(contains(outcome.out, "not even 1"));
}

TEST_CASE("face sets that are too large for memory are planned on the disk") {
  const double set = 60000.0 * 256 * 256 * 3;
  const doppel::Json j = plan({"--batch", "4", "--precision", "fp32", "--faces", "60000", "--memory", "8G"});
  CHECK(bytes(j, "face_sets") == 0);
  CHECK(j.at("face_sets_on_disk").number() == 2 * set);
  CHECK(j.at("fits").boolean());
  CHECK(j.at("largest_batch").number() > 4);
  const Outcome table = run_doppel({"plan", "--batch", "4", "--faces", "60000", "--memory", "8G"});
  CHECK(contains(table.out, "face sets: disk "));

  const doppel::Json small = plan({"--batch", "4", "--precision", "fp32", "--faces", "100", "--memory", "8G"});
  CHECK(small.at("face_sets_on_disk").number() == 0);
  CHECK(small.at("face_sets_that_stream").number() == 0);
}

TEST_CASE("a face set that does not fit on a device of its own streams") {
  // The host's copies leave room for a copy of one set and no more.
  const double set = 10700.0 * 256 * 256 * 3;
  const doppel::Json j = plan({"--device", "emulator", "--batch", "4", "--faces", "10700", "--memory", "8G"});
  const double face = 256 * 256 * 3, staging = 2 * 4 * face;
  CHECK(bytes(j, "face_sets") == 3 * set + 2 * staging);
  CHECK(j.at("face_sets_that_stream").number() == 1);
  CHECK(j.at("face_sets_on_disk").number() == 0);
  CHECK(j.at("fits").boolean());
}

TEST_CASE("a plan for the emulator needs no time on it") {
  const doppel::Json j = plan({"--device", "emulator", "--batch", "64", "--arch", "original", "--faces", "0"});
  CHECK(j.at("device").text() == "emulator");
  CHECK(bytes(j, "activations") > 0);
}
