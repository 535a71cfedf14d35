#include "tools/frame_pipeline.h"

#include <omp.h>
#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "faces/align.h"
#include "faces/mask.h"
#include "kernels/frame.h"
#include "runtime/bounded_queue.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"

namespace doppel {
namespace {

struct Work {
  VideoFrame frame;
  std::vector<TrackedFace> faces;
  std::vector<float> swapped;  // [faces, T, T, 3]
  Rect changed;
};
using WorkQueue = BoundedQueue<Work>;

// Frames that may wait before a stage: enough to even out a full search or an I-frame, but not gigabytes of 4K.
size_t queue_length(const VideoFormat& format) {
  constexpr double kBytes = 48e6;
  const double frame = 4.5 * format.width * format.height;  // RGB and the decoder's planes
  return size_t(std::clamp(kBytes / frame, 1.0, 8.0));
}

Rect united(const Rect& a, const Rect& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  const int x0 = std::min(a.x, b.x), y0 = std::min(a.y, b.y);
  const int x1 = std::max(a.x + a.width, b.x + b.width), y1 = std::max(a.y + a.height, b.y + b.height);
  return {x0, y0, x1 - x0, y1 - y0};
}

// The pixels of the picture that a square may have changed.
Rect bounds_of(const Affine& frame_to_face, int size, ConstImageView picture) {
  const Affine back = frame_to_face.inverse();
  const float low = -0.5f, high = float(size) - 0.5f;
  const Point corners[4] = {back({low, low}), back({high, low}), back({low, high}), back({high, high})};
  float x0 = corners[0].x, x1 = x0, y0 = corners[0].y, y1 = y0;
  for (const Point& p : corners) {
    x0 = std::min(x0, p.x);
    x1 = std::max(x1, p.x);
    y0 = std::min(y0, p.y);
    y1 = std::max(y1, p.y);
  }
  const auto edge = [](float v, int limit) { return int(std::clamp(v, 0.0f, float(limit))); };
  const int left = edge(std::floor(x0), picture.width), right = edge(std::ceil(x1) + 1, picture.width);
  const int top = edge(std::floor(y0), picture.height), bottom = edge(std::ceil(y1) + 1, picture.height);
  return {left, top, right - left, bottom - top};
}

size_t face_floats(int size) {
  return size_t(3) * size * size;
}

// Crops, runs and hands back the faces of several frames, as many at once as the net takes.
class BatchedNet {
 public:
  explicit BatchedNet(const FaceNet& net) : net_(net) {
    in_.resize(face_floats(net.input_size) * net.max_batch);
    out_.resize(face_floats(net.output_size) * net.max_batch);
  }

  void run(std::vector<Work>& works) {
    for (Work& work : works) {
      work.swapped.resize(face_floats(net_.output_size) * work.faces.size());
      for (size_t i = 0; i < work.faces.size(); ++i) {
        const Landmarks& landmarks = work.faces[i].face.landmarks;
        const Affine to_crop = align(landmarks, net_.input_size, net_.coverage);
        float* in = in_.data() + face_floats(net_.input_size) * targets_.size();
        crop_f32(work.frame.image, to_crop, net_.input_size, in);
        if (net_.face_only) clear_surround(in, moved(landmarks, to_crop), net_.input_size, 1);
        targets_.push_back(work.swapped.data() + face_floats(net_.output_size) * i);
        if (int(targets_.size()) == net_.max_batch) flush();
      }
    }
    flush();
  }

 private:
  void flush() {
    if (targets_.empty()) return;
    net_.run(in_.data(), int(targets_.size()), out_.data());
    const size_t floats = face_floats(net_.output_size);
    for (size_t i = 0; i < targets_.size(); ++i) std::copy_n(out_.data() + floats * i, floats, targets_[i]);
    targets_.clear();
  }

  const FaceNet& net_;
  std::vector<float> in_, out_;
  std::vector<float*> targets_;  // where the faces of the open batch go
};

void paste_all(Work& work, const FaceNet& net, const PasteOptions& options) {
  for (size_t i = 0; i < work.faces.size(); ++i) {
    const Landmarks& landmarks = work.faces[i].face.landmarks;
    const Affine to_face = align(landmarks, net.output_size, net.coverage);
    paste_face(work.frame.image, work.swapped.data() + face_floats(net.output_size) * i, net.output_size, to_face,
               landmarks, options);
    work.changed = united(work.changed, bounds_of(to_face, net.output_size, work.frame.image));
  }
}

// Threads of one fate: the first exception closes every queue, so that none waits for ever.
class Stages {
 public:
  explicit Stages(std::vector<WorkQueue*> queues) : queues_(std::move(queues)) {}
  ~Stages() { join(); }

  template <typename Body>
  void start(Body body) {
    threads_.emplace_back([this, body] {
      // The stages are the parallelism. A team of threads inside each would only take the cores from one another.
      omp_set_num_threads(1);
      guard(body);
    });
  }

  template <typename Body>
  void guard(Body body) {
    try {
      body();
    } catch (...) {
      {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
      }
      for (WorkQueue* queue : queues_) queue->close();
    }
  }

  bool failed() {
    const std::lock_guard lock(mutex_);
    return failure_ != nullptr;
  }

  void finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  std::vector<WorkQueue*> queues_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace

SwapCounts swap_frames(VideoReader& reader, const FaceNet& net, const SwapOptions& options, const TakeFrame& take) {
  const size_t length = queue_length(reader.format());
  WorkQueue decoded(length), found(length), swapped(length), pasted(length);
  Stages stages({&decoded, &found, &swapped, &pasted});
  SwapCounts counts;

  stages.start([&] {
    for (;;) {
      if (interrupted()) throw Interrupted("stopped");
      Work work;
      if (!reader.next(work.frame) || !decoded.push(std::move(work))) break;
    }
    decoded.close();
  });

  stages.start([&] {
    Tracker tracker(options.tracker);
    const double tick = reader.format().time_base.value();
    while (auto work = decoded.pop()) {
      work->faces = tracker.next(work->frame.image, double(work->frame.pts) * tick);
      if (!found.push(std::move(*work))) break;
    }
    found.close();
  });

  stages.start([&] {
    BatchedNet batched(net);
    std::vector<Work> open;
    size_t faces = 0;
    const auto flush = [&] {
      batched.run(open);
      for (Work& work : open) {
        if (!swapped.push(std::move(work))) return false;
      }
      open.clear();
      faces = 0;
      return true;
    };
    while (auto work = found.pop()) {
      faces += work->faces.size();
      open.push_back(std::move(*work));
      // A batch never holds more frames than a queue, and frames without a face wait for nothing.
      const bool full = int(faces) >= net.max_batch || open.size() >= length;
      if ((full || faces == 0) && !flush()) return;
    }
    if (flush()) swapped.close();
  });

  stages.start([&] {
    while (auto work = swapped.pop()) {
      paste_all(*work, net, options.paste);
      if (!pasted.push(std::move(*work))) break;
    }
    pasted.close();
  });

  stages.guard([&] {
    while (auto work = pasted.pop()) {
      if (stages.failed()) return;  // what is still queued behind a failure belongs to no finished clip
      ++counts.frames;
      counts.with_face += work->faces.empty() ? 0 : 1;
      counts.faces += int64_t(work->faces.size());
      take(work->frame, work->changed, counts);
    }
  });
  stages.finish();
  return counts;
}

int swap_picture(Image& picture, const FaceNet& net, const SwapOptions& options) {
  TrackerOptions tracking = options.tracker;
  tracking.smooth = false;
  std::vector<Work> works(1);
  works[0].faces = Tracker(tracking).next(picture, 0);
  works[0].frame.image = std::move(picture);
  BatchedNet(net).run(works);
  paste_all(works[0], net, options.paste);
  picture = std::move(works[0].frame.image);
  return int(works[0].faces.size());
}

}  // namespace doppel
