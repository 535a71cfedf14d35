// Packs faces of the two rendered actors for bench_training (bench/face_pack.h): what `doppel extract` would cut out of
// a long clip of each, and frames of a from later in that clip, with b doing the same in a's place.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "bench/face_pack.h"
#include "bench/options.h"
#include "bench/program.h"
#include "faces/align.h"
#include "faces/mask.h"
#include "faces/track.h"
#include "kernels/frame.h"
#include "kernels/parallel.h"
#include "media/actors.h"
#include "nn/architecture.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "runtime/image.h"
#include "runtime/interrupt.h"
#include "tools/progress.h"

namespace doppel::bench {
namespace {

constexpr double kFps = 10;  // of the faces to learn from: neighbours differ, and 256 of them see every pose
constexpr double kHeldOutFps = 4;
constexpr double kPause = 1;  // seconds between the last face to learn from and the first that is held out

struct Request {
  std::string output, arch = "original";
  int faces = 256, held_out = 64;
  int face_size = 160;   // of the crops
  int frame_size = 512;  // of what is rendered
};

struct Frames {
  Actor head, doing;
  double first, fps;  // seconds of the performance, a second
  int count;
};

// Renders frame after frame, several at once, and finds the face in each. see(index, frame, landmarks); frames without
// a face have none.
template <typename See>
void each_frame(const Frames& frames, int size, Progress& progress, int& done, const See& see) {
  Tracker tracker;
  const int batch = 4 * thread_count();
  std::vector<Image> images;
  for (int from = 0; from < frames.count; from += batch) {
    const int count = std::min(batch, frames.count - from);
    const auto time = [&](int k) { return frames.first + (from + k) / frames.fps; };
    images.assign(size_t(count), Image());
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k)
        images[size_t(k)] = render_actor(frames.head, performance(frames.doing, time(int(k))), size);
    });
    for (int k = 0; k < count; ++k) {
      const auto found = tracker.next(images[size_t(k)], time(k));
      see(from + k, images[size_t(k)],
          found.empty() ? std::optional<Landmarks>() : std::optional<Landmarks>(found.front().face.landmarks));
      progress.update(++done);
    }
    if (interrupted()) throw Interrupted("stopped; nothing was written");
  }
}

// Room for one more [side, side, 3] at the end.
uint8_t* grow(std::vector<uint8_t>& pictures, int side) {
  pictures.resize(pictures.size() + FacePack::face_bytes(side));
  return pictures.data() + pictures.size() - FacePack::face_bytes(side);
}

// The square that `to_crop` cuts out of the frame, grey around the face where the architecture sees nothing else.
void append_crop(std::vector<uint8_t>& pictures, ConstImageView frame, const Affine& to_crop, int side,
                 const Landmarks* only_face, float network_part) {
  uint8_t* crop = grow(pictures, side);
  crop_u8(frame, to_crop, ImageView{crop, side, side, 3 * side});
  if (only_face) clear_surround(crop, moved(*only_face, to_crop), side, network_part);
}

// 1 in the hull of the landmarks, as tools/compare.h measures whole frames.
void append_region(std::vector<uint8_t>& regions, const Landmarks& landmarks, int side) {
  MaskOptions options;
  options.forehead = options.erode = 0;
  options.feather = 1e-3f;
  options.border = false;
  std::vector<float> mask(size_t(side) * size_t(side));
  face_mask(landmarks, side, options, mask.data());
  for (const float v : mask) regions.push_back(v > 0.5f);
}

FacePack pack(const Request& o) {
  const Architecture arch = architecture(o.arch);
  FacePack pack;
  pack.face_size = o.face_size;
  pack.size = arch.size;
  pack.coverage = kDefaultCoverage;
  pack.face_only = arch.face_only;
  Progress progress("pack_actors", 2 * (o.faces + o.held_out), "frames");
  int done = 0, without_face = 0;
  for (const Actor who : {Actor::a, Actor::b})
    each_frame({who, who, 0, kFps, o.faces}, o.frame_size, progress, done,
               [&](int, const Image& frame, const std::optional<Landmarks>& face) {
                 if (!face) return void(++without_face);
                 append_crop(pack.people[who == Actor::b], frame, align(*face, o.face_size, pack.coverage), o.face_size,
                             pack.face_only ? &*face : nullptr, kNetworkPart);
               });

  const double later = o.faces / kFps + kPause;
  std::vector<std::optional<Landmarks>> truths(size_t(o.held_out));
  std::vector<Image> truth_frames(size_t(o.held_out));
  each_frame({Actor::b, Actor::a, later, kHeldOutFps, o.held_out}, o.frame_size, progress, done,
             [&](int i, const Image& frame, const std::optional<Landmarks>& face) {
               truths[size_t(i)] = face;
               truth_frames[size_t(i)] = frame;
             });
  each_frame({Actor::a, Actor::a, later, kHeldOutFps, o.held_out}, o.frame_size, progress, done,
             [&](int i, const Image& frame, const std::optional<Landmarks>& face) {
               const auto& truth = truths[size_t(i)];
               if (!face || !truth) return void(++without_face);
               const Affine square = align(*face, pack.size, pack.coverage * kNetworkPart);
               append_crop(pack.input, frame, square, pack.size, pack.face_only ? &*face : nullptr, 1);
               append_crop(pack.source, frame, square, pack.size, nullptr, 1);
               append_crop(pack.truth, truth_frames[size_t(i)], square, pack.size, nullptr, 1);
               append_region(pack.region, moved(*truth, square), pack.size);
             });
  progress.finish(done, std::to_string(without_face) + " without a face");
  if (pack.people[0].empty() || pack.people[1].empty() || pack.truth.empty())
    throw Error("no face was found in the frames; give a larger --frame");
  return pack;
}

int run(int argc, char** argv) {
  Request o;
  Options options("pack_actors",
                  "Packs faces of the rendered actors for bench_training.\n\n"
                  "  pack_actors -o bench/carry/faces.safetensors     what bench/train.sh takes, about 40 MB\n"
                  "  pack_actors -o lite.safetensors --arch lite --faces 64 --held-out 16");
  options.text("-o, --output", "FILE", o.output, "The file; needed");
  options.text("--arch", "original|lite", o.arch,
               "For whom: how large its pictures are, and whether it sees what is around a face");
  options.number("--faces", "N", 1, 100'000, o.faces, "Frames of each actor to learn from");
  options.number("--held-out", "N", 1, 10'000, o.held_out, "Frames to measure swaps on");
  options.number("--size", "N", 64, 1024, o.face_size, "Side of the crops to learn from, in pixels");
  options.number("--frame", "N", 128, 4096, o.frame_size, "Side of the frames that are rendered, in pixels");
  if (!options.parse(argc, argv)) return 0;
  architecture(o.arch);  // what is wrong is said before what is missing
  if (o.output.empty()) throw UsageError("give -o FILE");
  { const AtomicFile probe(o.output); }  // rendering takes minutes: find out now whether it can be written
  FacePack faces = pack(o);
  write_face_pack(o.output, faces);
  std::printf("%s: %u faces of a, %u of b, %d x %d; %d held out, %d x %d; %.1f MB\n", o.output.c_str(), faces.faces(0),
              faces.faces(1), faces.face_size, faces.face_size, faces.held_out(), faces.size, faces.size,
              double(std::filesystem::file_size(o.output)) * 1e-6);
  return 0;
}

}  // namespace
}  // namespace doppel::bench

int main(int argc, char** argv) {
  return doppel::bench::run_program("pack_actors", argc, argv, doppel::bench::run);
}
