// Errors that a user sees: one line that says what is wrong, where, and what to do.
#pragma once

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

// Ctrl-C or SIGTERM ended the work early; what was done is kept (exit code 130).
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace doppel
