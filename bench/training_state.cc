#include "bench/training_state.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "nn/tensor_file.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel::bench {
namespace {

std::string state_path(const std::string& folder) {
  return (std::filesystem::path(folder) / "points.safetensors").string();
}

std::string swaps_name(uint64_t iterations) {
  return "swaps." + std::to_string(iterations);
}

uint64_t two_digits(double v) {
  double unit = 1;
  while (v / unit >= 100) unit *= 10;
  return uint64_t(std::llround(v / unit) * std::llround(unit));
}

TrainingSettings settings_from(const Json& j) {
  TrainingSettings s;
  s.arch = j.at("arch").text();
  s.precision = j.at("precision").text();
  s.batch = int(j.at("batch").number());
  s.warp = j.at("warp").number();
  s.seed = std::stoull(j.at("seed").text());
  s.iterations = uint64_t(j.at("iterations").number());
  s.points = int(j.at("points").number());
  s.faces_crc = unsigned(j.at("faces_crc32").number());
  return s;
}

TrainingPoint point_from(const Json& j) {
  TrainingPoint p;
  p.iterations = uint64_t(j.at("iterations").number());
  p.training_seconds = j.at("training_seconds").number();
  p.total_seconds = j.at("total_seconds").number();
  p.losses = {j.at("loss_a").number(), j.at("loss_b").number()};
  p.psnr = j.at("psnr").number();
  p.ssim = j.at("ssim").number();
  p.device = j.at("device").text();
  return p;
}

}  // namespace

std::vector<uint64_t> measuring_points(uint64_t iterations, int count) {
  std::vector<uint64_t> points;
  for (int i = 0; i + 1 < count; ++i) {
    const double exact = double(iterations) * std::pow(100, -double(count - 1 - i) / (count - 1));
    const uint64_t point = std::max<uint64_t>(1, two_digits(exact));
    if (point < iterations && (points.empty() || point > points.back())) points.push_back(point);
  }
  points.push_back(iterations);
  return points;
}

Json to_json(const TrainingSettings& s) {
  Json j = Json::object();
  j.set("arch", s.arch).set("precision", s.precision).set("batch", s.batch).set("warp", s.warp);
  // 64-bit seeds do not fit a JSON number's 53 bits.
  j.set("seed", std::to_string(s.seed)).set("iterations", double(s.iterations)).set("points", s.points);
  return j.set("faces_crc32", s.faces_crc);
}

Json to_json(const TrainingPoint& p) {
  Json j = Json::object();
  j.set("iterations", double(p.iterations)).set("training_seconds", p.training_seconds);
  j.set("total_seconds", p.total_seconds).set("loss_a", p.losses[0]).set("loss_b", p.losses[1]);
  return j.set("psnr", p.psnr).set("ssim", p.ssim).set("device", p.device);
}

bool state_exists(const std::string& folder) {
  return std::filesystem::exists(state_path(folder));
}

void save_state(const std::string& folder, const TrainingState& state) {
  Json points = Json::array();
  std::vector<HostTensor> tensors;
  unsigned crc = 0;
  for (const TrainingPoint& p : state.points) {
    points.push(to_json(p));
    tensors.push_back({{swaps_name(p.iterations), "U8", {p.swaps.size()}, p.swaps.size()}, p.swaps.data()});
    crc = crc32(p.swaps.data(), p.swaps.size(), crc);
  }
  Json run = Json::object();
  run.set("settings", to_json(state.settings)).set("total_seconds", state.total_seconds).set("points", points);
  const std::string text = run.dump();
  Json metadata = Json::object();
  metadata.set("format", "doppel training state").set("version", "1").set("run", text);
  metadata.set("crc32", std::to_string(crc32(text.data(), text.size(), crc)));
  write_tensor_file(state_path(folder), metadata, tensors);
}

TrainingState load_state(const std::string& folder) {
  const std::string path = state_path(folder);
  TensorFile file(path, "state of a training", "remove its folder to start anew");
  file.read_header(file.sum().bytes);
  const std::string text = file.metadata("run");
  const unsigned crc = crc32(text.data(), text.size(), file.sum(file.data()).crc);
  if (file.metadata("crc32") != std::to_string(crc)) file.damaged("its checksum does not match");
  const Json run = Json::parse(text, path);
  TrainingState state;
  state.settings = settings_from(run.at("settings"));
  state.total_seconds = run.at("total_seconds").number();
  for (const Json& json : run.at("points").elements()) {
    TrainingPoint& p = state.points.emplace_back(point_from(json));
    const TensorFile::Place place = file.find(swaps_name(p.iterations));
    p.swaps.resize(place.entry.bytes);
    file.read(p.swaps.data(), p.swaps.size(), place.begin);
  }
  return state;
}

}  // namespace doppel::bench
