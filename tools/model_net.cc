#include "tools/model_net.h"

#include <algorithm>

#include "nn/swapper.h"
#include "runtime/error.h"

namespace doppel {
namespace {

int person_number(const Swapper& swapper, const std::string& name) {
  const auto& people = swapper.people();
  const auto found = std::find(people.begin(), people.end(), name);
  if (found != people.end()) return int(found - people.begin());
  std::string known;
  for (const std::string& person : people) known += (known.empty() ? "" : ", ") + person;
  throw UsageError("--to " + name + ": this model does not know that name; it knows " + known);
}

}  // namespace

ModelNet::ModelNet(const std::string& model, const std::string& to, int batch)
    : swapper_(std::make_unique<Swapper>(model, batch)) {
  const int person = person_number(*swapper_, to);
  net_.input_size = swapper_->input_size();
  net_.output_size = swapper_->output_size();
  net_.max_batch = swapper_->max_batch();
  net_.coverage = swapper_->coverage();
  net_.face_only = swapper_->description().face_only;
  net_.run = [this, person](const float* in, int n, float* out) { swapper_->run(in, n, person, out); };
}

ModelNet::~ModelNet() = default;

}  // namespace doppel
