#include "bench/options.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <type_traits>

#include "runtime/error.h"

namespace doppel::bench {
namespace {

template <typename Number>
std::string text_of(Number value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// Of "-o, --output".
bool is_among(const std::string& names, const std::string& name) {
  return name.find(',') == std::string::npos && (", " + names + ", ").find(", " + name + ", ") != std::string::npos;
}

std::string with_default(const std::string& what, const std::string& value) {
  return value.empty() ? what : what + " [" + value + "]";
}

// The whole text, as a number from low to high.
template <typename Number>
Number parse_number(const std::string& option, const std::string& text, Number low, Number high) {
  Number value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stopped == end && value >= low && value <= high) return value;  // no NaN is
  throw UsageError(option + " " + text + ": give a " + (std::is_integral_v<Number> ? "whole " : "") + "number, " +
                   text_of(low) + " to " + text_of(high));
}

}  // namespace

Options::Options(std::string program, std::string about) : program_(std::move(program)), about_(std::move(about)) {}

void Options::flag(const std::string& names, bool& field, const std::string& what) {
  options_.push_back({names, "", what, [&field](const std::string&, const std::string&) { field = true; }});
}

void Options::text(const std::string& names, const std::string& value, std::string& field, const std::string& what) {
  options_.push_back({names, value, with_default(what, field),
                      [&field](const std::string&, const std::string& given) { field = given; }});
}

void Options::choice(const std::string& names, const std::vector<std::string>& among, std::string& field,
                     const std::string& what) {
  options_.push_back({names, joined(among, "|"), with_default(what, field),
                      [&field, among](const std::string& name, const std::string& given) {
                        for (const std::string& one : among)
                          if (given == one) return void(field = given);
                        throw UsageError(name + " " + given + ": give one of " + joined(among, ", "));
                      }});
}

template <typename Number>
void Options::number(const std::string& names, const std::string& value, Number low, Number high, Number& field,
                     const std::string& what) {
  options_.push_back({names, value, with_default(what, field == 0 ? "" : text_of(field)),
                      [&field, low, high](const std::string& name, const std::string& given) {
                        field = parse_number(name, given, low, high);
                      }});
}

const Options::Option& Options::find(const std::string& name) const {
  for (const Option& option : options_)
    if (is_among(option.names, name)) return option;
  throw UsageError(name + ": no such option");
}

bool Options::parse(int argc, char** argv) const {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(help().c_str(), stdout);
      return false;
    }
    const Option& option = find(name);
    if (option.value.empty()) {
      option.take(name, "");
      continue;
    }
    // A file that is called like an option can be given as ./--name.
    if (i + 1 == argc || std::string(argv[i + 1]).starts_with("--")) throw UsageError(name + ": its value is missing");
    option.take(name, argv[++i]);
  }
  return true;
}

std::string Options::help() const {
  std::string text = about_ + "\n\nusage: " + program_ + " [options]\n\n";
  for (const Option& option : options_)
    text += "  " + option.names + (option.value.empty() ? "" : " " + option.value) + "\n      " + option.what + "\n";
  return text + "  -h, --help\n      This text\n";
}

template void Options::number(const std::string&, const std::string&, int, int, int&, const std::string&);
template void Options::number(const std::string&, const std::string&, uint64_t, uint64_t, uint64_t&,
                              const std::string&);
template void Options::number(const std::string&, const std::string&, double, double, double&, const std::string&);

}  // namespace doppel::bench
