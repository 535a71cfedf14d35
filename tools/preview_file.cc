#include "tools/preview_file.h"

#include <cstdio>
#include <filesystem>

#include "kernels/device_error.h"
#include "media/picture.h"
#include "runtime/atomic_file.h"

namespace doppel {

PreviewFile::PreviewFile(const std::string& folder) : path_((std::filesystem::path(folder) / "preview.png").string()) {}

void PreviewFile::begin(Trainer& trainer) {
  finish();
  try {
    work_.begin([path = path_, draw = trainer.begin_preview()] { write_file(path, encode_png(draw())); });
  } catch (const DeviceError&) {
    throw;
  } catch (const std::exception& e) {
    tell(e);
  }
}

void PreviewFile::check() {
  if (!busy()) finish();
}

void PreviewFile::finish() {
  try {
    work_.finish();
  } catch (const std::exception& e) {
    tell(e);
  }
}

void PreviewFile::tell(const std::exception& e) const {
  std::fprintf(stderr, "%s: there is no new preview: %s\n", path_.c_str(), e.what());
}

}  // namespace doppel
