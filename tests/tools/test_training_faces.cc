// What the host keeps of the face sets while another device trains.
#include "tools/training_faces.h"

#include <catch2/catch.hpp>

#include "nn/trainer.h"
#include "tools/stage.h"

using namespace doppel;

namespace {

std::vector<float> losses(Device device, const std::vector<bool>& streams, bool release) {
  const std::vector<FaceSet> sets{FaceSet::load(stage().a_faces), FaceSet::load(stage().b_faces)};
  std::vector<DecodedFaces> decoded = decode_faces(sets, {{"a", "b"}, false, ""});
  ModelDescription model;
  model.architecture = "tiny";
  model.people = {"a", "b"};
  model.face_size = sets[0].header.size;
  model.batch = 1;
  model.lr = 1e-3f;
  model.precision = "fp32";
  std::vector<PersonFaces> people;
  for (size_t p = 0; p < 2; ++p)
    people.push_back({model.people[p], uint32_t(sets[p].faces.size()), decoded[p].pixels, streams[p]});
  Trainer trainer(model, people, {}, device);
  if (release) {
    release_copied(decoded, streams, device);
    for (size_t p = 0; p < 2; ++p) {
      const bool kept = device == Device::cpu || streams[p];
      CHECK((decoded[p].pixels != nullptr) == kept);
      CHECK((decoded[p].memory.bytes() > 0) == kept);
    }
  }
  std::vector<float> all;
  for (int i = 0; i < 2; ++i) {
    trainer.step();
    for (const TrainingStep::Loss& loss : trainer.losses()) all.push_back(loss.total);
  }
  const Image picture = trainer.preview();
  CHECK(picture.width() > 0);
  return all;
}

}  // namespace

TEST_CASE("face sets that a device has copied are given back, and training does not miss them") {
  const std::vector<float> kept = losses(Device::emulator, {true, false}, false);
  CHECK(losses(Device::emulator, {true, false}, true) == kept);
  CHECK(losses(Device::emulator, {false, false}, true) == kept);
  losses(Device::cpu, {false, false}, true);
}
