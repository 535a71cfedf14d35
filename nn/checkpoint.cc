#include "nn/checkpoint.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/atomic_file.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace doppel {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "doppel model";

// The last entry of model.json guards every byte before it.
constexpr const char* kGuard = ",\n \"crc32\": ";

std::string description_path(const std::string& folder) {
  return (fs::path(folder) / "model.json").string();
}

[[noreturn]] void damaged(const std::string& path, const std::string& why) {
  throw Error(path + ": damaged model: " + why + "; restore it from a copy, or train into a new folder");
}

Json to_json(const ModelDescription& d) {
  Json people = Json::array(), losses = Json::array(), shift = Json::array();
  for (const auto& p : d.people) people.push(p);
  for (float v : d.losses) losses.push(double(v));
  for (float v : d.colour_shift) shift.push(double(v));
  Json j = Json::object();
  j.set("architecture", d.architecture).set("people", people).set("size", d.size).set("face_size", d.face_size);
  j.set("coverage", double(d.coverage))
      .set("inner", double(d.inner))
      .set("face_only", d.face_only)
      .set("batch", d.batch)
      .set("lr", double(d.lr));
  j.set("warp", double(d.warp))
      .set("optimizer", d.optimizer)
      .set("lr_dropout", double(d.lr_dropout))
      .set("clip", double(d.clip));
  // 64-bit seeds do not fit a JSON number's 53 bits.
  j.set("seed", std::to_string(d.seed)).set("precision", d.precision).set("iterations", double(d.iterations));
  j.set("seconds", d.seconds).set("losses", losses).set("colour_shift", shift);
  return j;
}

ModelDescription from_json(const Json& j, int version) {
  ModelDescription d;
  d.architecture = j.at("architecture").text();
  for (const Json& p : j.at("people").elements()) d.people.push_back(p.text());
  d.size = int(j.at("size").number());
  d.face_size = int(j.at("face_size").number());
  d.coverage = float(j.at("coverage").number());
  d.inner = float(j.at("inner").number());
  d.face_only = j.at("face_only").boolean();
  d.batch = int(j.at("batch").number());
  d.lr = float(j.at("lr").number());
  d.warp = float(j.at("warp").number());
  if (version > 2) {
    d.optimizer = j.at("optimizer").text();
    d.lr_dropout = float(j.at("lr_dropout").number());
    d.clip = float(j.at("clip").number());
  }
  d.seed = std::stoull(j.at("seed").text());
  d.precision = j.at("precision").text();
  d.iterations = uint64_t(j.at("iterations").number());
  d.seconds = j.at("seconds").number();
  for (const Json& v : j.at("losses").elements()) d.losses.push_back(float(v.number()));
  for (const Json& v : j.at("colour_shift").elements()) d.colour_shift.push_back(float(v.number()));
  return d;
}

struct Description {
  ModelDescription model;
  std::string weights;  // path
  size_t bytes;
  unsigned crc;
};

Description read_description(const std::string& folder) {
  const std::string path = description_path(folder);
  if (!fs::exists(path))
    throw Error(folder + ": not a doppel model (no model.json in it); give the folder that train wrote");
  const std::string text = read_file(path);
  Json j;
  try {
    j = Json::parse(text, path);
  } catch (const Error& e) {
    damaged(path, "not valid JSON");
  }
  try {
    if (!j.has("format") || j.at("format").text() != kFormat) throw Error("another program's file");
  } catch (const Error&) {
    throw Error(path + ": not a doppel model: the format entry is missing or another program's");
  }
  int version = 0;
  try {
    version = int(j.at("version").number());
    if (version < kOldestModelVersion || version > kModelVersion) throw Error("version");
  } catch (const Error&) {
    throw Error(path + ": a model of another version (this doppel reads versions " +
                std::to_string(kOldestModelVersion) + " to " + std::to_string(kModelVersion) +
                "); use the doppel that wrote it");
  }
  Description d;
  try {
    const size_t guard = text.rfind(kGuard);
    if (guard == std::string::npos || crc32(text.data(), guard) != unsigned(j.at("crc32").number()))
      throw Error("it does not match its checksum");
    const Json& model = j.at("model");
    d.model = from_json(model, version);
    const Json& weights = j.at("weights");
    const std::string file = weights.at("file").text();
    if (file.find('/') != std::string::npos) throw Error("its weights file lies outside the folder");
    d.weights = (fs::path(folder) / file).string();
    d.bytes = size_t(weights.at("bytes").number());
    d.crc = unsigned(weights.at("crc32").number());
  } catch (const std::exception& e) {
    damaged(path, e.what());
  }
  return d;
}

}  // namespace

bool model_exists(const std::string& folder) {
  std::error_code ignored;
  if (fs::exists(description_path(folder), ignored)) return true;
  // Weights without a description are still somebody's work, not an empty folder.
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".safetensors") return true;
  return false;
}

void save_model(const std::string& folder, const ModelDescription& description, const SavedState& state) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(folder + ": cannot create the model's folder: " + error.message());
  const std::string file = "weights-" + std::to_string(description.iterations) + ".safetensors";
  const std::string path = (fs::path(folder) / file).string();
  const SafetensorsFile written = write_safetensors(path, state);

  const Json model = to_json(description);
  Json weights = Json::object();
  weights.set("file", file).set("bytes", written.bytes).set("crc32", double(written.crc));
  Json j = Json::object();
  j.set("format", kFormat).set("version", kModelVersion).set("weights", weights);
  j.set("model", model);
  std::string text = j.dump(1);
  text.resize(text.rfind('\n'));
  text += kGuard + std::to_string(crc32(text.data(), text.size())) + "\n}\n";
  write_file(description_path(folder), text);

  // Only now is nothing left that names the older ones.
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name != file && name.starts_with("weights-") && name.find(".safetensors") != std::string::npos)
      fs::remove(entry.path(), error);
  }
}

ModelDescription load_description(const std::string& folder) {
  return read_description(folder).model;
}

void check_weights(const std::string& folder) {
  const Description d = read_description(folder);
  check_safetensors(d.weights, d.bytes, d.crc);
}

void load_parameters(const std::string& folder, ParameterStore& store, bool for_training) {
  const Description d = read_description(folder);
  read_safetensors(d.weights, d.bytes, d.crc, store, for_training);
}

}  // namespace doppel
