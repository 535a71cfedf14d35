// The command line: help, version, exit codes, and what is said when it is wrong.
#include <catch2/catch.hpp>

#include "tools/program.h"

namespace {

const std::vector<std::string> kSubcommands = {"actors", "extract", "train", "plan", "convert", "demo", "info"};

// One line on what is wrong, one line of usage, nothing on stdout, exit code 2.
void check_usage_error(const std::vector<std::string>& arguments, const std::string& names) {
  const TemporaryFolder folder;
  RunOptions there;
  there.folder = folder.path();
  const Outcome outcome = run_doppel(arguments, there);
  CAPTURE(arguments, outcome.err, outcome.out);
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  const auto said = lines(outcome.err);
  REQUIRE(said.size() == 2);
  CHECK(said[0].rfind("doppel: ", 0) == 0);
  CHECK(contains(said[0], names));
  CHECK(said[1].rfind("usage: doppel ", 0) == 0);
  CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace

TEST_CASE("help leads with examples") {
  const Outcome all = run_doppel({"--help"});
  CHECK(all.code == 0);
  CHECK(all.out.rfind("Examples:\n  doppel ", 0) == 0);
  for (const auto& name : kSubcommands) {
    CAPTURE(name);
    CHECK(contains(all.out, "  " + name + " "));
    const Outcome one = run_doppel({name, "--help"});
    CHECK(one.code == 0);
    CHECK(one.out.rfind("Examples:\n  doppel " + name, 0) == 0);
    CHECK(contains(one.out, "Usage: doppel " + name));
    CHECK(one.err.empty());
  }
}

TEST_CASE("the version is a name and a number") {
  const Outcome outcome = run_doppel({"--version"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.rfind("doppel 0.", 0) == 0);
}

TEST_CASE("a wrong command line names what is wrong and the choices") {
  check_usage_error({}, "subcommand");
  check_usage_error({"swap"}, "swap");
  check_usage_error({"--nonsense"}, "--nonsense");
  for (const auto& name : kSubcommands) check_usage_error({name, "--nonsense"}, "");
  check_usage_error({"actors"}, "--output");
  check_usage_error({"actors", "-o", "x", "--frames", "many"}, "many");
  check_usage_error({"actors", "-o", "x", "--frames", "0"}, "--frames");
  check_usage_error({"actors", "-o", "x", "--size", "101"}, "--size");
  check_usage_error({"demo", "--minutes", "-1"}, "--minutes");
  check_usage_error({"demo", "--minutes", "nan"}, "--minutes");
  check_usage_error({"info"}, "");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--minutes", "nan"}, "--minutes");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--lr", "0"}, "--lr");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--batch", "-3"}, "--batch");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--iterations", "1e400"}, "--iterations");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--optimizer", "sgd"}, "adabelief");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--lr-dropout", "1"}, "--lr-dropout");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--clip", "-1"}, "--clip");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--clip", "nan"}, "--clip");
  for (const std::string memory : {"0", "-1G", "8X", "G", "nan", "1e30T", ""})
    check_usage_error({"plan", "--memory", memory}, "--memory");
  for (const std::string memory : {"0", "-2G", "much", ""})
    check_usage_error({"train", "a=a", "b=b", "-o", "m", "--face-memory", memory}, "--face-memory");
  check_usage_error({"plan", "--batch", "0"}, "--batch");
  check_usage_error({"plan", "--people", "1"}, "--people");
  check_usage_error({"plan", "--faces", "-1"}, "--faces");
  check_usage_error({"plan", "lite"}, "lite");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--device", "cuda:one"}, "cuda:N");
  check_usage_error({"train", "a=a", "b=b", "-o", "m", "--conv", "fastest"}, "handwritten");
  check_usage_error({"extract", "a.mp4", "-o", "f", "--coverage", "nan"}, "--coverage");
  check_usage_error({"extract", "a.mp4", "-o", "f", "--every", "0"}, "--every");
  check_usage_error({"convert", "a.mp4", "-m", "m", "--to", "a", "-o", "b.mp4", "--mask-blur", "nan"}, "--mask-blur");
}

TEST_CASE("the choices of an option are listed") {
  const Outcome outcome = run_doppel({"train", "a=a", "b=b", "-o", "m", "--arch", "huge"});
  CHECK(outcome.code == 2);
  CHECK(contains(outcome.err, "lite"));
  CHECK(contains(outcome.err, "original"));
}

TEST_CASE("a card that is not there is said in one line, before anything is written") {
  const TemporaryFolder folder;
  RunOptions there;
  there.folder = folder.path();
  const Outcome outcome = run_doppel({"train", "a=a", "b=b", "-o", "m", "--device", "cuda:999"}, there);
  CHECK(outcome.code == 1);
  const auto said = lines(outcome.err);
  REQUIRE(said.size() == 1);
  CHECK(contains(said[0], "--device cuda:999"));
  CHECK(contains(said[0], "--device cpu"));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a part that cannot be left out is said before anything is done") {
  const TemporaryFolder folder;
  const Variable without("DOPPEL_WITHOUT", "clusters,wgma");
  const Outcome outcome = run_doppel({"actors", "-o", folder / "actors"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK(lines(outcome.err).size() == 1);
  CHECK(contains(outcome.err, "DOPPEL_WITHOUT=clusters,wgma: only these can be left out"));
  CHECK(std::filesystem::is_empty(folder.path()));
}
