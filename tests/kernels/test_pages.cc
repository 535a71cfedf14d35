// The pages of docs/kernels: each page of an operator has the same sections, and the places where it stops gdb, what it
// prints there, the tests that it runs and the pages that it links to must still be there.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

const fs::path kRoot = fs::path(DOPPEL_TEST_DATA) / ".." / "..";
const fs::path kPages = kRoot / "docs" / "kernels";

Lines lines_of(const fs::path& file) {
  std::ifstream in(file);
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<fs::path> pages() {
  std::vector<fs::path> found;
  for (const auto& page : fs::directory_iterator(kPages))
    if (page.path().extension() == ".md") found.push_back(page.path());
  std::sort(found.begin(), found.end());
  return found;
}

bool starts_with(const std::string& line, const std::string& start) {
  return line.compare(0, start.size(), start) == 0;
}

std::vector<std::smatch> matches(const std::string& line, const std::regex& what) {
  return {std::sregex_iterator(line.begin(), line.end(), what), std::sregex_iterator()};
}

// a{b,c}d: abd and acd.
void expand(const std::string& name, std::vector<std::string>& names) {
  const size_t open = name.find('{'), close = name.find('}');
  if (open == std::string::npos || close == std::string::npos) return names.push_back(name);
  const std::string choices = name.substr(open + 1, close - open - 1);
  for (const std::smatch& one : matches(choices, std::regex("[^,]+")))
    expand(name.substr(0, open) + one.str() + name.substr(close + 1), names);
}

// The sources that a page names before its first section, like `kernels/conv2d_{tile,output}.h` or `conv2d_ends*.cu`.
std::vector<fs::path> sources_of(const Lines& page) {
  const std::regex quoted(R"(`([\w/*{},]+\.(?:h|cu|cc|\{[\w,]+\}))`)");
  std::vector<fs::path> sources;
  for (const std::string& line : page) {
    if (starts_with(line, "## ")) break;
    for (const std::smatch& match : matches(line, quoted)) {
      std::vector<std::string> names;
      expand(match[1], names);
      for (const std::string& name : names) {
        INFO("source " << name);
        const fs::path file = starts_with(name, "kernels/") ? kRoot / name : kRoot / "kernels" / name;
        const std::string pattern = std::regex_replace(file.filename().string(), std::regex("\\*"), "\\w*");
        const size_t before = sources.size();
        for (const auto& entry : fs::directory_iterator(file.parent_path()))
          if (std::regex_match(entry.path().filename().string(), std::regex(pattern))) sources.push_back(entry.path());
        CHECK(sources.size() > before);
      }
    }
  }
  return sources;
}

// The functions and kernels of that name, with their bodies: they begin and end at the first column.
std::string definitions(const std::string& name, const std::vector<fs::path>& sources) {
  const std::regex head(R"(^[A-Za-z_].*\b)" + name + R"(\(.*|^DOPPEL_GLOBAL\(.*, )" + name + R"(,.*)");
  std::string found;
  for (const fs::path& source : sources) {
    bool inside = false;
    for (const std::string& line : lines_of(source)) {
      inside = inside || std::regex_match(line, head);
      if (inside) found += line + "\n";
      if (line == "}") inside = false;
    }
  }
  return found;
}

// Of a heading as GitHub makes it.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading.substr(heading.find(' ') + 1)) {
    if (c == ' ')
      anchor += '-';
    else if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_')
      anchor += char(std::tolower(static_cast<unsigned char>(c)));
  }
  return anchor;
}

}  // namespace

TEST_CASE("pages of operators have the same sections, in the same order", "[pages]") {
  const std::set<std::string> no_operator{"emulator.md", "sass.md", "vendor.md"};
  struct Section {
    std::string heading, wants;  // `wants` must begin a line of it
  };
  const std::vector<Section> sections{{"## Formula", "    "},
                                      {"## Gradient", ""},
                                      {"## The tile", "    "},
                                      {"## Why it is fast", ""},
                                      {"## Stepping through it", "    (gdb) "}};
  int operators = 0;
  for (const fs::path& page : pages()) {
    if (no_operator.contains(page.filename().string())) continue;
    ++operators;
    const Lines lines = lines_of(page);
    auto from = lines.begin();
    for (const Section& section : sections) {
      INFO(page.filename().string() << ": " << section.heading);
      CHECK(std::count(lines.begin(), lines.end(), section.heading) == 1);
      from = std::find(from, lines.end(), section.heading);
      REQUIRE(from != lines.end());
      const auto end = std::find_if(++from, lines.end(), [](const std::string& l) { return starts_with(l, "## "); });
      CHECK(std::any_of(from, end, [&](const std::string& l) { return !l.empty() && starts_with(l, section.wants); }));
    }
  }
  CHECK(operators > 10);
}

TEST_CASE("pages stop gdb where what they print is at hand", "[pages]") {
  const std::regex at_line(R"(^    \(gdb\) t?break (\w+\.(?:cu|h)):(\d+).*)");
  const std::regex at_function(R"(^    \(gdb\) t?break (\w+)(?: .*)?$)");
  const std::regex print(R"(^    \(gdb\) print (\w+).*)"), elsewhere(R"(^    \(gdb\) (?:up|finish)\b.*)");
  constexpr int kBefore = 12;  // lines in which it is declared or used
  int at_lines = 0, at_functions = 0;
  for (const fs::path& page : pages()) {
    const Lines lines = lines_of(page);
    const std::vector<fs::path> sources = sources_of(lines);
    std::string near;  // the lines round the last stop, while its block of code goes on
    bool known = false;
    for (const std::string& line : lines) {
      INFO(page.filename().string() << ": " << line);
      std::smatch match;
      if (std::regex_match(line, match, at_line)) {
        const Lines code = lines_of(kRoot / "kernels" / match[1].str());
        const int at = std::stoi(match[2]);
        REQUIRE(at > kBefore);
        REQUIRE(at < int(code.size()));
        near.clear();
        for (int i = at - kBefore; i <= at + 1; ++i) near += code[size_t(i - 1)] + "\n";
        known = true;
        ++at_lines;
        // Not an empty line, a bracket or a comment, where gdb would take another.
        CHECK(std::regex_search(code[size_t(at - 1)], std::regex(R"(^\s*[A-Za-z_].*[;{)]$)")));
      } else if (std::regex_match(line, match, at_function)) {
        near = definitions(match[1], sources);
        known = true;
        ++at_functions;
        CHECK_FALSE(near.empty());
      } else if (known && std::regex_match(line, match, print)) {
        CHECK(std::regex_search(near, std::regex("\\b" + match[1].str() + "\\b")));
      } else if (!starts_with(line, "    ") || std::regex_match(line, elsewhere)) {  // another function
        known = false;
      }
    }
  }
  CHECK(at_lines > 8);
  CHECK(at_functions > 4);
}

TEST_CASE("pages run tests that there are", "[pages]") {
  std::string tests;
  for (const auto& file : fs::recursive_directory_iterator(kRoot / "tests"))
    if (file.path().extension() == ".cc")
      for (const std::string& line : lines_of(file.path()))
        if (starts_with(line, "TEST_CASE(")) tests += line + "\n";
  const std::regex run(R"x(build/tests/test_\w+ "([^"]+)")x");
  int runs = 0;
  for (const fs::path& page : pages())
    for (const std::string& line : lines_of(page))
      for (const std::smatch& match : matches(line, run)) {
        INFO(page.filename().string() << ": " << line);
        std::string name = match[1];  // a tag, the beginning of a name and *, or all of it
        if (name.front() != '[')
          name = name.back() == '*' ? "(\"" + name.substr(0, name.size() - 1) : "(\"" + name + '"';
        CHECK(name.find(',') == std::string::npos);  // Catch would take it for two names
        CHECK(tests.find(name) != std::string::npos);
        ++runs;
      }
  CHECK(runs > 10);
}

TEST_CASE("pages link to pages and sections that there are", "[pages]") {
  const std::regex link(R"(\]\(([\w.]*\.md)?(?:#([\w-]+))?\))");
  int links = 0;
  for (const fs::path& page : pages())
    for (const std::string& line : lines_of(page))
      for (const std::smatch& match : matches(line, link)) {
        INFO(page.filename().string() << ": " << line);
        const fs::path to = match[1].length() == 0 ? page : kPages / match[1].str();
        REQUIRE(fs::exists(to));
        const Lines lines = lines_of(to);
        CHECK((match[2].length() == 0 || std::any_of(lines.begin(), lines.end(), [&](const std::string& l) {
                 return starts_with(l, "## ") && anchor_of(l) == match[2].str();
               })));
        ++links;
      }
  CHECK(links > 10);
}
