#include "faces/detect.h"

#include <dlib/image_processing.h>
#include <dlib/image_processing/frontal_face_detector.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <mutex>

#include "faces/align.h"
#include "kernels/frame.h"
#include "runtime/error.h"

namespace doppel {
namespace {

using Luma = dlib::array2d<unsigned char>;

// The detector's template is 80 pixels wide: no smaller face is found at a search's scale.
constexpr float kTemplate = 80;
// A search on more pixels than this is not worth its time.
constexpr float kMaxSearchPixels = 4e6f;
// Box width at which a known face is searched again: 6/5 of the template, which is one step of the detector's pyramid,
// so that the face may shrink or grow a little.
constexpr float kNearWidth = 96, kNearSquare = 2.1f;
// Box width for the landmark predictor. It compares single pixels, so a larger picture would only give it noise.
constexpr float kLandmarkWidth = 200, kLandmarkSquare = 1.7f;

// What box_of() returns, in canonical units: the mean over frontal detections of the detector's box.
constexpr float kBoxCentreX = 0, kBoxCentreY = -0.08f, kBoxSide = 1.1f;

struct Models {
  dlib::frontal_face_detector detector;  // copied by each instance: searching changes it
  dlib::shape_predictor predictor;
};

// Both take a second to unpack, so they are unpacked once.
std::shared_ptr<const Models> load_models() {
  static std::mutex mutex;
  static std::shared_ptr<const Models> model;
  std::lock_guard lock(mutex);
  if (model) return model;
  const std::string path = DOPPEL_LANDMARKS_FILE;
  const std::string advice = ": install the package libdlib-data, or build again after installing it";
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error("cannot read the landmark model " + path + advice);
  auto loaded = std::make_shared<Models>();
  try {
    dlib::deserialize(loaded->predictor, in);
  } catch (const std::exception&) {
    throw Error("the landmark model " + path + " is damaged" + advice);
  }
  if (loaded->predictor.num_parts() != kLandmarkCount) {
    throw Error("the landmark model " + path + " does not have 68 points" + advice);
  }
  loaded->detector = dlib::get_frontal_face_detector();
  model = loaded;
  return model;
}

void luma_of(ConstImageView frame, float x, float y, float step, int width, int height, Luma& out) {
  out.set_size(height, width);
  crop_luma(frame, x, y, step, width, height, static_cast<uint8_t*>(dlib::image_data(out)), dlib::width_step(out));
}

}  // namespace

struct Detector::Impl {
  DetectorOptions options;
  std::shared_ptr<const Models> models = load_models();
  dlib::frontal_face_detector search = models->detector;
  Luma picture, patch;

  // Faces of a box of the frame, without landmarks. (x, y, step) as in crop_luma.
  std::vector<Face> boxes(ConstImageView frame, float x, float y, float step, int width, int height) {
    luma_of(frame, x, y, step, width, height, picture);
    std::vector<dlib::rect_detection> found;
    search(picture, found, 0.0);
    std::vector<Face> faces;
    for (const dlib::rect_detection& d : found) {
      Face face;
      face.box = {x + step * float(d.rect.left()), y + step * float(d.rect.top()), step * float(d.rect.width()),
                  step * float(d.rect.height())};
      face.score = float(d.detection_confidence);
      if (face.box.width >= float(options.min_face)) faces.push_back(face);
    }
    return faces;
  }

  Landmarks predict(const Box& box, float x, float y, float step) const {
    const auto pixel = [step](float v, float origin) { return long(std::lround((v - origin) / step)); };
    const dlib::rectangle rect(pixel(box.x, x), pixel(box.y, y), pixel(box.x + box.width, x) - 1,
                               pixel(box.y + box.height, y) - 1);
    const dlib::full_object_detection shape = models->predictor(patch, rect);
    Landmarks out;
    for (int i = 0; i < kLandmarkCount; ++i) {
      const dlib::point p = shape.part(static_cast<unsigned long>(i));
      out[size_t(i)] = {x + step * float(p.x()), y + step * float(p.y())};
    }
    return out;
  }

  // The first pass moves the box to where the landmarks say, so that its origin (the detector works in steps of 8
  // pixels and 6/5 in scale) no longer matters; the following ones start from slightly different boxes, whose errors
  // are nearly independent, and are averaged.
  void add_landmarks(ConstImageView frame, Face& face) {
    const float step = std::max(face.box.width / kLandmarkWidth, 0.25f);
    const float side = kLandmarkSquare * face.box.width;
    const Point c = face.box.centre();
    const float x = c.x - side / 2, y = c.y - side / 2;
    const int n = std::max(1, int(std::lround(side / step)));
    luma_of(frame, x, y, step, n, n, patch);
    face.landmarks = predict(face.box, x, y, step);
    if (options.refinements <= 0) return;
    const Box centre = box_of(face.landmarks);
    Landmarks sum{};
    for (int pass = 0; pass < options.refinements; ++pass) {
      constexpr float kNudge[4][3] = {
          {0.012f, 0.012f, 1.02f}, {-0.012f, -0.012f, 0.98f}, {0.012f, -0.012f, 0.98f}, {-0.012f, 0.012f, 1.02f}};
      const float* nudge = kNudge[pass % 4];
      Box box = centre;
      if (options.refinements > 1) {
        const Point m = centre.centre();
        box.width = box.height = centre.width * nudge[2];
        box.x = m.x + nudge[0] * centre.width - box.width / 2;
        box.y = m.y + nudge[1] * centre.width - box.height / 2;
      }
      const Landmarks one = predict(box, x, y, step);
      for (size_t i = 0; i < one.size(); ++i) {
        sum[i].x += one[i].x;
        sum[i].y += one[i].y;
      }
    }
    const float k = 1.0f / float(options.refinements);
    for (size_t i = 0; i < sum.size(); ++i) face.landmarks[i] = {sum[i].x * k, sum[i].y * k};
  }
};

Detector::Detector(const DetectorOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->options.min_face = std::max(1, options.min_face);
}
Detector::~Detector() = default;
Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;

const DetectorOptions& Detector::options() const {
  return impl_->options;
}

std::vector<Face> Detector::detect(ConstImageView frame) {
  return detect(frame, impl_->options.second_search);
}

std::vector<Face> Detector::detect(ConstImageView frame, bool second_search) {
  if (!frame.data || frame.width < 1 || frame.height < 1) return {};
  const auto whole = [&](float step) {
    // The first sample is the middle of the first `step` pixels, so that the copy covers the frame evenly.
    const float first = (step - 1) / 2;
    return impl_->boxes(frame, first, first, step, std::max(1, int(float(frame.width) / step)),
                        std::max(1, int(float(frame.height) / step)));
  };
  const float lines = float(std::min(frame.width, frame.height));
  const float quick = std::max(1.0f, lines / float(std::max(1, impl_->options.quick_lines)));
  std::vector<Face> faces = whole(quick);
  if (faces.empty() && second_search) {
    const float pixels = float(frame.width) * float(frame.height);
    const float fine = std::max(float(impl_->options.min_face) / kTemplate, std::sqrt(pixels / kMaxSearchPixels));
    if (fine < 0.95f * quick) faces = whole(fine);
  }
  for (Face& face : faces) impl_->add_landmarks(frame, face);
  std::sort(faces.begin(), faces.end(), [](const Face& a, const Face& b) { return a.score > b.score; });
  return faces;
}

std::optional<Face> Detector::detect_near(ConstImageView frame, const Face& last) {
  if (!frame.data || frame.width < 1 || frame.height < 1 || !(last.box.width > 0)) return std::nullopt;
  const float step = last.box.width / kNearWidth;
  const Point c = last.box.centre();
  // The part of the square that is in the frame: a repeated border shows no face.
  const float half = kNearSquare * last.box.width / 2;
  const float left = std::max(0.0f, c.x - half), right = std::min(float(frame.width - 1), c.x + half);
  const float top = std::max(0.0f, c.y - half), bottom = std::min(float(frame.height - 1), c.y + half);
  if (!(right - left > step && bottom - top > step)) return std::nullopt;
  const std::vector<Face> found =
      impl_->boxes(frame, left, top, step, int((right - left) / step) + 1, int((bottom - top) / step) + 1);
  std::optional<Face> best;
  float best_overlap = 0.3f;
  for (const Face& face : found) {
    const float o = overlap(face.box, last.box);
    if (o >= best_overlap) {
      best_overlap = o;
      best = face;
    }
  }
  if (best) impl_->add_landmarks(frame, *best);
  return best;
}

Box box_of(const Landmarks& landmarks) {
  const Affine back = canonical_fit(landmarks).inverse();
  const Point c = back({kBoxCentreX, kBoxCentreY});
  const float side = kBoxSide * std::hypot(back.a, back.c);
  return {c.x - side / 2, c.y - side / 2, side, side};
}

float overlap(const Box& a, const Box& b) {
  const float w = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const float h = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (!(w > 0 && h > 0)) return 0;
  const float both = w * h;
  return both / (a.width * a.height + b.width * b.height - both);
}

}  // namespace doppel
