// The command line of a bench: a table of options by which it is read, and from which --help is written.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace doppel::bench {

class Options {
 public:
  // `about`: what the program does, a line or more, as --help begins.
  Options(std::string program, std::string about);

  // One option each. `names`: "--json", or "-o, --output". `what`: for --help, one line. What the field holds at this
  // point is the default, which --help shows unless it is empty or 0.
  void flag(const std::string& names, bool& field, const std::string& what);
  // `value`: what stands for the value in --help: "FILE".
  void text(const std::string& names, const std::string& value, std::string& field, const std::string& what);
  // One of `among`.
  void choice(const std::string& names, const std::vector<std::string>& among, std::string& field,
              const std::string& what);
  // Of int, uint64_t or double, from low to high.
  template <typename Number>
  void number(const std::string& names, const std::string& value, Number low, Number high, Number& field,
              const std::string& what);

  // False where --help was asked for: then it has been printed to stdout, and there is nothing else to do. Throws
  // UsageError for what is no option, for a missing value, and for one that an option does not take.
  bool parse(int argc, char** argv) const;

  std::string help() const;

 private:
  struct Option {
    std::string names, value, what;  // value "": a flag
    std::function<void(const std::string& name, const std::string& value)> take;
  };
  const Option& find(const std::string& name) const;

  std::string program_, about_;
  std::vector<Option> options_;
};

// Samples of each person that a bench may be asked for.
constexpr int kMostBatch = 1 << 20;
// Of --seconds: the least is for rehearsals.
constexpr double kLeastSeconds = 0.001, kMostSeconds = 1e6;

}  // namespace doppel::bench
