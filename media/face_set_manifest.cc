#include "media/face_set_manifest.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "doppel face set";

std::string with_checksum(const Json& json) {
  std::string line = json.dump();
  char sum[16];
  std::snprintf(sum, sizeof sum, "\t%08x\n", crc32(line.data(), line.size()));
  return line + sum;
}

// A float in as few digits as give it back within `digits` significant ones.
double rounded(double value, int digits) {
  if (!std::isfinite(value)) throw std::invalid_argument("face set: a value is not finite");
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return std::strtod(text, nullptr);
}

double hundredths(float value) {
  return rounded(std::round(double(value) * 100) / 100, 12);
}

// The JSON of a line whose checksum fits.
std::optional<Json> checked(std::string_view line) {
  const size_t tab = line.rfind('\t');
  if (tab == std::string_view::npos || line.size() - tab != 9) return std::nullopt;
  char sum[16];
  std::snprintf(sum, sizeof sum, "%08x", crc32(line.data(), tab));
  if (line.substr(tab + 1) != sum) return std::nullopt;
  Json json = Json::parse(line.begin(), line.begin() + std::ptrdiff_t(tab), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

FaceRecord to_face(const Json& json) {
  FaceRecord r;
  r.file = json.at("face").get<std::string>();
  r.source = json.at("source").get<std::string>();
  r.frame = json.at("frame").get<int64_t>();
  r.time = json.at("time").get<double>();
  const auto points = json.at("landmarks").get<std::array<float, 2 * kLandmarkCount>>();
  for (size_t i = 0; i < r.landmarks.size(); ++i) r.landmarks[i] = {points[2 * i], points[2 * i + 1]};
  const auto t = json.at("transform").get<std::array<float, 6>>();
  r.transform = {t[0], t[1], t[2], t[3], t[4], t[5]};
  r.sharpness = json.at("sharpness").get<float>();
  r.yaw = json.at("yaw").get<float>();
  r.pitch = json.at("pitch").get<float>();
  r.roll = json.at("roll").get<float>();
  r.crc = json.at("crc32").get<uint32_t>();
  return r;
}

FaceSource to_source(const Json& json) {
  FaceSource s;
  s.name = json.at("source").get<std::string>();
  s.key = json.at("key").get<std::string>();
  s.frames = json.at("frames").get<int64_t>();
  s.faces = json.at("faces").get<int64_t>();
  s.without_face = json.at("without_face").get<int64_t>();
  s.done = json.at("done").get<bool>();
  return s;
}

// Adds what a line says; false for one that has no place there.
bool take(const Json& json, Manifest& manifest) {
  if (manifest.finished) return false;
  if (json.contains("face")) {
    FaceRecord face = to_face(json);
    if (face.file != crop_name(int64_t(manifest.faces.size()))) return false;
    manifest.faces.push_back(std::move(face));
  } else if (json.contains("key")) {
    FaceSource source = to_source(json);
    const auto same = std::find_if(manifest.sources.begin(), manifest.sources.end(),
                                   [&](const FaceSource& s) { return s.key == source.key; });
    if (same != manifest.sources.end()) {
      *same = std::move(source);
    } else {
      manifest.sources.push_back(std::move(source));
    }
  } else if (json.contains("end")) {
    if (json.at("faces").get<int64_t>() != int64_t(manifest.faces.size())) return false;
    manifest.finished = true;
  } else {
    return false;
  }
  return true;
}

void take_header(std::string_view line, const std::string& path, Manifest& manifest) {
  const std::string where = path + "/" + kManifestName;
  if (line.find(kFormat) == std::string_view::npos) {
    throw Error(where + " is not a face set's manifest: give a folder made by doppel extract");
  }
  const std::optional<Json> json = checked(line);
  const std::string again = ": remove " + path + " and extract it again";
  if (!json) throw Error(where + " is damaged in line 1" + again);
  if (json->value("format", "") != kFormat) throw Error(where + " is not a face set's manifest" + again);
  const int version = json->value("version", 0);
  if (version != kFaceSetVersion) {
    throw Error(where + " is of version " + std::to_string(version) + ", this doppel reads version " +
                std::to_string(kFaceSetVersion) + again);
  }
  try {
    manifest.header.size = json->at("size").get<int>();
    manifest.header.coverage = json->at("coverage").get<float>();
  } catch (const Json::exception&) {
    throw Error(where + " is damaged in line 1" + again);
  }
}

}  // namespace

std::string crop_name(int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06lld.jpg", static_cast<long long>(index));
  return name;
}

std::string header_line(const FaceSetHeader& header) {
  return with_checksum({{"format", kFormat},
                        {"version", kFaceSetVersion},
                        {"size", header.size},
                        {"coverage", rounded(header.coverage, 7)}});
}

std::string face_line(const FaceRecord& r) {
  std::vector<double> points;
  for (const Point p : r.landmarks) {
    points.push_back(hundredths(p.x));
    points.push_back(hundredths(p.y));
  }
  std::vector<double> transform;
  for (const float v : {r.transform.a, r.transform.b, r.transform.tx, r.transform.c, r.transform.d, r.transform.ty}) {
    transform.push_back(rounded(v, 9));
  }
  return with_checksum({{"face", r.file},
                        {"source", r.source},
                        {"frame", r.frame},
                        {"time", rounded(r.time, 12)},
                        {"landmarks", points},
                        {"transform", transform},
                        {"sharpness", rounded(r.sharpness, 5)},
                        {"yaw", hundredths(r.yaw)},
                        {"pitch", hundredths(r.pitch)},
                        {"roll", hundredths(r.roll)},
                        {"crc32", r.crc}});
}

std::string source_line(const FaceSource& s) {
  return with_checksum({{"source", s.name},
                        {"key", s.key},
                        {"frames", s.frames},
                        {"faces", s.faces},
                        {"without_face", s.without_face},
                        {"done", s.done}});
}

std::string end_line(int64_t faces) {
  return with_checksum({{"end", true}, {"faces", faces}});
}

Manifest parse_manifest(std::string_view text, const std::string& path) {
  Manifest manifest;
  size_t at = 0;
  int number = 0;
  while (at < text.size()) {
    ++number;
    const size_t newline = text.find('\n', at);
    const bool whole = newline != std::string_view::npos;
    const std::string_view line = text.substr(at, whole ? newline - at : std::string_view::npos);
    const size_t next = whole ? newline + 1 : text.size();
    if (number == 1) {
      take_header(line, path, manifest);
      manifest.safe_bytes = next;
    } else {
      bool good = false;
      try {
        const std::optional<Json> json = checked(line);
        good = whole && json && take(*json, manifest);
        if (good && json->contains("key")) {
          manifest.safe_bytes = next;
          manifest.safe_faces = manifest.faces.size();
        }
      } catch (const Json::exception&) {
        good = false;  // a field is missing or of another type
      }
      if (!good) {
        manifest.bad_line = number;
        manifest.bad_is_last = next == text.size();
        manifest.finished = false;
        break;
      }
      if (manifest.finished && manifest.end_offset == 0) manifest.end_offset = at;
    }
    at = next;
  }
  if (number == 0) throw Error(path + "/" + kManifestName + " is empty: remove " + path + " and extract it again");
  if (!manifest.finished) manifest.end_offset = text.size();
  return manifest;
}

}  // namespace doppel
