// What main() of every bench does around its work, and what the work says on the way.
#pragma once

#include <string>

#include "runtime/json.h"

namespace doppel::bench {

// Runs body(argc, argv), which gives the exit code, and turns what it throws into one line on stderr, "NAME: what", and
// a code: 2 for a UsageError, 130 for Interrupted, 1 for anything else and where stdout could not be written. Ctrl-C
// and SIGTERM ask the body to stop (runtime/interrupt.h). To be called first in main() (runtime/idle_threads.h).
int run_program(const char* name, int argc, char** argv, int (*body)(int, char**));

// Prints "NAME: " and a line to stderr; NAME is that of run_program(). As std::printf, without the end of the line.
[[gnu::format(printf, 1, 2)]] void tell(const char* format, ...);
void tell_line(const std::string& line);

// Hands on what was printed to stdout, so that a run that is stopped leaves what it has measured. Throws Error when
// nobody takes it.
void flush_results();

// Throws Interrupted once the user asked to stop.
void stop_if_asked();

// A list of objects on stdout, one a line and each as soon as it is there: of a list that is cut short the lines can be
// read (bench/gpu_report.py).
class JsonList {
 public:
  void add(const Json& object);
  void end();

 private:
  bool begun_ = false;
};

// For people's eyes: no more than so many digits behind the point.
Json rounded(double value, int digits);

}  // namespace doppel::bench
