// Amounts of memory on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>

namespace doppel {

// "8G", "512M", "1.5GiB", "800000": a positive number of bytes, or of 1024, 1024^2, ... of them; at most 2^60.
inline std::optional<size_t> parse_bytes(std::string text) {
  for (const char* end : {"iB", "B"})
    if (text.ends_with(end)) {
      text.resize(text.size() - std::string(end).size());
      break;
    }
  double unit = 1;
  const std::string units = "KMGT";
  if (!text.empty()) {
    if (const size_t k = units.find(char(std::toupper(static_cast<unsigned char>(text.back())))); k != units.npos) {
      for (size_t i = 0; i <= k; ++i) unit *= 1024;
      text.pop_back();
    }
  }
  double value = 0;
  if (!CLI::detail::lexical_cast(text, value) || !(value > 0) || value * unit > 0x1p60) return std::nullopt;
  return size_t(value * unit);
}

class ByteCount : public CLI::Validator {
 public:
  ByteCount() : CLI::Validator("BYTES") {
    func_ = [](std::string& input) {
      return parse_bytes(input) ? std::string() : input + ": give an amount of memory such as 8G or 512M";
    };
  }
};

}  // namespace doppel
