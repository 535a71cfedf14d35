#include "nn/face_placement.h"

#include <algorithm>
#include <numeric>

#include "nn/face_stream.h"

namespace doppel {

FacePlacement place_faces(const FaceSets& sets, int batch, int face_size, Device device) {
  FacePlacement placement;
  placement.streams.resize(sets.bytes.size());
  const size_t decoded = std::accumulate(sets.bytes.begin(), sets.bytes.end(), size_t(0));
  (decoded <= sets.host_budget ? placement.host : placement.disk) = decoded;
  if (device == Device::cpu) return placement;

  const size_t staging = FaceStream::staging_bytes(batch, face_size);
  std::vector<size_t> by_size(sets.bytes.size());
  std::iota(by_size.begin(), by_size.end(), size_t(0));
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) { return sets.bytes[a] < sets.bytes[b]; });
  for (const size_t person : by_size) placement.device += std::min(sets.bytes[person], staging);
  for (const size_t person : by_size) {
    const size_t set = sets.bytes[person];
    if (set <= staging) continue;
    if (placement.device - staging + set <= sets.device_budget) {
      placement.device += set - staging;
    } else {
      placement.streams[person] = true;
      placement.host += staging;
    }
  }
  return placement;
}

}  // namespace doppel
