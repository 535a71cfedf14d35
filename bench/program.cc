#include "bench/program.h"

#include <cmath>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "kernels/left_out.h"
#include "runtime/error.h"
#include "runtime/idle_threads.h"
#include "runtime/interrupt.h"

namespace doppel::bench {
namespace {

enum ExitCode { kFailed = 1, kUsage = 2, kInterrupted = 130 };

const char* program = "bench";

int fail(std::string why, ExitCode code) {
  std::fflush(stdout);
  for (char& c : why)
    if (c == '\n') c = ' ';
  tell_line(why);
  return code;
}

}  // namespace

int run_program(const char* name, int argc, char** argv, int (*body)(int, char**)) {
  let_idle_threads_sleep(argv);
  program = name;
  // What is written to a pipe that nobody reads, or beyond a limit, fails as any other writing does.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  catch_interrupts();
  try {
    left_out("");
  } catch (const std::exception& e) {
    return fail(e.what(), kUsage);
  }
  try {
    const int code = body(argc, argv);
    flush_results();
    return code;
  } catch (const UsageError& e) {
    return fail(std::string(e.what()) + " (" + name + " --help)", kUsage);
  } catch (const Interrupted& e) {
    return fail(e.what(), kInterrupted);
  } catch (const std::bad_alloc&) {
    return fail("out of memory: ask for smaller batches or fewer pictures, or close other programs", kFailed);
  } catch (const std::exception& e) {
    return fail(e.what(), kFailed);
  }
}

void tell(const char* format, ...) {
  std::fprintf(stderr, "%s: ", program);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
}

void tell_line(const std::string& line) {
  tell("%s", line.c_str());
}

void flush_results() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw Error("cannot write to standard output");
}

void stop_if_asked() {
  if (interrupted()) throw Interrupted("stopped");
}

void JsonList::add(const Json& object) {
  std::printf("%s%s", begun_ ? ",\n " : "[", object.dump().c_str());
  begun_ = true;
  flush_results();
}

void JsonList::end() {
  std::printf("%s]\n", begun_ ? "" : "[");
  flush_results();
}

Json rounded(double value, int digits) {
  const double unit = std::pow(10.0, digits);
  return std::round(value * unit) / unit;
}

}  // namespace doppel::bench
