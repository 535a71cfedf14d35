// Where the face sets of a run lie, and what they take there.
//
// The host decodes each set into its memory or, when all sets together are too large for that, into a file
// (runtime/file_memory.h). Where the steps run on the host that is all. Any other device gets a copy of each set or,
// when they are too large for it together, of the smaller ones, and the others stream (nn/face_stream.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/stream.h"

namespace doppel {

struct FaceSets {
  std::vector<size_t> bytes;        // decoded, of each person
  size_t host_budget = SIZE_MAX;    // for all of them in the host's memory
  size_t device_budget = SIZE_MAX;  // for copies and staging memory on a device that is not the host
};

// Bytes.
struct FacePlacement {
  std::vector<bool> streams;  // [people]
  size_t host = 0;            // of memory: decoded sets, until they are copied, and the host's part of staging
  size_t disk = 0;            // the file of decoded sets
  size_t device = 0;          // copies and staging memory on a device that is not the host

  int streaming() const { return int(std::count(streams.begin(), streams.end(), true)); }
};

// For steps of `batch` samples of each person on `device`, of faces of face_size squared. When not even streaming stays
// within the device's budget, the least that can be had, which is beyond it.
FacePlacement place_faces(const FaceSets& sets, int batch, int face_size, Device device);

}  // namespace doppel
