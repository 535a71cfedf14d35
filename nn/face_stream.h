// Face sets that stay with the host: each step's faces go to the device one step ahead of it.
//
// Which faces a step draws depends on seed, step and sample alone (kernels/warp.h), so the host finds them before the
// device does. Staging memory on the device and page-locked memory on the host have two halves, for even and odd steps:
//
//   host     gather t        gather t + 1       gather t + 2 (waits until the copy of t has left its half)
//   copies          copy t         copy t + 1         copy t + 2 (waits until step t has read its half)
//   steps                  step t         step t + 1         step t + 2 (waits for its copy)
//
// The copies have a stream of their own, so that they run beside the step before. A step reads its half by its number,
// which lies on the device: a step that was recorded as a graph stays as it is.
#pragma once

#include <vector>

#include "kernels/warp.h"
#include "runtime/device.h"

namespace doppel {

class FaceStream {
 public:
  struct Set {
    int person = 0;                   // in the batch, see Warp
    uint32_t faces = 0;               // at least 1
    const uint8_t* pixels = nullptr;  // [faces, S, S, 3], the host's; must outlive the stream
  };

  // Of `warp`: batch and face_size.
  FaceStream(std::vector<Set> sets, const Warp& warp, Device device);
  // Waits for its copies. The steps that read them must be done.
  ~FaceStream();
  FaceStream(const FaceStream&) = delete;
  FaceStream& operator=(const FaceStream&) = delete;

  // Bytes that a set takes here: of the device's memory, and as many of the host's.
  static size_t staging_bytes(int batch, int face_size) {
    return 2 * size_t(batch) * size_t(face_size) * size_t(face_size) * 3;
  }

  // Tells a step where the faces are.
  void place(WarpFaces& faces) const;

  // Called just before a step is put into `steps`: brings the faces that it will draw. Waits while the copies of the
  // step before last are under way. Step follows step; before any other the caller waits for `steps`.
  void stage(uint64_t seed, uint64_t step, Stream steps);

 private:
  struct Half {
    DeviceEvent copied, read;  // the last copy into it; the last step that reads it
  };

  int batch_;
  size_t face_bytes_, half_bytes_;  // half: of one set
  std::vector<Set> sets_;
  DeviceStream copies_;
  Buffer device_;      // [sets, 2, batch, S, S, 3]
  PinnedBuffer host_;  // the same
  Half halves_[2];
};

}  // namespace doppel
