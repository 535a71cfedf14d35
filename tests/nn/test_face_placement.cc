// Which face sets are copied to a device, which stream, and what they take.
#include "nn/face_placement.h"

#include <catch2/catch.hpp>

#include "nn/face_stream.h"

using namespace doppel;

namespace {

// Staging takes 2 * 4 * 10 * 10 * 3 bytes.
constexpr int kBatch = 4, kFaceSize = 10;
constexpr size_t kStaging = 2400;
using Streams = std::vector<bool>;

FacePlacement place(std::vector<size_t> bytes, size_t device_budget, Device device = Device::cuda) {
  FaceSets sets;
  sets.bytes = std::move(bytes);
  sets.device_budget = device_budget;
  return place_faces(sets, kBatch, kFaceSize, device);
}

}  // namespace

TEST_CASE("the sets that fit are copied, the smaller ones first", "[memory]") {
  REQUIRE(FaceStream::staging_bytes(kBatch, kFaceSize) == kStaging);
  const std::vector<size_t> sets = {9000, 5000, 7000};
  for (const Device device : {Device::cuda, Device::emulator}) {
    const FacePlacement all = place(sets, 21000, device);
    CHECK(all.streams == Streams{false, false, false});
    CHECK(all.device == 21000);
    CHECK(all.host == 21000);
    CHECK(all.disk == 0);

    const FacePlacement two = place(sets, 20999, device);
    CHECK(two.streams == Streams{true, false, false});
    CHECK(two.device == 12000 + kStaging);
    CHECK(two.host == 21000 + kStaging);

    // To the byte.
    CHECK(place(sets, 12000 + kStaging, device).streams == Streams{true, false, false});
    CHECK(place(sets, 12000 + kStaging - 1, device).streams == Streams{true, false, true});
    CHECK(place(sets, 5000 + 2 * kStaging - 1, device).streams == Streams{true, true, true});

    const FacePlacement none = place(sets, 1, device);
    CHECK(none.streams == Streams{true, true, true});
    CHECK(none.device == 3 * kStaging);
    CHECK(none.host == 21000 + 3 * kStaging);
  }
}

TEST_CASE("a set that is smaller than its staging memory is always copied", "[memory]") {
  const FacePlacement placement = place({kStaging, kStaging + 1}, 0);
  CHECK(placement.streams == Streams{false, true});
  CHECK(placement.device == 2 * kStaging);
}

TEST_CASE("where the steps run on the host nothing is copied, and large sets lie in a file", "[memory]") {
  FaceSets sets{{9000, 5000}, 14000};
  const FacePlacement memory = place_faces(sets, kBatch, kFaceSize, Device::cpu);
  CHECK(memory.streams == Streams{false, false});
  CHECK(memory.host == 14000);
  CHECK(memory.disk == 0);
  CHECK(memory.device == 0);

  sets.host_budget = 13999;
  const FacePlacement file = place_faces(sets, kBatch, kFaceSize, Device::cpu);
  CHECK(file.streams == Streams{false, false});
  CHECK(file.host == 0);
  CHECK(file.disk == 14000);
  CHECK(file.device == 0);

  // What streams from a file still passes through page-locked memory.
  sets.device_budget = 0;
  const FacePlacement both = place_faces(sets, kBatch, kFaceSize, Device::cuda);
  CHECK(both.disk == 14000);
  CHECK(both.host == 2 * kStaging);
  CHECK(both.device == 2 * kStaging);
}
