#include "runtime/kernel_cache.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace doppel {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 2;

double microseconds(const Json& value) {
  if (value.kind() == Json::Kind::null) return std::numeric_limits<double>::infinity();
  if (value.number() > 0) return value.number();
  throw Error("a time is not positive");
}

bool is_library(const std::string& kernel) {
  return kernel.starts_with(name_of(KernelKind::vendor));
}

}  // namespace

std::string to_string(const KernelChoice& choice) {
  const std::string kernel = name_of(choice.kernel);
  if (choice.kernel == KernelKind::vendor) return kernel + ":" + std::to_string(choice.algorithm);
  if (choice.shares > 0) return kernel + ":" + std::to_string(choice.shares);
  return kernel + "/" + std::to_string(choice.splits);
}

std::string kernel_cache_path(const std::string& device) {
  std::string file = "kernels-";
  for (const char c : device) file += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
  file += ".json";
  // The base directory specification: a path that is not absolute counts as none.
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && fs::path(cache).is_absolute())
    return (fs::path(cache) / "doppel" / file).string();
  if (const char* home = std::getenv("HOME"); home && *home)
    return (fs::path(home) / ".cache" / "doppel" / file).string();
  return {};
}

void KernelCache::read() {
  std::error_code none;
  if (path_.empty() || !fs::exists(path_, none)) return;
  std::map<std::string, Times> found;
  std::string libraries;
  const std::string text = read_file(path_);
  try {
    const Json file = Json::parse(text, path_);
    if (file.at("format").number() != kFormat || file.at("device").text() != device_ ||
        file.at("generation").text() != generation_)
      return;
    libraries = file.at("libraries").text();
    for (const auto& [product, times] : file.at("microseconds").members())
      for (const auto& [kernel, time] : times.members()) found[product][kernel] = microseconds(time);
  } catch (const Error& e) {
    throw Error(path_ + ": damaged: " + e.what());
  }
  if (libraries_.empty()) libraries_ = libraries;
  for (const auto& [product, times] : found)
    for (const auto& [kernel, time] : times)
      if (libraries == libraries_ || !is_library(kernel)) times_[product][kernel] = time;
}

void KernelCache::write() const {
  if (path_.empty()) return;
  Json products = Json::object();
  for (const auto& [product, times] : times_) {
    Json kernels = Json::object();
    for (const auto& [kernel, time] : times) kernels.set(kernel, std::isfinite(time) ? Json(time) : Json());
    if (!times.empty()) products.set(product, std::move(kernels));
  }
  Json file = Json::object();
  file.set("format", kFormat).set("device", device_).set("generation", generation_);
  file.set("libraries", libraries_);
  file.set("microseconds", std::move(products));
  std::error_code error;
  if (const fs::path folder = fs::path(path_).parent_path(); !folder.empty()) fs::create_directories(folder, error);
  if (error) throw Error(path_ + ": cannot create its folder: " + error.message());
  write_file(path_, file.dump(2) + "\n");
}

}  // namespace doppel
