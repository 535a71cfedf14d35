#include "tools/extract.h"

#include <sys/stat.h>

#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "faces/track.h"
#include "kernels/frame.h"
#include "media/face_set.h"
#include "runtime/bounded_queue.h"
#include "runtime/clock.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "tools/extract_source.h"

namespace doppel {
namespace {

struct Picture : SourcePicture {
  std::optional<Face> face;  // filled by the second stage
};

// Runs `work` on a thread and keeps what it throws; the destructor joins.
class Stage {
 public:
  template <typename Work>
  explicit Stage(Work work)
      : thread_([this, work] {
          try {
            work();
          } catch (...) {
            error_ = std::current_exception();
          }
        }) {}
  ~Stage() {
    if (thread_.joinable()) thread_.join();
  }
  // Joins; rethrows.
  void finish() {
    thread_.join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses error_
};

// Closes queues on the way out, so that the stages behind them end whatever happens here.
template <typename Queue>
struct Closer {
  Queue& queue;
  ~Closer() { queue.close(); }
};

std::string source_key(const std::string& input, const ExtractOptions& options) {
  struct stat info {};
  if (::stat(input.c_str(), &info) != 0) throw Error(input + ": no such file or folder");
  return std::to_string(info.st_size) + "/" + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec) + "/every " + std::to_string(options.every) + "/min-face " +
         std::to_string(options.min_face) + "/" + input;
}

class Extraction {
 public:
  Extraction(const ExtractOptions& options, const ExtractProgress& progress) : options_(options), progress_(progress) {}

  ExtractReport run() {
    const Clock::time_point start = Clock::now();
    for (const std::string& input : source_files(options_.inputs, report_.failures)) {
      std::string failure;
      one(input, failure);
      if (!failure.empty()) report_.failures.push_back(failure);
    }
    if (!writer_) throw Error("nothing to extract: " + join(report_.failures));
    writer_->finish();
    report_.total_faces = writer_->faces();
    report_.seconds = since(start);
    if (report_.total_faces == 0) {
      throw Error("no face in any of " + std::to_string(report_.frames) + " frames" + failures_text() +
                  ": try pictures of a face that looks towards the camera, or --min-face 20 for small faces");
    }
    return report_;
  }

 private:
  static TrackerOptions tracker_options(const ExtractOptions& options) {
    TrackerOptions tracker;
    tracker.detector.min_face = options.min_face;
    return tracker;
  }

  static std::string join(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
    return text;
  }

  std::string failures_text() const {
    return report_.failures.empty() ? "" : " (and not readable: " + join(report_.failures) + ")";
  }

  // What goes wrong with the input is returned in `failure`; what goes wrong with the set is thrown.
  void one(const std::string& input, std::string& failure) {
    std::unique_ptr<PictureSource> source;
    FaceSource state;
    try {
      state.name = input;
      state.key = source_key(input, options_);
      // A writer for the first input that can be read at all, so that a wrong name leaves no folder behind.
      if (!writer_) open_source(input, options_.every, 0);
    } catch (const Error& e) {
      failure = e.what();
      return;
    }
    if (!writer_) writer_ = std::make_unique<FaceSetWriter>(options_.output, header());
    if (const FaceSource* old = writer_->source(state.key)) {
      state = *old;
    } else if (old = writer_->source_named(state.name); old && old->faces > 0) {
      failure = state.name + ": is in " + options_.output +
                " already, with other content or options; extract it into a new folder";
      return;
    }
    if (state.done) {
      ++report_.already_done;
      return;
    }
    try {
      source = open_source(input, options_.every, state.frames);
    } catch (const Error& e) {
      failure = e.what();
      return;
    }
    stream(*source, state, failure);
  }

  FaceSetHeader header() const { return {options_.size, options_.coverage}; }

  // Decode, find, and on this thread crop, encode and write, all at the same time.
  void stream(PictureSource& source, FaceSource& state, std::string& failure) {
    const int64_t total = source.total();
    if (!tracker_) tracker_.emplace(tracker_options(options_));
    tracker_->reset();
    BoundedQueue<Picture> decoded(4), found(4);
    Stage find([&] {
      const Closer<BoundedQueue<Picture>> close_found{found}, close_decoded{decoded};
      while (std::optional<Picture> picture = decoded.pop()) {
        const std::vector<TrackedFace> faces = tracker_->next(picture->image, picture->time);
        if (!faces.empty()) picture->face = faces.front().face;
        if (!found.push(std::move(*picture))) return;
      }
    });
    Stage decode([&] {
      const Closer<BoundedQueue<Picture>> close_decoded{decoded};
      Picture picture;
      while (source.next(picture) && decoded.push(std::move(picture))) picture = Picture();
    });
    bool stopped = false;
    {
      const Closer<BoundedQueue<Picture>> close_decoded{decoded}, close_found{found};
      Clock::time_point noted = Clock::now();
      while (std::optional<Picture> picture = found.pop()) {
        take(*picture, state);
        if (progress_) progress_(state.name, state.frames, total, state.faces);
        if (interrupted()) {
          stopped = true;
          break;
        }
        if (since(noted) > 10) {
          writer_->note_source(state);
          noted = Clock::now();
        }
      }
    }
    try {
      decode.finish();
      find.finish();
      failure = source.damage();
    } catch (const Error& e) {
      failure = e.what();
    }
    state.done = !stopped;
    writer_->note_source(state);
    if (stopped) {
      throw Interrupted("stopped after " + std::to_string(state.frames) + " frames of " + state.name + "; " +
                        std::to_string(writer_->faces()) + " faces are kept in " + options_.output +
                        ", the same command goes on from there");
    }
  }

  void take(const Picture& picture, FaceSource& state) {
    state.frames = picture.frame + 1;
    ++report_.frames;
    if (!picture.face) {
      ++state.without_face;
      ++report_.without_face;
      return;
    }
    const Landmarks& landmarks = picture.face->landmarks;
    FaceRecord record;
    record.source = state.name;
    record.frame = picture.frame;
    record.time = picture.time;
    record.landmarks = landmarks;
    record.transform = align(landmarks, options_.size, options_.coverage);
    record.sharpness = face_sharpness(picture.image, landmarks, options_.coverage);
    const Pose pose = estimate_pose(landmarks);
    record.yaw = pose.yaw;
    record.pitch = pose.pitch;
    record.roll = pose.roll;
    Image crop(options_.size, options_.size);
    crop_u8(picture.image, record.transform, crop);
    writer_->append(std::move(record), crop);
    ++state.faces;
    ++report_.faces;
  }

  const ExtractOptions& options_;
  const ExtractProgress& progress_;
  std::optional<Tracker> tracker_;  // made for the first input that opens: loading its model takes a while
  std::unique_ptr<FaceSetWriter> writer_;
  ExtractReport report_;
};

}  // namespace

ExtractReport extract_faces(const ExtractOptions& options, const ExtractProgress& progress) {
  if (options.size < 32 || options.size > 1024) throw UsageError("--size must be 32 to 1024");
  if (options.every < 1) throw UsageError("--every must be at least 1");
  if (options.min_face < 1) throw UsageError("--min-face must be at least 1");
  if (!(options.coverage >= 1 && options.coverage <= 4)) throw UsageError("--coverage must be 1 to 4");
  return Extraction(options, progress).run();
}

}  // namespace doppel
