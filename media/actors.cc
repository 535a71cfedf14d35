#include "media/actors.h"

#include <cmath>
#include <filesystem>
#include <vector>

#include "kernels/parallel.h"
#include "media/actor_model.h"
#include "media/video_writer.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"

namespace doppel {

void write_actors(const ActorsOptions& options, const std::function<void(int done, int total)>& progress) {
  if (options.size < 64 || options.size % 2 != 0) throw UsageError("actors: the size must be even and at least 64");
  if (options.frames < 1) throw UsageError("actors: at least one frame is needed");
  if (!(options.fps > 0)) throw UsageError("actors: the frame rate must be above 0");
  std::error_code failed;
  std::filesystem::create_directories(options.folder, failed);
  if (failed) throw Error(options.folder + ": cannot make the folder (" + failed.message() + "); choose another");
  struct Clip {
    const char* name;
    Actor head, doing;
  };
  constexpr Clip kClips[] = {
      {"a.mp4", Actor::a, Actor::a}, {"b.mp4", Actor::b, Actor::b}, {"truth.mp4", Actor::b, Actor::a}};
  for (Actor who : {Actor::a, Actor::b}) body_model(who);  // baked with both cores, before they are taken by frames
  const int total = options.frames * int(std::size(kClips)), batch = 4 * thread_count();
  int done = 0;
  for (const Clip& clip : kClips) {
    VideoFormat format = VideoFormat::simple(options.size, options.size, 1);
    format.average_rate = {int(std::lround(options.fps * 1000)), 1000};
    format.time_base = {format.average_rate.den, format.average_rate.num};
    WriterOptions how;
    how.mark = SourceType::generated;
    VideoWriter writer((std::filesystem::path(options.folder) / clip.name).string(), format, how);
    std::vector<Image> images;
    for (int first = 0; first < options.frames; first += batch) {
      const int count = std::min(batch, options.frames - first);
      images.assign(size_t(count), Image());
      parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
          images[size_t(k)] =
              render_actor(clip.head, performance(clip.doing, double(first + k) / options.fps), options.size);
        }
      });
      for (int k = 0; k < count; ++k) {
        writer.write(images[size_t(k)], first + k);
        if (progress) progress(++done, total);
      }
      if (interrupted()) throw Interrupted("actors: stopped; " + std::string(clip.name) + " was not finished");
    }
    writer.finish();
  }
}

}  // namespace doppel
