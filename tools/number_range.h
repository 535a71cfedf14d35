// Validators for numbers on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace doppel {

// A real number from low to high. CLI::Range compares only, and so lets "nan" through.
class NumberRange : public CLI::Validator {
 public:
  NumberRange(double low, double high) : CLI::Validator("NUMBER in [" + text(low) + " - " + text(high) + "]") {
    func_ = [low, high](std::string& input) {
      double value = 0;
      const bool number = CLI::detail::lexical_cast(input, value);
      if (number && value >= low && value <= high) return std::string();
      return "Value " + input + " not in range " + text(low) + " to " + text(high);
    };
  }

 private:
  static std::string text(double value) {
    std::ostringstream out;
    out << value;
    return out.str();
  }
};

}  // namespace doppel
