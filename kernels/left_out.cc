#include "kernels/left_out.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace doppel {

bool left_out(std::string_view part) {
  constexpr std::array<std::string_view, 3> kParts = {"wgmma", "clusters", "early_start"};
  const char* environment = std::getenv("DOPPEL_WITHOUT");
  bool found = false;
  for (std::string_view rest = environment ? environment : ""; !rest.empty();) {
    const size_t end = std::min(rest.find(','), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (std::find(kParts.begin(), kParts.end(), word) == kParts.end()) {
      std::string known;
      for (const std::string_view k : kParts) known += (known.empty() ? "" : ", ") + std::string(k);
      throw std::invalid_argument("DOPPEL_WITHOUT=" + std::string(environment) +
                                  ": only these can be left out, with commas between: " + known);
    }
    found = found || word == part;
  }
  return found;
}

}  // namespace doppel
