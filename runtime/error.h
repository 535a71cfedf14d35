// Errors that a user sees: one line that says what is wrong, where, and what to do.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace doppel {

// Something failed (exit code 1).
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command line asked for something that cannot be (exit code 2).
class UsageError : public Error {
 public:
  using Error::Error;
};

// The host or a device has not so much memory as was asked for.
class OutOfMemory : public Error {
 public:
  using Error::Error;
  // `where`: "", "of the card", ...; bytes that were asked for, and that are free there.
  OutOfMemory(size_t bytes, const std::string& where, size_t free)
      : Error("out of memory: " + std::to_string((bytes + kMiB - 1) / kMiB) + " MiB " +
              (where.empty() ? "" : where + " ") + "were asked for and " + std::to_string(free / kMiB) +
              " MiB are free; use a smaller --batch (doppel plan shows what a run needs), or close what else uses it") {
  }

 private:
  static constexpr size_t kMiB = size_t(1) << 20;
};

// Ctrl-C or SIGTERM ended the work early; what was done is kept (exit code 130).
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace doppel
