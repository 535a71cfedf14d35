#include "bench/face_pack.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "nn/tensor_file.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel::bench {
namespace {

constexpr const char* kFormat = "doppel training faces";
constexpr const char* kVersion = "1";
constexpr size_t kLargestSide = 1024;

struct Named {
  const char* name;
  const std::vector<uint8_t>& bytes;
  std::vector<size_t> shape;
};

std::vector<Named> tensors_of(const FacePack& pack) {
  const size_t s = size_t(pack.face_size), t = size_t(pack.size), n = size_t(pack.held_out());
  return {{"faces.a", pack.people[0], {pack.faces(0), s, s, 3}}, {"faces.b", pack.people[1], {pack.faces(1), s, s, 3}},
          {"held_out.input", pack.input, {n, t, t, 3}},          {"held_out.source", pack.source, {n, t, t, 3}},
          {"held_out.truth", pack.truth, {n, t, t, 3}},          {"held_out.region", pack.region, {n, t, t}}};
}

// Reads a tensor of U8 whose shape is `shape`, where 0 stands for what the file says.
std::vector<uint8_t> read_tensor(const TensorFile& file, const std::string& name, std::vector<size_t>& shape) {
  const TensorFile::Place place = file.find(name);
  bool fits = place.entry.dtype == "U8" && place.entry.shape.size() == shape.size();
  size_t bytes = 1;
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    const size_t side = place.entry.shape[i];
    // None beyond what the file has, so that the product cannot overflow.
    fits = side > 0 && (shape[i] == 0 || shape[i] == side) && bytes <= place.entry.bytes / side;
    shape[i] = side;
    bytes *= fits ? side : 1;
  }
  if (!fits || bytes != place.entry.bytes) file.damaged("the tensor " + name + " has another type or shape");
  std::vector<uint8_t> data(bytes);
  file.read(data.data(), bytes, place.begin);
  return data;
}

}  // namespace

void write_face_pack(const std::string& path, FacePack& pack) {
  std::vector<HostTensor> tensors;
  pack.crc = 0;
  for (const Named& t : tensors_of(pack)) {
    tensors.push_back({{t.name, "U8", t.shape, t.bytes.size()}, t.bytes.data()});
    pack.crc = crc32(t.bytes.data(), t.bytes.size(), pack.crc);
  }
  Json metadata = Json::object();
  metadata.set("format", kFormat).set("version", kVersion).set("crc32", std::to_string(pack.crc));
  metadata.set("coverage", Json(double(pack.coverage)).dump()).set("face_only", pack.face_only ? "1" : "0");
  write_tensor_file(path, metadata, tensors);
}

FacePack read_face_pack(const std::string& path) {
  TensorFile file(path, "training faces", "carry it here again, or make it anew with pack_actors");
  file.read_header(file.sum().bytes);
  if (file.metadata("format") != kFormat)
    throw Error(path + ": not training faces of doppel's; pack_actors makes them");
  if (file.metadata("version") != kVersion)
    throw Error(path + ": training faces of another version (this program reads version " + kVersion +
                "); make it anew with pack_actors");
  FacePack pack;
  pack.crc = file.sum(file.data()).crc;
  if (file.metadata("crc32") != std::to_string(pack.crc)) file.damaged("its checksum does not match");
  const std::string coverage = file.metadata("coverage");
  const auto parsed = std::from_chars(coverage.data(), coverage.data() + coverage.size(), pack.coverage);
  if (parsed.ec != std::errc() || !(pack.coverage > 0)) file.damaged("its coverage is not a number");
  pack.face_only = file.metadata("face_only") == "1";

  std::vector<size_t> a{0, 0, 0, 3}, pictures{0, 0, 0, 3};
  pack.people[0] = read_tensor(file, "faces.a", a);
  std::vector<size_t> b{0, a[1], a[2], 3};
  pack.people[1] = read_tensor(file, "faces.b", b);
  pack.truth = read_tensor(file, "held_out.truth", pictures);
  pack.input = read_tensor(file, "held_out.input", pictures);
  pack.source = read_tensor(file, "held_out.source", pictures);
  std::vector<size_t> region{pictures[0], pictures[1], pictures[2]};
  pack.region = read_tensor(file, "held_out.region", region);
  for (const auto& shape : {a, pictures})
    if (shape[1] != shape[2] || shape[1] < 2 || shape[1] > kLargestSide) file.damaged("its pictures are not square");
  if (std::all_of(pack.region.begin(), pack.region.end(), [](uint8_t v) { return v == 0; }))
    file.damaged("no picture has a face in it");
  pack.face_size = int(a[1]);
  pack.size = int(pictures[1]);
  return pack;
}

}  // namespace doppel::bench
