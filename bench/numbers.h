// Numbers on the command line of a bench. What is none, or out of range, is a UsageError that names the option.
#pragma once

#include <charconv>
#include <cstdio>
#include <string>
#include <system_error>
#include <type_traits>

#include "runtime/error.h"

namespace doppel::bench {

template <typename Number>
Number parse_number(const std::string& option, const std::string& text, Number low, Number high) {
  Number value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stopped == end && value >= low && value <= high) return value;  // no NaN is
  char range[64];
  std::snprintf(range, sizeof range, "%.7g to %.7g", double(low), double(high));
  throw UsageError(option + " " + text + ": give a " + (std::is_integral_v<Number> ? "whole " : "") + "number, " +
                   range);
}

inline int parse_batch(const std::string& text) {
  return parse_number("--batch", text, 1, 1 << 20);
}
inline double parse_seconds(const std::string& text) {
  return parse_number("--seconds", text, 0.001, 1e6);
}

}  // namespace doppel::bench
