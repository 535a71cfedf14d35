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
  CHECK(bytes(j, "checkpoint") == bytes(j, "parameters") + bytes(j, "optimiser") + bytes(j, "average"));
  CHECK(bytes(j, "face_sets") == 2.0 * 100 * 256 * 256 * 3);
  CHECK(j.at("batch").number() == 4);

  const Outcome table = run_doppel({"plan", "--batch", "4", "--precision", "fp32", "--faces", "100"});
  CHECK(table.code == 0);
  CHECK(table.err.empty());
  for (const char* row : {"parameters ", "gradients ", "optimiser ", "working copies ", "average ", "activations ",
                          "workspace ", "preview ", "checkpoint ", "face sets ", "in all ", "there are ",
                          "largest --batch ", "nothing computed again", "with recomputation"})
    CHECK(contains(table.out, row));
}

TEST_CASE("the batch that a plan says fits, fits") {
  const auto with_batch = [&](int batch, const std::string& recompute) {
    return plan({"--precision", "fp32", "--faces", "100", "--memory", "3G", "--device", "cpu", "--recompute", recompute,
                 "--batch", std::to_string(batch)});
  };
  const doppel::Json first = with_batch(2, "auto");
  CHECK(first.at("memory").number() == 3.0 * (1 << 30));
  CHECK(first.at("fits").boolean());
  CHECK(first.at("recomputed_values").number() == 0);
  CHECK(first.at("more_flops").number() == 0);
  const int largest = int(first.at("largest_batch").number());
  const int recomputed = int(first.at("largest_batch_recomputed").number());
  REQUIRE(largest > 2);
  REQUIRE(recomputed > largest + largest / 4);
  // Each plan counts what its own process holds, which differs by some megabytes, and under a sanitizer by some hundred
  // where many plans are made to choose what is computed again.
  const doppel::Json below = with_batch(largest - largest / 20, "auto"),
                     above = with_batch(largest + largest / 20, "auto");
  CHECK(below.at("fits").boolean());
  CHECK(below.at("recomputed_values").number() == 0);
  CHECK_FALSE(with_batch(largest + largest / 20, "off").at("fits").boolean());
  CHECK(above.at("fits").boolean());
  CHECK(above.at("recomputed_values").number() > 0);
  CHECK(above.at("more_flops").number() > 0);
  const doppel::Json last = with_batch(recomputed - recomputed / 8, "auto");
  CHECK(last.at("fits").boolean());
  CHECK(last.at("more_flops").number() >= above.at("more_flops").number());
  CHECK_FALSE(with_batch(recomputed + recomputed / 20, "on").at("fits").boolean());
}

TEST_CASE("a plan that computes values again says what that costs") {
  const std::vector<std::string> common = {"--precision", "fp32",     "--device", "emulator",
                                           "--arch",      "original", "--faces",  "0"};
  std::vector<std::string> with = common;
  with.insert(with.end(), {"--recompute", "on"});
  const doppel::Json off = plan(common), on = plan(with);
  CHECK(bytes(on, "activations") < 0.7 * bytes(off, "activations"));
  CHECK(on.at("more_flops").number() > 0);
  CHECK(on.at("more_flops").number() <= 1.0 / 3);
  with.insert(with.begin(), "plan");
  CHECK(contains(run_doppel(with).out, "% more FLOPs"));
  const Outcome wrong = run_doppel({"plan", "--recompute", "maybe"});
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.err, "--recompute"));
}

TEST_CASE("a plan for a card needs no card, nor a build with its kernels") {
  const doppel::Json j =
      plan({"--device", "cuda", "--memory", "8G", "--arch", "original", "--batch", "64", "--faces", "10"});
  CHECK(j.at("device").text() == "cuda");
  CHECK(j.at("precision").text() == "bf16");
  CHECK(j.at("fits").boolean());
  CHECK(j.at("bytes_on_device").number() < bytes(j, "total"));
  // Activations and workspace are the emulator's: they share all code above the launch.
  const doppel::Json emulated =
      plan({"--device", "emulator", "--arch", "original", "--batch", "64", "--faces", "10", "--precision", "bf16"});
  CHECK(bytes(j, "activations") == bytes(emulated, "activations"));
  CHECK(bytes(j, "workspace") == bytes(emulated, "workspace"));

  const Outcome outcome = run_doppel({"plan", "--device", "cuda:9"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  CHECK(contains(outcome.err, "--memory"));
  CHECK(lines(outcome.err).size() == 1);
}

TEST_CASE("a batch that no kernel takes is wrong usage, however much memory there is") {
  for (const char* device : {"cpu", "emulator", "cuda"}) {
    const Outcome outcome =
        run_doppel({"plan", "--people", "16", "--batch", "1048576", "--memory", "900T", "--device", device});
    CAPTURE(device, outcome.err);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    const auto said = lines(outcome.err);
    REQUIRE(said.size() == 2);
    CHECK(contains(said[0], "--batch 1048576: "));
    CHECK(contains(said[0], "at most --batch 16383"));
    CHECK(contains(said[1], "usage: doppel plan"));
  }
  const doppel::Json j = plan({"--people", "16", "--batch", "16383", "--memory", "900T", "--device", "cuda"});
  CHECK(j.at("fits").boolean());
  CHECK(j.at("largest_batch").number() == 16383);
}

TEST_CASE("a plan for too little memory says so") {
  const Outcome outcome = run_doppel({"plan", "--batch", "64", "--memory", "300M", "--faces", "0"});
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "does not fit"));
  CHECK(contains(outcome.out, "not even 1"));
  CHECK(bytes(plan({"--batch", "64", "--memory", "300M", "--faces", "0"}), "checkpoint") == 0);
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

TEST_CASE("a plan obeys --face-memory as train does") {
  const double face = 256 * 256 * 3, set = 100 * face, staging = 2 * 4 * face;
  const auto with = [](const std::string& device, const std::string& memory) {
    return plan({"--device", device, "--batch", "4", "--faces", "100", "--memory", "8G", "--face-memory", memory});
  };
  // Of a device of its own: room for a copy of one set, and then for none.
  const doppel::Json one = with("emulator", std::to_string(int64_t(set + staging))),
                     none = with("emulator", std::to_string(int64_t(2 * staging)));
  CHECK(one.at("face_sets_that_stream").number() == 1);
  CHECK(bytes(one, "face_sets") == 3 * set + 2 * staging);
  CHECK(none.at("face_sets_that_stream").number() == 2);
  CHECK(bytes(none, "face_sets") == 2 * set + 4 * staging);
  CHECK(none.at("largest_batch").number() == 4);
  // Of the host: to the file.
  const doppel::Json file = with("cpu", "1M");
  CHECK(file.at("face_sets_on_disk").number() == 2 * set);
  CHECK(bytes(file, "face_sets") == 0);

  const Outcome little = run_doppel({"plan", "--device", "emulator", "--batch", "4", "--face-memory", "1M"});
  CHECK(little.code == 2);
  CHECK(little.out.empty());
  CHECK(contains(little.err, "doppel: --face-memory: the faces of two iterations do not fit; give at least 4M"));
  CHECK(run_doppel({"plan", "--face-memory", "much"}).code == 2);
}

TEST_CASE("a plan for the emulator needs no time on it") {
  const doppel::Json j = plan({"--device", "emulator", "--batch", "64", "--arch", "original", "--faces", "0"});
  CHECK(j.at("device").text() == "emulator");
  CHECK(bytes(j, "activations") > 0);
}
