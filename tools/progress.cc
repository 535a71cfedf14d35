#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace doppel {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kPrint{10};

std::string rate_text(double per_second) {
  char text[32];
  std::snprintf(text, sizeof text, per_second < 10 ? "%.1f" : "%.0f", per_second);
  return text;
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  char text[48];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 59.5) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else if (seconds < 3599.5) {
    const long long whole = std::llround(seconds);
    std::snprintf(text, sizeof text, "%lld min %02lld s", whole / 60, whole % 60);
  } else {
    const long long minutes = std::llround(std::min(seconds, 1e12) / 60);
    std::snprintf(text, sizeof text, "%lld h %02lld min", minutes / 60, minutes % 60);
  }
  return text;
}

Progress::Progress(std::string what, int64_t total, std::string unit, int64_t first)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      first_(first),
      start_(Clock::now()),
      last_(start_),
      terminal_(isatty(STDERR_FILENO) == 1) {
  // The first line on a terminal comes at once; a log waits until there is something to tell.
  if (terminal_) last_ -= kRedraw;
}

Progress::~Progress() {
  if (drawn_) std::fputc('\n', stderr);
}

double Progress::elapsed() const {
  return since(start_);
}

std::string Progress::line(int64_t done, const std::string& note) const {
  const double seconds = elapsed();
  const int64_t fresh = done - first_;
  std::string text = what_ + ": " + std::to_string(done);
  if (total_ > 0) text += " of " + std::to_string(total_);
  text += " " + unit_;
  if (total_ > 0) text += ", " + std::to_string(std::clamp<int64_t>(100 * done / total_, 0, 100)) + " %";
  const bool measured = fresh > 0 && seconds > 0.05;
  if (measured) text += ", " + rate_text(double(fresh) / seconds) + " " + unit_ + "/s";
  if (seconds_left_ >= 0) {
    text += ", " + duration_text(seconds_left_) + " left";
  } else if (total_ > done && measured) {
    text += ", " + duration_text(double(total_ - done) * seconds / double(fresh)) + " left";
  }
  if (!note.empty()) text += ", " + note;
  return text;
}

void Progress::draw(const std::string& text) {
  if (terminal_) {
    // A line that wraps could not be redrawn in place.
    std::fprintf(stderr, "\r\033[K%.*s", terminal_columns() - 1, text.c_str());
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void Progress::clear_line() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void Progress::update(int64_t done, const std::string& note) {
  if (finished_) return;
  const auto now = Clock::now();
  if (terminal_ ? now - last_ < kRedraw : now - last_ < kPrint) return;
  last_ = now;
  draw(line(done, note));
}

void Progress::finish(int64_t done, const std::string& note) {
  if (finished_) return;
  finished_ = true;
  seconds_left_ = -1;
  const double seconds = elapsed();
  const int64_t fresh = done - first_;
  std::string text = what_ + ": " + std::to_string(done) + " " + unit_ + " in " + duration_text(seconds);
  if (fresh > 0 && seconds > 0.05) text += ", " + rate_text(double(fresh) / seconds) + " " + unit_ + "/s";
  if (!note.empty()) text += ", " + note;
  clear_line();
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

}  // namespace doppel
