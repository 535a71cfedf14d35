// Runs a program as a user would, in a process of its own.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

struct Outcome {
  int code = -1;  // exit code; 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

struct RunOptions {
  long largest_file = 0;       // bytes that any file may grow to (what a full disk looks like); 0: no limit
  double interrupt_after = 0;  // seconds until SIGINT is sent; 0: never
  std::string interrupt_on;    // these begin when stderr has said this
  std::string folder;          // to run in; "" for this process's own
};

// Never hangs: after five minutes the program is killed and the test fails. `program`: its path.
Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const RunOptions& options = {});
// The one that everybody uses.
Outcome run_doppel(const std::vector<std::string>& arguments, const RunOptions& options = {});

// Lines of a text, without their ends.
std::vector<std::string> lines(const std::string& text);

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

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

// A folder of its own for each test, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_bytes(const std::string& path, const std::string& bytes);
std::string read_bytes(const std::string& path);
// The bytes of every file under a folder, by name: two equal snapshots mean that nothing was touched.
std::vector<std::pair<std::string, std::string>> snapshot(const std::string& folder);
