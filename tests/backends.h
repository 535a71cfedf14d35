// Which backends the tests of kernels run on: all there are, or those that DOPPEL_TEST_BACKENDS names ("cuda", or
// "cpu,emulator"). A checker of the card's memory has nothing to do on the others, and they take their time.
#pragma once

#include <cstdlib>
#include <string>

namespace doppel::testing {

inline bool backend_wanted(const std::string& name) {
  const char* list = std::getenv("DOPPEL_TEST_BACKENDS");
  return !list || ("," + std::string(list) + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace doppel::testing
