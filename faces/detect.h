// Finding faces: dlib's frontal detector (HOG and a linear classifier, Felzenszwalb et al. 2010; King 2015) and its 68
// landmarks (regression trees, Kazemi and Sullivan 2014).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels/image.h"
#include "kernels/landmarks.h"

namespace doppel {

// Full-frame pixels; x and y are the left and top edge's pixel centres.
struct Box {
  float x = 0, y = 0, width = 0, height = 0;

  Point centre() const { return {x + width * 0.5f, y + height * 0.5f}; }
};

struct Face {
  Box box;          // the detector's idea of a face: brows to chin, in a fixed ratio to the landmarks
  float score = 0;  // the detector's confidence; 0 is its usual threshold, above 1 is certain
  Landmarks landmarks{};
};

struct DetectorOptions {
  int min_face = 40;          // faces narrower than this many frame pixels are not reported; at least 1
  int quick_lines = 480;      // the first search is on a copy with at most this many lines (or columns)
  bool second_search = true;  // nothing found: search again at the scale where min_face is just detectable
  int refinements = 2;        // landmark passes after the first, each from a box computed from the last pass, averaged
};

// One instance serves one thread; several instances work at the same time (they share the read-only model).
class Detector {
 public:
  // Loads the landmark model on first use in the process (0.1 GB). Throws Error naming the file when it is missing or
  // not a model.
  explicit Detector(const DetectorOptions& options = {});
  ~Detector();
  Detector(Detector&&) noexcept;
  Detector& operator=(Detector&&) noexcept;

  const DetectorOptions& options() const;

  // All faces of the frame, best score first. Two-stage search as above.
  std::vector<Face> detect(ConstImageView frame);

  // The same with the second search switched by the caller.
  std::vector<Face> detect(ConstImageView frame, bool second_search);

  // A search near a known face only: a square of 2.1 face widths around it, scaled until that face is 96 pixels wide.
  // The best match by overlap with `last` (at least 0.3), if any. A few milliseconds, whatever the frame's size.
  std::optional<Face> detect_near(ConstImageView frame, const Face& last);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The box that goes with these landmarks, in the detector's own proportions.
Box box_of(const Landmarks& landmarks);

// Intersection over union, 0..1.
float overlap(const Box& a, const Box& b);

}  // namespace doppel
