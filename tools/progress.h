// One line on stderr that says how far the work is: what, done of total, percent, rate and time left.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/clock.h"

namespace doppel {

// Seconds as people say them: "0.4 s", "12 s", "3 min 05 s", "2 h 10 min". Negative and non-finite values give "?".
std::string duration_text(double seconds);

// On a terminal the line is redrawn in place, at most five times a second; elsewhere a line is printed every ten
// seconds. finish() prints the last state in either case. To be used from one thread.
class Progress {
 public:
  // `unit` names what is counted ("frames"); total 0 means that nobody knows the end: percent and time left are left
  // out. `first` is what was done before the start (a resumed run), which the rate must not count.
  Progress(std::string what, int64_t total, std::string unit, int64_t first = 0);
  // Ends a half-drawn line, so that an error message starts on a line of its own.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` counts from 0, not from `first`; `note` is appended ("2 without a face").
  void update(int64_t done, const std::string& note = "");

  // The closing line: what was done, how long it took, and the rate. Later calls do nothing.
  void finish(int64_t done, const std::string& note = "");

  // For work that learns of its end after the start.
  void set_total(int64_t total) { total_ = total; }

  // Replaces the counted estimate of the time left, for work that ends at a given time. Negative: back to counting.
  void set_seconds_left(double seconds) { seconds_left_ = seconds; }

  // Clears a half-drawn line so that the caller can print a line of its own to stderr.
  void clear_line();

  // Seconds since the start.
  double elapsed() const;

 private:
  std::string line(int64_t done, const std::string& note) const;
  void draw(const std::string& text);

  std::string what_, unit_;
  int64_t total_, first_;
  Clock::time_point start_, last_;
  double seconds_left_ = -1;
  bool terminal_, drawn_ = false, finished_ = false;
};

}  // namespace doppel
