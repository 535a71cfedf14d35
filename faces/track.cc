#include "faces/track.h"

#include <algorithm>
#include <cmath>

namespace doppel {
namespace {

constexpr double kForgetAfter = 1.0;                // seconds without a face until its track ends
constexpr float kDoubtful = 0.3f, kCertain = 1.0f;  // detector scores

float distance(Point a, Point b) {
  return std::hypot(a.x - b.x, a.y - b.y);
}

// Weight of a new value in a first-order low-pass with this cutoff.
float low_pass_weight(float cutoff_hz, float seconds) {
  const float r = 6.2831853f * cutoff_hz * seconds;
  return r / (r + 1);
}

}  // namespace

Landmarks LandmarkFilter::operator()(const Landmarks& landmarks, double seconds) {
  if (!primed_ || !(seconds > 0)) {
    primed_ = true;
    last_raw_ = last_ = landmarks;
    velocity_.fill({});
    common_ = {};
    return last_;
  }
  const float dt = float(seconds);
  const float width = std::max(1.0f, distance(landmarks[0], landmarks[16]));
  // Velocities are smoothed as vectors, so that trembling to and fro cancels before its length is taken.
  const float k = low_pass_weight(options_.speed_hz, dt);
  Point mean{};
  for (size_t i = 0; i < landmarks.size(); ++i) {
    const Point v{(landmarks[i].x - last_raw_[i].x) / (dt * width), (landmarks[i].y - last_raw_[i].y) / (dt * width)};
    velocity_[i].x += k * (v.x - velocity_[i].x);
    velocity_[i].y += k * (v.y - velocity_[i].y);
    mean.x += v.x / kLandmarkCount;
    mean.y += v.y / kLandmarkCount;
  }
  // The mean of 68 points trembles little: it may react twice as fast.
  const float k_common = low_pass_weight(2 * options_.speed_hz, dt);
  common_.x += k_common * (mean.x - common_.x);
  common_.y += k_common * (mean.y - common_.y);
  const float common = std::hypot(common_.x, common_.y);
  for (size_t i = 0; i < landmarks.size(); ++i) {
    const float speed = std::max(common, std::hypot(velocity_[i].x, velocity_[i].y));
    const float w = low_pass_weight(options_.still_hz + options_.hz_per_speed * speed, dt);
    last_[i].x += w * (landmarks[i].x - last_[i].x);
    last_[i].y += w * (landmarks[i].y - last_[i].y);
  }
  last_raw_ = landmarks;
  return last_;
}

struct Tracker::Impl {
  struct Track {
    Face raw;  // as found, not smoothed: what the next search starts from
    double seen = 0;
    int64_t frame = 0;  // when it was seen last
    int number = 0;
    LandmarkFilter filter;
  };

  explicit Impl(const TrackerOptions& o) : options(o), detector(o.detector) {}

  TrackerOptions options;
  Detector detector;
  std::vector<Track> tracks;  // at most one, but with all_faces
  int64_t frame = -1;
  int64_t last_full = -1, last_second = -1;
  int next_number = 0;

  void reset() {
    tracks.clear();
    frame = last_full = last_second = -1;
  }

  // All faces of the frame, largest first.
  std::vector<Face> search(ConstImageView picture) {
    const bool second = options.detector.second_search &&
                        (last_second < 0 || frame - last_second >= std::max(1, options.second_search_every));
    std::vector<Face> faces = detector.detect(picture, second);
    last_full = frame;
    if (!faces.empty()) {
      last_second = -1;
    } else if (second) {
      last_second = frame;
    }
    std::sort(faces.begin(), faces.end(), [](const Face& a, const Face& b) { return a.box.width > b.box.width; });
    return faces;
  }

  bool full_search_due() const {
    return last_full < 0 || (options.full_search_every > 0 && frame - last_full >= options.full_search_every);
  }

  std::optional<Face> follow(ConstImageView picture, const Track& track) {
    if (track.frame != frame - 1) return std::nullopt;
    return detector.detect_near(picture, track.raw);
  }

  TrackedFace update(Track& track, const Face& face, double seconds) {
    TrackedFace out{face, track.number};
    if (options.smooth) out.face.landmarks = track.filter(face.landmarks, seconds - track.seen);
    track.raw = face;
    track.seen = seconds;
    track.frame = frame;
    return out;
  }

  Track& start(double seconds) {
    Track& track = tracks.emplace_back();
    track.number = next_number++;
    track.seen = seconds;
    return track;
  }

  std::vector<TrackedFace> one(ConstImageView picture, double seconds) {
    std::optional<Face> face;
    if (!tracks.empty()) face = follow(picture, tracks.front());
    // While a face is followed, a full search can only tell that it is none, so a certain one is left alone.
    if (!face || (full_search_due() && face->score < kDoubtful)) {
      const std::vector<Face> all = search(picture);
      if (!all.empty()) {
        if (!face) {
          face = tracks.empty() ? all.front() : nearest(all, tracks.front().raw);
        } else if (all.front().score > kCertain) {
          face = all.front();
        }
      }
    }
    if (!face) return {};
    if (!tracks.empty() && !same_place(tracks.front().raw, *face)) tracks.clear();
    Track& track = tracks.empty() ? start(seconds) : tracks.front();
    return {update(track, *face, seconds)};
  }

  std::vector<TrackedFace> all(ConstImageView picture, double seconds) {
    std::vector<TrackedFace> out;
    const auto is_new = [&](const Face& face) {
      return std::none_of(out.begin(), out.end(),
                          [&](const TrackedFace& t) { return overlap(t.face.box, face.box) > 0.3f; });
    };
    bool lost = tracks.empty();
    for (Track& track : tracks) {
      const std::optional<Face> face = follow(picture, track);
      if (face && is_new(*face)) {
        out.push_back(update(track, *face, seconds));
      } else if (track.frame == frame - 1) {
        lost = true;  // one full search at once; after that the regular ones have to do
      }
    }
    if (lost || full_search_due()) {
      for (const Face& face : search(picture)) {
        if (!is_new(face)) continue;
        Track* track = nullptr;
        for (Track& t : tracks) {
          if (t.frame != frame && same_place(t.raw, face)) track = &t;
        }
        out.push_back(update(track ? *track : start(seconds), face, seconds));
      }
    }
    std::sort(out.begin(), out.end(),
              [](const TrackedFace& a, const TrackedFace& b) { return a.face.box.width > b.face.box.width; });
    return out;
  }

  static const Face& nearest(const std::vector<Face>& faces, const Face& to) {
    return *std::min_element(faces.begin(), faces.end(), [&](const Face& a, const Face& b) {
      return distance(a.box.centre(), to.box.centre()) < distance(b.box.centre(), to.box.centre());
    });
  }

  // Could a face that was at `a` be at `b` a few frames later?
  static bool same_place(const Face& a, const Face& b) {
    const float ratio = b.box.width / a.box.width;
    return ratio > 0.5f && ratio < 2 && distance(a.box.centre(), b.box.centre()) < a.box.width;
  }
};

Tracker::Tracker(const TrackerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Tracker::~Tracker() = default;
Tracker::Tracker(Tracker&&) noexcept = default;
Tracker& Tracker::operator=(Tracker&&) noexcept = default;

std::vector<TrackedFace> Tracker::next(ConstImageView frame, double seconds) {
  ++impl_->frame;
  std::erase_if(impl_->tracks, [&](const Impl::Track& t) { return seconds - t.seen > kForgetAfter; });
  return impl_->options.all_faces ? impl_->all(frame, seconds) : impl_->one(frame, seconds);
}

void Tracker::reset() {
  impl_->reset();
}

}  // namespace doppel
