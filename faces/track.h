// Following faces through a video: cheap searches near the last position, full searches now and then, and landmarks
// that do not tremble.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "faces/detect.h"

namespace doppel {

// Removes the trembling of landmarks without making them lag: a first-order low-pass whose cutoff rises with speed
// (Casiez, Roussel, Vogel 2012, "1 euro filter"). Speed is measured in face widths per second and is the larger of the
// point's own and the whole face's, so that a still face is smoothed and a moving one is followed.
class LandmarkFilter {
 public:
  struct Options {
    float still_hz = 2.0f;    // cutoff at rest
    float hz_per_speed = 60;  // added per face width per second
    float speed_hz = 2;       // cutoff of the speed's own low-pass
  };
  LandmarkFilter() = default;
  explicit LandmarkFilter(const Options& options) : options_(options) {}

  // seconds: time since the last call; <= 0 or the first call takes the landmarks as they are.
  Landmarks operator()(const Landmarks& landmarks, double seconds);
  void reset() { primed_ = false; }

 private:
  Options options_;
  bool primed_ = false;
  Landmarks last_raw_{};
  Landmarks last_{};
  Landmarks velocity_{};  // smoothed, face widths per second
  Point common_;          // of the whole face
};

struct TrackerOptions {
  DetectorOptions detector;
  int full_search_every = 30;   // frames; a full search while faces are followed (0: only when one is lost)
  int second_search_every = 8;  // frames; while nothing is found, the expensive second search only this often
  bool all_faces = false;       // false: one face, the one nearest to the last; at first the largest
  bool smooth = false;          // LandmarkFilter on each face
};

struct TrackedFace {
  Face face;
  int track = 0;  // the same number as long as it is followed without a gap of more than a second
};

// Frames must come in order. One instance serves one thread.
class Tracker {
 public:
  explicit Tracker(const TrackerOptions& options = {});
  ~Tracker();
  Tracker(Tracker&&) noexcept;
  Tracker& operator=(Tracker&&) noexcept;

  // The faces of the next frame: none, one, or with all_faces any number, largest first. seconds: the frame's time,
  // used for smoothing and gaps.
  std::vector<TrackedFace> next(ConstImageView frame, double seconds);

  // Forget everything (a new clip).
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doppel
