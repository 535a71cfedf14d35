#include "tools/ownership.h"

#include <filesystem>

#include "media/provenance.h"
#include "runtime/error.h"

namespace doppel {

bool made_by_doppel(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return false;
  const auto provenance = read_provenance(path);
  return provenance && provenance->ours();
}

void refuse_foreign_output(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, none)) || made_by_doppel(path)) return;
  throw Error(path + ": exists and was not made by doppel, so it is left alone; choose another name with -o");
}

}  // namespace doppel
