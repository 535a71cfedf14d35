// A trained model as the network that frames are put through.
#pragma once

#include <memory>
#include <string>

#include "tools/frame_pipeline.h"

namespace doppel {

class Swapper;

class ModelNet {
 public:
  // `to` is whose face to put on, `batch` how many faces the network takes at once. Throws Error for a model that
  // cannot be read, and UsageError, naming those it knows, for a name that the model does not know.
  ModelNet(const std::string& model, const std::string& to, int batch = 8);
  ~ModelNet();
  ModelNet(const ModelNet&) = delete;
  ModelNet& operator=(const ModelNet&) = delete;

  const FaceNet& net() const { return net_; }

 private:
  std::unique_ptr<Swapper> swapper_;
  FaceNet net_;
};

}  // namespace doppel
