// The kernels of these tests do not wait for those before them (kernels/device/early_start.h): cards start them in
// turn.
#include <cstdlib>
#include <string>

[[maybe_unused]] static const int kInTurn = [] {
  const char* before = std::getenv("DOPPEL_WITHOUT");
  return setenv("DOPPEL_WITHOUT", (before && *before ? before + std::string(",early_start") : "early_start").c_str(),
                1);
}();
