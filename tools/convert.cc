#include "tools/convert.h"

#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include <set>

#include "media/picture.h"
#include "media/provenance.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "runtime/atomic_file.h"
#include "runtime/clock.h"
#include "runtime/error.h"
#include "runtime/interrupt.h"
#include "tools/ownership.h"
#include "tools/progress.h"

namespace fs = std::filesystem;

namespace doppel {
namespace {

bool writable_name(const std::string& path, MediaKind kind) {
  const std::string extension = extension_of(path);
  if (kind == MediaKind::picture) return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
  return extension == ".mp4" || extension == ".m4v" || extension == ".mov" || extension == ".mkv";
}

std::string name_in(const std::string& folder, const std::string& input, MediaKind kind) {
  const std::string name = (fs::path(folder) / fs::path(input).filename()).string();
  if (writable_name(name, kind)) return name;
  return name + (kind == MediaKind::picture ? ".png" : ".mkv");
}

void make_folder(const std::string& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed || !fs::is_directory(folder))
    throw Error(folder + ": cannot make this folder: " + (failed ? failed.message() : "a file of that name is there") +
                "; choose another with -o");
}

void check_output(const ConvertJob& job) {
  std::error_code none;
  if (!writable_name(job.output, job.kind))
    throw UsageError(job.output + ": " +
                     (job.kind == MediaKind::picture ? "a picture is written as .png, .jpg or .jpeg"
                                                     : "a clip is written as .mp4, .m4v, .mov or .mkv") +
                     "; choose such a name with -o");
  if (fs::exists(job.output, none) && fs::equivalent(job.input, job.output, none))
    throw Error(job.output + ": is the input itself; choose another name with -o");
  refuse_foreign_output(job.output);
  const std::string parent = fs::path(job.output).parent_path().string(), folder = parent.empty() ? "." : parent;
  if (!fs::is_directory(folder, none))
    throw Error(folder + ": no such folder for the output; make it, or choose another");
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw Error(folder + ": this folder cannot be written; choose another with -o");
}

[[noreturn]] void throw_no_face(const std::string& input, const std::string& where, const SwapOptions& options) {
  throw Error(input + ": no face found in " + where + ", so nothing was written; try a smaller --min-face than " +
              std::to_string(options.tracker.detector.min_face) + ", or a clip that shows a face from the front");
}

ConvertResult convert_picture(const ConvertJob& job, const FaceNet& net, const ConvertSettings& settings) {
  ConvertResult result;
  Image picture = read_picture(job.input);
  const int faces = swap_picture(picture, net, settings.swap);
  if (faces == 0) throw_no_face(job.input, "this picture", settings.swap);
  write_file(job.output, mark_picture(encode_picture(picture, job.output), SourceType::composite));
  result.counts = {1, 1, faces};
  return result;
}

ConvertResult convert_clip(const ConvertJob& job, const FaceNet& net, const ConvertSettings& settings) {
  ReaderOptions reading;
  reading.keep_native = true;
  VideoReader reader(job.input, reading);
  WriterOptions writing;
  writing.crf = settings.crf;
  writing.copy_from = job.input;
  VideoWriter writer(job.output, reader.format(), writing);
  ConvertResult result;
  const std::string name = fs::path(job.input).filename().string();
  std::unique_ptr<Progress> progress;
  if (settings.progress) progress = std::make_unique<Progress>("convert " + name, reader.frame_count(), "frames");
  const auto note = [](const SwapCounts& counts) {
    return counts.without_face() > 0 ? std::to_string(counts.without_face()) + " without a face" : std::string();
  };
  try {
    result.counts = swap_frames(reader, net, settings.swap,
                                [&](const VideoFrame& frame, const Rect& changed, const SwapCounts& counts) {
                                  writer.write(frame, changed);
                                  if (progress) progress->update(counts.frames, note(counts));
                                });
  } catch (const Interrupted&) {
    throw Interrupted(job.output + ": stopped before it was whole, so nothing of it was kept; run the command again");
  }
  result.damage = reader.damage();
  if (result.counts.frames == 0)
    throw Error(job.input + ": " + (result.damage.empty() ? "holds no frame" : result.damage) +
                "; nothing was written");
  if (result.counts.with_face == 0)
    throw_no_face(job.input, "any of its " + std::to_string(result.counts.frames) + " frames", settings.swap);
  writer.finish();
  if (progress) progress->finish(result.counts.frames, note(result.counts));
  return result;
}

void report(const ConvertJob& job, const ConvertResult& result) {
  const SwapCounts& counts = result.counts;
  if (job.kind == MediaKind::picture) {
    std::printf("%s: %lld face%s\n", job.output.c_str(), static_cast<long long>(counts.faces),
                counts.faces == 1 ? "" : "s");
  } else {
    std::printf("%s: %lld frames, %lld with a face, %lld without, %.1f frames/s\n", job.output.c_str(),
                static_cast<long long>(counts.frames), static_cast<long long>(counts.with_face),
                static_cast<long long>(counts.without_face()), double(counts.frames) / std::max(result.seconds, 1e-9));
  }
  std::fflush(stdout);
}

}  // namespace

std::vector<ConvertJob> plan_conversion(const std::vector<std::string>& inputs, const std::string& output) {
  std::error_code none;
  const bool one_file = inputs.size() == 1 && !fs::is_directory(inputs[0], none);
  const bool into_folder = !one_file || output.ends_with('/') || fs::is_directory(output, none);
  std::vector<ConvertJob> jobs;
  for (const std::string& input : inputs) {
    const bool folder = fs::is_directory(input, none);
    for (const std::string& file : folder ? list_media(input) : std::vector<std::string>{input}) {
      const MediaKind kind = media_kind(file);
      jobs.push_back({file, into_folder ? name_in(output, file, kind) : output, kind});
    }
  }
  if (into_folder) make_folder(output);
  std::set<std::string> names;
  for (const ConvertJob& job : jobs) {
    if (!names.insert(job.output).second)
      throw UsageError(job.output + ": two inputs would be written here; convert them one at a time");
    // An input that is not there cannot spoil the others: it fails in its turn.
    if (!fs::exists(job.input, none) && jobs.size() > 1) continue;
    if (!fs::exists(job.input, none)) throw Error(job.input + ": no such file; check the name");
    check_output(job);
  }
  return jobs;
}

ConvertResult convert_file(const ConvertJob& job, const FaceNet& net, const ConvertSettings& settings) {
  const Clock::time_point start = Clock::now();
  ConvertResult result =
      job.kind == MediaKind::picture ? convert_picture(job, net, settings) : convert_clip(job, net, settings);
  result.seconds = since(start);
  return result;
}

void convert_files(const std::vector<ConvertJob>& jobs, const FaceNet& net, const ConvertSettings& settings) {
  size_t bad = 0;
  for (const ConvertJob& job : jobs) {
    if (interrupted()) throw Interrupted("stopped; the files that were finished stay");
    try {
      const ConvertResult result = convert_file(job, net, settings);
      report(job, result);
      if (!result.damage.empty()) throw Error(job.input + ": " + result.damage + "; converted as far as it goes");
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (jobs.size() == 1) throw;
      std::fprintf(stderr, "doppel: %s\n", error.what());
      ++bad;
    }
  }
  if (bad > 0) throw Error(std::to_string(bad) + " of " + std::to_string(jobs.size()) + " inputs failed, see above");
}

}  // namespace doppel
