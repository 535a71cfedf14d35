// The pages of docs/kernels say at which lines to stop in gdb and what to print there: the lines must still be those.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("pages stop gdb where what they print is at hand", "[pages]") {
  const fs::path root = fs::path(DOPPEL_TEST_DATA) / ".." / "..";
  const std::regex stop(R"(^    \(gdb\) t?break (\w+\.(?:cu|h)):(\d+).*)"), print(R"(^    \(gdb\) print (\w+).*)");
  constexpr int kBefore = 12;  // lines in which it is declared or used
  int pages = 0, stops = 0;
  for (const auto& page : fs::directory_iterator(root / "docs" / "kernels")) {
    if (page.path().extension() != ".md") continue;
    ++pages;
    std::string near;  // the lines round the last stop, while its block of code goes on
    bool known = false;
    for (const std::string& line : lines_of(page.path())) {
      INFO(page.path().filename().string() << ": " << line);
      std::smatch match;
      if (std::regex_match(line, match, stop)) {
        const std::vector<std::string> code = lines_of(root / "kernels" / match[1].str());
        const int at = std::stoi(match[2]);
        REQUIRE(at > kBefore);
        REQUIRE(at < int(code.size()));
        near.clear();
        for (int i = at - kBefore; i <= at + 1; ++i) near += code[size_t(i - 1)] + "\n";
        known = true;
        ++stops;
        // Not an empty line, a bracket or a comment, where gdb would take another.
        CHECK(std::regex_search(code[size_t(at - 1)], std::regex(R"(^\s*[A-Za-z_].*[;{)]$)")));
      } else if (known && std::regex_match(line, match, print)) {
        CHECK(std::regex_search(near, std::regex("\\b" + match[1].str() + "\\b")));
      } else if (line.find("    ") != 0 || line.find("(gdb) up") != std::string::npos) {  // "up": another function
        known = false;
      }
    }
  }
  CHECK(pages > 10);
  CHECK(stops > 8);
}
