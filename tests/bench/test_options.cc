// The command lines of the benches. tests/bench_usage.sh has the programs themselves.
#include "bench/options.h"

#include <catch2/catch.hpp>

#include "runtime/error.h"

using namespace doppel;
using namespace doppel::bench;
using Catch::Contains;

namespace {

struct Request {
  std::string file, kind = "one";
  int count = 3;
  uint64_t seed = 0;
  double seconds = 0.5;
  bool json = false;
};

Options table(Request& r) {
  Options options("program", "What it does.");
  options.text("-f, --file", "FILE", r.file, "A file");
  options.choice("--kind", {"one", "two"}, r.kind, "Which");
  options.number("--count", "N", 1, 10, r.count, "How many");
  options.number("--seed", "N", uint64_t(0), UINT64_MAX, r.seed, "From where");
  options.number("--seconds", "S", 0.25, 2.0, r.seconds, "How long");
  options.flag("--json", r.json, "As JSON");
  return options;
}

Request parsed(std::vector<std::string> words) {
  Request r;
  std::vector<char*> arguments{nullptr};
  for (std::string& word : words) arguments.push_back(word.data());
  const bool wanted = table(r).parse(int(arguments.size()), arguments.data());  // not in a REQUIRE: it throws
  REQUIRE(wanted);
  return r;
}

void refused(const std::vector<std::string>& words, const std::string& why) {
  CHECK_THROWS_AS(parsed(words), UsageError);
  CHECK_THROWS_WITH(parsed(words), Contains(why));
}

}  // namespace

TEST_CASE("bench options: each takes its value, what is not given stays", "[bench]") {
  const Request all = parsed(
      {"-f", "a", "--kind", "two", "--count", "10", "--seed", "18446744073709551615", "--seconds", "0.25", "--json"});
  CHECK(all.file == "a");
  CHECK(all.kind == "two");
  CHECK(all.count == 10);
  CHECK(all.seed == UINT64_MAX);
  CHECK(all.seconds == 0.25);
  CHECK(all.json);
  const Request none = parsed({});
  CHECK(none.file.empty());
  CHECK(none.kind == "one");
  CHECK(none.count == 3);
  CHECK_FALSE(none.json);
  CHECK(parsed({"--file", "b", "--file", "c"}).file == "c");
}

TEST_CASE("bench options: what cannot be is refused, and named", "[bench]") {
  for (const char* name : {"file", "-file", "--fil", "--files", "-", ",", "", "-f, --file"})
    refused({name, "a"}, std::string(name) + ": no such option");
  refused({"--file"}, "--file: its value is missing");
  refused({"--file", "--json"}, "--file: its value is missing");
  refused({"--kind", "three"}, "--kind three: give one of one, two");
  for (const char* count : {"0", "11", "-1", "2.5", "1x", " 1", "", "99999999999"})
    refused({"--count", count}, "--count " + std::string(count) + ": give a whole number, 1 to 10");
  for (const char* seconds : {"0.2", "2.1", "nan", "inf", "1s", ""})
    refused({"--seconds", seconds}, "--seconds " + std::string(seconds) + ": give a number, 0.25 to 2");
  refused({"--seed", "18446744073709551616"}, "0 to 18446744073709551615");
}

TEST_CASE("bench options: help has every option with its default", "[bench]") {
  Request r;
  const std::string help = table(r).help();
  for (const char* line : {"What it does.\n", "usage: program [options]\n", "  -f, --file FILE\n      A file\n",
                           "  --kind one|two\n      Which [one]\n", "  --count N\n      How many [3]\n",
                           "  --seed N\n      From where\n", "  --seconds S\n      How long [0.5]\n", "  --json\n"})
    CHECK_THAT(help, Contains(line));
}
