// The picture beside a model that shows how far its training is.
#pragma once

#include <exception>
#include <string>

#include "nn/background_work.h"
#include "nn/trainer.h"

namespace doppel {

// Of a trainer that outlives it. That a picture cannot be made or written is told on stderr, and no failure of the
// training.
class PreviewFile {
 public:
  explicit PreviewFile(const std::string& folder);

  // Begins a new picture, of the weights as they are: takes them over, and leaves the rest to another thread. As
  // finish() first. Throws DeviceError when the device fails.
  void begin(Trainer& trainer);
  bool busy() const { return work_.busy(); }
  // Tells what has become of the last picture. Waits for nothing.
  void check();
  // Waits for the picture, and tells.
  void finish();

 private:
  void tell(const std::exception& e) const;

  std::string path_;
  BackgroundWork work_;
};

}  // namespace doppel
