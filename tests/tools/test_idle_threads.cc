// How the program's threads wait: as the OpenMP library says it was told (OMP_DISPLAY_ENV).
#include <catch2/catch.hpp>

#include "tools/program.h"

namespace {

// How often a thread looks before it sleeps, of the last start.
std::string spins_of(const std::string& err) {
  const std::string name = "GOMP_SPINCOUNT = '";
  const size_t at = err.rfind(name);
  if (at == std::string::npos) return err;
  const size_t begin = at + name.size();
  return err.substr(begin, err.find('\'', begin) - begin);
}

}  // namespace

TEST_CASE("threads that wait sleep, unless the user says how they shall wait", "[idle_threads]") {
  const Variable display("OMP_DISPLAY_ENV", "verbose");
  const Variable policy("OMP_WAIT_POLICY", nullptr), spins("GOMP_SPINCOUNT", nullptr);
  CHECK(spins_of(run_doppel({"--version"}).err) == "2000");
  const Variable seven("GOMP_SPINCOUNT", "77");
  CHECK(spins_of(run_doppel({"--version"}).err) == "77");
}

TEST_CASE("arguments and exit codes pass through the second start", "[idle_threads]") {
  const Variable policy("OMP_WAIT_POLICY", nullptr), spins("GOMP_SPINCOUNT", nullptr);
  const TemporaryFolder folder;
  for (const std::string name : {"no such file", "two\nlines", "-"}) {
    const Outcome gone = run_doppel({"info", folder / name});
    CHECK(gone.code == 1);
    CHECK(gone.err.substr(0, 8) == "doppel: ");
  }
  CHECK(run_doppel({"info", ""}).code != 0);
  CHECK(run_doppel({"--version"}).out.substr(0, 9) == "doppel 0.");
}

TEST_CASE("the program can be started by way of its loader", "[idle_threads]") {
  const Variable policy("OMP_WAIT_POLICY", nullptr), spins("GOMP_SPINCOUNT", nullptr);
  const std::string loader = "/lib64/ld-linux-x86-64.so.2";
  if (!std::filesystem::exists(loader)) return;  // another architecture
  const Outcome outcome = run_program(loader, {DOPPEL_PROGRAM, "--version"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.substr(0, 9) == "doppel 0.");
}
