#include "tools/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <optional>

#include "runtime/clock.h"

namespace fs = std::filesystem;

namespace {

constexpr double kPatience = 300;  // seconds

[[noreturn]] void become_program(const std::string& program, const std::vector<std::string>& arguments,
                                 const RunOptions& options, int out, int err) {
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(127);
  if (options.largest_file > 0) {
    const rlimit limit{rlim_t(options.largest_file), rlim_t(options.largest_file)};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(127);
}

// Appends what is there to read; false at the end of the stream.
bool drain(int fd, std::string& text) {
  char buffer[4096];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got > 0) text.append(buffer, size_t(got));
  return got > 0;
}

}  // namespace

Outcome run_program(const std::string& program, const std::vector<std::string>& arguments, const RunOptions& options) {
  int out[2], err[2];
  REQUIRE(pipe2(out, O_CLOEXEC) == 0);
  REQUIRE(pipe2(err, O_CLOEXEC) == 0);
  const doppel::Clock::time_point start = doppel::Clock::now();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) become_program(program, arguments, options, out[1], err[1]);
  close(out[1]);
  close(err[1]);

  Outcome outcome;
  bool interrupted = options.interrupt_after <= 0, killed = false;
  std::optional<double> said;
  pollfd streams[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    poll(streams, 2, 50);
    if (streams[0].revents != 0 && !drain(out[0], outcome.out)) streams[0].fd = -1;
    if (streams[1].revents != 0 && !drain(err[0], outcome.err)) streams[1].fd = -1;
    const double seconds = doppel::since(start);
    if (!said && outcome.err.find(options.interrupt_on) != std::string::npos) said = seconds;
    if (!interrupted && said && seconds - *said > options.interrupt_after) {
      kill(child, SIGINT);
      interrupted = true;
    }
    if (!killed && seconds > kPatience) {
      kill(child, SIGKILL);
      killed = true;
    }
  }
  close(out[0]);
  close(err[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Outcome run_doppel(const std::vector<std::string>& arguments, const RunOptions& options) {
  return run_program(DOPPEL_PROGRAM, arguments, options);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    all.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return all;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = fs::temp_directory_path() / "doppel-test-XXXXXX";
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a folder left behind in /tmp must not hide what the test found
  fs::remove_all(path_, ignored);
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  REQUIRE(file.flush().good());
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::pair<std::string, std::string>> snapshot(const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.emplace_back(entry.path().string(), read_bytes(entry.path().string()));
  }
  std::sort(files.begin(), files.end());
  return files;
}
