// How the program's threads wait: as the OpenMP library says it was told (OMP_DISPLAY_ENV).
#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>

#include "tools/program.h"

namespace {

// A variable of the environment while this lives; null: unset.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) const { value ? setenv(name_, value, 1) : unsetenv(name_); }

  const char* name_;
  std::optional<std::string> before_;
};

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
  CHECK(spins_of(run_doppel({"--version"}).err) == "0");
  const Variable seven("GOMP_SPINCOUNT", "77");
  CHECK(spins_of(run_doppel({"--version"}).err) == "77");
}

TEST_CASE("arguments and exit codes pass through the second start", "[idle_threads]") {
  const Variable unset("OMP_WAIT_POLICY", nullptr), spins("GOMP_SPINCOUNT", nullptr);
  const Outcome wrong = run_doppel({"extract", "a clip", "--faces=two words"});
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.err, "two words"));
  const Outcome version = run_doppel({"--version"});
  CHECK(version.code == 0);
  CHECK(contains(version.out, "doppel 0."));
}
