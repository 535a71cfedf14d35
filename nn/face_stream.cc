#include "nn/face_stream.h"

#include <cstring>
#include <exception>

#include "kernels/parallel.h"

namespace doppel {

FaceStream::FaceStream(std::vector<Set> sets, const Warp& warp, Device device)
    : batch_(warp.batch),
      face_bytes_(size_t(warp.face_size) * size_t(warp.face_size) * 3),
      half_bytes_(size_t(warp.batch) * face_bytes_),
      sets_(std::move(sets)),
      copies_(device),
      device_(sets_.size() * 2 * half_bytes_, device),
      host_(sets_.size() * 2 * half_bytes_, device),
      halves_{{DeviceEvent(device), DeviceEvent(device)}, {DeviceEvent(device), DeviceEvent(device)}} {}

FaceStream::~FaceStream() {
  try {
    wait(copies_);
  } catch (const std::exception&) {  // told to whoever waits for the steps
  }
}

void FaceStream::place(WarpFaces& faces) const {
  for (size_t s = 0; s < sets_.size(); ++s) {
    const Set& set = sets_[s];
    faces.pixels[set.person] = device_.as<uint8_t>() + 2 * s * half_bytes_;
    faces.faces[set.person] = set.faces;
    faces.staged[set.person] = true;
  }
}

void FaceStream::stage(uint64_t seed, uint64_t step, Stream steps) {
  Half& half = halves_[step % 2];
  // The step before this one, the last in the stream, has read the other half.
  halves_[(step + 1) % 2].read.record(steps);

  half.copied.wait();
  const size_t at = step % 2 * half_bytes_;
  parallel_for(int64_t(sets_.size()) * batch_, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const size_t s = size_t(i / batch_), b = size_t(i % batch_);
      const Set& set = sets_[s];
      const uint32_t face = drawn_face(seed, step, uint32_t(set.person * batch_) + uint32_t(b), set.faces);
      std::memcpy(host_.as<uint8_t>() + 2 * s * half_bytes_ + at + b * face_bytes_, set.pixels + face * face_bytes_,
                  face_bytes_);
    }
  });

  half.read.order(copies_);
  for (size_t s = 0; s < sets_.size(); ++s) {
    const size_t offset = 2 * s * half_bytes_ + at;
    upload(device_.as<uint8_t>() + offset, host_.as<uint8_t>() + offset, half_bytes_, copies_);
  }
  half.copied.record(copies_);
  half.copied.order(steps);
}

}  // namespace doppel
