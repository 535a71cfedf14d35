// doppel info: what a face set, a model, a clip or a picture is.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "media/face_set.h"
#include "media/media_list.h"
#include "media/picture.h"
#include "media/provenance.h"
#include "media/video_reader.h"
#include "nn/checkpoint.h"
#include "runtime/error.h"
#include "tools/commands.h"
#include "tools/progress.h"

namespace fs = std::filesystem;

namespace doppel {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel info anna.faces                          how many faces, from where, which way they look\n"
    "  doppel info both.model                          people, architecture, iterations, losses\n"
    "  doppel info swapped.mp4                         size, duration, and whether it is marked as synthetic";

// "name:    value", the values under each other.
void line(const char* name, const std::string& value) {
  std::printf("%-14s %s\n", name, value.c_str());
}

std::string number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string megabytes(double bytes) {
  return number(bytes / 1e6, bytes < 1e8 ? 1 : 0) + " MB";
}

double folder_bytes(const std::string& folder) {
  double bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += double(entry.file_size());
  }
  return bytes;
}

void face_set_info(const std::string& path) {
  const FaceSet set = FaceSet::load(path);
  line("face set", path);
  std::string faces = std::to_string(set.faces.size());
  if (set.deleted > 0) faces += " (" + std::to_string(set.deleted) + " more were deleted)";
  line("faces", faces);
  line("size", std::to_string(set.header.size) + " x " + std::to_string(set.header.size) + ", coverage " +
                   number(set.header.coverage, 2));
  line("on disk", megabytes(folder_bytes(path)));
  if (!set.faces.empty()) {
    const auto range = [&](float FaceRecord::*field) {
      const auto [low, high] = std::minmax_element(set.faces.begin(), set.faces.end(),
                                                   [&](auto& a, auto& b) { return a.*field < b.*field; });
      return number((*low).*field, 0) + " to " + number((*high).*field, 0);
    };
    line("yaw", range(&FaceRecord::yaw) + " degrees");
    line("pitch", range(&FaceRecord::pitch) + " degrees");
    line("sharpness", range(&FaceRecord::sharpness));
  }
  for (const FaceSource& source : set.sources) {
    line("source", source.name + ": " + std::to_string(source.faces) + " faces in " + std::to_string(source.frames) +
                       " frames, " + std::to_string(source.without_face) + " frames without one");
  }
}

void model_info(const std::string& path) {
  const ModelDescription model = load_description(path);
  check_weights(path);
  line("model", path);
  std::string people;
  for (const auto& person : model.people) people += (people.empty() ? "" : ", ") + person;
  line("people", std::to_string(model.people.size()) + ": " + people);
  line("architecture", model.architecture + ", pictures of " + std::to_string(model.size) + " x " +
                           std::to_string(model.size) + " pixels");
  line("faces", std::to_string(model.face_size) + " x " + std::to_string(model.face_size) + ", coverage " +
                    number(model.coverage, 2));
  line("iterations", std::to_string(model.iterations));
  line("trained", duration_text(model.seconds));
  line("batch", std::to_string(model.batch) + " of each person");
  line("learning rate", number(model.lr, 6));
  line("warp", number(model.warp, 2));
  std::string optimizer = model.optimizer;
  if (model.lr_dropout > 0) optimizer += ", learning-rate dropout " + number(model.lr_dropout, 2);
  if (model.clip > 0) optimizer += ", gradients clipped to " + number(model.clip, 3);
  line("optimizer", optimizer);
  line("precision", model.precision);
  line("seed", std::to_string(model.seed));
  for (size_t i = 0; i < std::min(model.losses.size(), model.people.size()); ++i) {
    line("loss", model.people[i] + " " + number(model.losses[i], 4));
  }
  line("on disk", megabytes(folder_bytes(path)));
}

void provenance_info(const std::string& path) {
  const auto provenance = read_provenance(path);
  if (!provenance) {
    line("synthetic", "not marked");
    return;
  }
  line("synthetic", "yes, " + provenance->source_type);
  line("made by", provenance->creator_tool.empty() ? "not said" : provenance->creator_tool);
}

void picture_info(const std::string& path) {
  const Image image = read_picture(path);
  line("picture", path);
  line("size", std::to_string(image.width()) + " x " + std::to_string(image.height()));
  provenance_info(path);
}

void clip_info(const std::string& path) {
  const VideoReader reader(path);
  line("clip", path);
  line("size", std::to_string(reader.format().width) + " x " + std::to_string(reader.format().height));
  line("duration", reader.duration() > 0 ? duration_text(reader.duration()) : "the file does not say");
  line("frame rate", number(reader.format().average_rate.value(), 3) + " a second" +
                         (reader.variable_rate() ? ", not evenly spaced" : ""));
  if (reader.frame_count() > 0) line("frames", "about " + std::to_string(reader.frame_count()));
  provenance_info(path);
}

void run(const std::string& path) {
  if (!fs::exists(path)) throw Error(path + ": there is no such file or folder");
  if (is_face_set(path)) return face_set_info(path);
  if (model_exists(path)) return model_info(path);
  if (fs::is_directory(path)) {
    throw Error(path + ": neither a face set (no manifest.jsonl) nor a model (no model.json)");
  }
  if (media_kind(path) == MediaKind::picture) return picture_info(path);
  clip_info(path);
}

}  // namespace

void add_info(CLI::App& app) {
  auto* sub = app.add_subcommand("info", "Says what a face set, a model, a clip or a picture is.");
  sub->footer(kExamples);
  auto path = std::make_shared<std::string>();
  sub->add_option("path", *path, "face set, model, clip or picture")->required()->type_name("PATH");
  sub->callback([path] { run(*path); });
}

}  // namespace doppel
