// What the sources of kernels must and must not say, since a card's compiler takes their word for it.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

// kernels/device/early_start.h. A pointer that is said to be read by nobody else, or read as constant, would let the
// compiler read before the wait.
TEST_CASE("every kernel begins by waiting for those before it, and no read may be put before that", "[sources]") {
  const std::regex kernel(R"(DOPPEL_GLOBAL\([^{}]*?\) \{\s*([^;\s]+;))"), word(R"(__restrict__|__ldg|ld\.global\.nc)");
  int kernels = 0;
  for (const auto& file : fs::recursive_directory_iterator(DOPPEL_TEST_DATA "/../../kernels")) {
    if (file.path().extension() != ".cu" && file.path().extension() != ".h") continue;
    const std::string text = text_of(file.path());
    CAPTURE(file.path());
    // The header that declares the macro, and the one that names the words.
    if (file.path().filename() == "platform.h" || file.path().filename() == "early_start.h") continue;
    CHECK_FALSE(std::regex_search(text, word));
    int named = 0, seen = 0;
    for (size_t at = 0; (at = text.find("\nDOPPEL_GLOBAL(", at)) != std::string::npos; ++at) ++named;
    for (std::sregex_iterator k(text.begin(), text.end(), kernel), end; k != end; ++k, ++seen)
      CHECK((*k)[1] == "wait_for_earlier_kernels();");
    CHECK(seen == named);
    kernels += seen;
  }
  CHECK(kernels > 30);
}
