// doppel demo: everything from nothing to a measured face swap, with two rendered people.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "media/actors.h"
#include "media/picture.h"
#include "media/provenance.h"
#include "media/video_reader.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "tools/commands.h"
#include "tools/compare.h"
#include "tools/convert.h"
#include "tools/extract.h"
#include "tools/model_net.h"
#include "tools/number_range.h"
#include "tools/ownership.h"
#include "tools/progress.h"
#include "tools/sheet.h"
#include "tools/train.h"

namespace fs = std::filesystem;

namespace doppel {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel demo                                     into the folder doppel-demo\n"
    "  doppel demo --minutes 20                        trains longer, or goes on with what is there\n"
    "  doppel demo -o /tmp/try --minutes 1             a quick look\n"
    "\n"
    "What is done is not done twice: the same command goes on where it stopped.";

constexpr int kSheetCell = 192;

struct DemoOptions {
  std::string folder = "doppel-demo";
  double minutes = 5.4;
};

// One column of the sheet: the frame of `a.mp4` in which something is most so.
struct Moment {
  const char* name;
  float (*measure)(const Performance&);
};

float straightness(const Performance& p) {
  return -std::abs(p.yaw) - std::abs(p.pitch) - 20 * p.blink - 10 * p.jaw;
}

constexpr Moment kMoments[] = {
    {"front", straightness},
    {"left", [](const Performance& p) { return -p.yaw; }},
    {"right", [](const Performance& p) { return p.yaw; }},
    {"up", [](const Performance& p) { return -p.pitch - 0.3f * std::abs(p.yaw) - 40 * p.blink; }},
    {"down", [](const Performance& p) { return p.pitch - 0.3f * std::abs(p.yaw) - 40 * p.blink; }},
    {"blink", [](const Performance& p) { return p.blink - 0.01f * std::abs(p.yaw); }},
    {"talking", [](const Performance& p) { return p.jaw - 0.005f * std::abs(p.yaw); }},
    {"smile", [](const Performance& p) { return p.smile - p.blink - 0.02f * std::abs(p.yaw); }},
};

// The frame of each moment, out of the first `frames`.
std::vector<int64_t> moment_frames(const ActorsOptions& actors) {
  std::vector<int64_t> found;
  for (const Moment& moment : kMoments) {
    int64_t best = 0;
    float most = -INFINITY;
    for (int frame = 0; frame < actors.frames; ++frame) {
      const float value = moment.measure(performance(Actor::a, frame / actors.fps));
      if (value > most) most = value, best = frame;
    }
    found.push_back(best);
  }
  return found;
}

bool is_finished_clip(const std::string& path, const ActorsOptions& actors) {
  if (!made_by_doppel(path)) return false;
  const VideoReader reader(path);
  return reader.frame_count() == actors.frames && reader.format().width == actors.size;
}

void render(const ActorsOptions& actors, const std::string clips[3]) {
  if (std::all_of(clips, clips + 3, [&](auto& clip) { return is_finished_clip(clip, actors); })) {
    std::fprintf(stderr, "actors: the clips are there\n");
    return;
  }
  for (int i = 0; i < 3; ++i) refuse_foreign_output(clips[i]);
  Progress progress("actors", 3 * int64_t(actors.frames), "frames");
  write_actors(actors, [&](int done, int) { progress.update(done); });
  progress.finish(3 * int64_t(actors.frames));
}

void extract(const std::string& clip, const std::string& faces) {
  ExtractOptions options;
  options.inputs = {clip};
  options.output = faces;
  std::unique_ptr<Progress> progress;
  const ExtractReport report = extract_faces(options, [&](auto& source, int64_t frames, int64_t total, int64_t found) {
    if (!progress) progress = std::make_unique<Progress>("extract " + source, total, "frames", frames - 1);
    progress->update(frames, std::to_string(found) + " faces");
  });
  if (progress) progress->finish(report.frames);
  if (!report.failures.empty()) throw Error(report.failures.front());
  std::fprintf(stderr, "extract: %lld faces in %s\n", (long long)report.total_faces, faces.c_str());
}

void train(const std::string faces[2], const std::string& model, double minutes) {
  TrainCommand command;
  command.people = {{"a", faces[0]}, {"b", faces[1]}};
  command.model = model;
  command.minutes = minutes;
  // Both actors play in the same light before one camera, so little is to be bridged.
  command.warp = 0.25;
  run_training(command);
}

void convert(const std::string& clip, const std::string& model, const std::string& swap) {
  const ModelNet net(model, "b");
  ConvertSettings settings;
  settings.swap.tracker.smooth = true;
  // The truth shows B's own skin, so the network's colours stay; a user's clip has A's neck next to them and takes A's.
  settings.swap.paste.colour = 0;
  // The truth shows all of B's face, so the mask is as wide as the face.
  settings.swap.paste.mask.erode = -0.02f;
  settings.swap.paste.mask.feather = 0.04f;
  convert_files(plan_conversion({clip}, swap), net.net(), settings);
}

void run(const DemoOptions& options) {
  const std::string folder = options.folder;
  const auto in_folder = [&](const char* name) { return (fs::path(folder) / name).string(); };
  const std::string clips[3] = {in_folder("a.mp4"), in_folder("b.mp4"), in_folder("truth.mp4")};
  const std::string faces[2] = {in_folder("a.faces"), in_folder("b.faces")};
  const std::string model = in_folder("model"), swap = in_folder("swap.mp4"), picture = in_folder("sheet.png");
  refuse_foreign_output(swap);
  refuse_foreign_output(picture);

  ActorsOptions actors;
  actors.folder = folder;
  render(actors, clips);
  for (int i = 0; i < 2; ++i) extract(clips[i], faces[i]);
  train(faces, model, options.minutes);

  convert(clips[0], model, swap);

  const auto moments = moment_frames(actors);
  std::vector<std::string> names;
  for (const Moment& moment : kMoments) names.emplace_back(moment.name);
  Sheet sheet({"input", "swap", "truth"}, names, kSheetCell);
  const Comparison comparison =
      compare_clips(clips[0], swap, clips[2], [&](int64_t index, const Image& a, const Image& b, const Image& c) {
        const SheetView head{0.5 * a.width(), 0.45 * a.height(), 0.8 * a.width()};
        for (size_t column = 0; column < moments.size(); ++column) {
          if (moments[column] != index) continue;
          sheet.put(0, int(column), a, head);
          sheet.put(1, int(column), b, head);
          sheet.put(2, int(column), c, head);
        }
      });
  write_file(picture, mark_picture(encode_png(sheet.image()), SourceType::generated));
  std::printf("%s: the swap of %s to b\n%s: input, swap and truth\n%s", swap.c_str(), clips[0].c_str(), picture.c_str(),
              comparison_table(comparison).c_str());
  std::printf("swap PSNR %.2f dB, unswapped %.2f dB\n", comparison.swap.psnr_rgb(), comparison.unswapped.psnr_rgb());
}

}  // namespace

void add_demo(CLI::App& app) {
  auto* sub = app.add_subcommand("demo", "Renders two people, learns them, swaps one for the other and measures it.");
  sub->footer(kExamples);
  auto options = std::make_shared<DemoOptions>();
  sub->add_option("-o,--output", options->folder, "folder for all that it makes")
      ->type_name("DIR")
      ->capture_default_str();
  sub->add_option("--minutes", options->minutes, "of training, in all")
      ->check(NumberRange(0.01, 1e6))
      ->type_name("M")
      ->capture_default_str();
  sub->callback([options] { run(*options); });
}

}  // namespace doppel
