#include "nn/safetensors.h"

#include <algorithm>
#include <vector>

#include "nn/tensor_file.h"
#include "runtime/atomic_file.h"
#include "runtime/device.h"
#include "runtime/error.h"

namespace doppel {
namespace {

// What goes through the host's memory at a time: it stays in the cache between the disk and the arena.
constexpr size_t kPart = size_t(1) << 20;

struct Section {
  const char* prefix;
  const void* arena;
};

TensorFile weights_file(const std::string& path) {
  return {path, "weights", "restore the model from a copy, or train into a new folder"};
}

// A piece of the file and where it goes.
struct Tensor {
  char* to;  // on the store's device
  size_t begin, bytes;
};

std::vector<Tensor> find_tensors(const TensorFile& file, const ParameterStore& store, bool for_training) {
  std::vector<Tensor> tensors;
  const auto find_all = [&](const Buffer& arena, const std::string& prefix) {
    if (arena.bytes() == 0) return;
    for (const Parameter& p : store.layout->parameters) {
      const bool averaged = !for_training && file.has("average." + p.name);
      const std::string name = (averaged ? "average." : prefix) + p.name;
      const TensorFile::Place place = file.find(name);
      const size_t size = size_t(p.shape.elements()) * sizeof(float);
      if (place.entry.bytes != size) file.damaged("the tensor " + name + " has another size");
      tensors.push_back({arena.as<char>() + p.offset * sizeof(float), place.begin, size});
    }
  };
  find_all(store.weights, "");
  if (for_training) {
    find_all(store.m, "m.");
    find_all(store.v, "v.");
    find_all(store.average, "average.");
  }
  return tensors;
}

std::vector<size_t> shape_of(const Parameter& p) {
  std::vector<size_t> shape;
  const bool vector = p.shape.n == 1 && p.shape.h == 1 && p.shape.w == 1;
  if (!vector) shape.push_back(size_t(p.shape.n));
  if (p.shape.h > 1 || p.shape.w > 1) shape.insert(shape.end(), {size_t(p.shape.h), size_t(p.shape.w)});
  shape.push_back(size_t(p.shape.c));
  return shape;
}

}  // namespace

SavedState saved_state(const ParameterStore& store) {
  return {store.layout, store.stream, store.weights.data(), store.m.data(), store.v.data(), store.average.data()};
}

SafetensorsFile write_safetensors(const std::string& path, const SavedState& state) {
  const Section sections[] = {{"", state.weights}, {"m.", state.m}, {"v.", state.v}, {"average.", state.average}};
  std::vector<TensorEntry> entries;
  for (const Section& section : sections) {
    if (!section.arena) continue;
    for (const Parameter& p : state.layout->parameters)
      entries.push_back({section.prefix + p.name, "F32", shape_of(p), size_t(p.shape.elements()) * sizeof(float)});
  }
  AtomicFile file(path);
  SafetensorsFile written{0, 0};
  const auto put = [&](const void* data, size_t bytes) {
    file.write(data, bytes);
    written.crc = crc32(data, bytes, written.crc);
    written.bytes += bytes;
  };
  const std::string head = tensor_file_head(Json::object().set("format", "doppel model").set("version", "1"), entries);
  put(head.data(), head.size());
  std::vector<char> part(kPart);
  for (const Section& section : sections) {
    if (!section.arena) continue;
    for (const Parameter& p : state.layout->parameters) {
      const size_t size = size_t(p.shape.elements()) * sizeof(float);
      for (size_t at = 0; at < size; at += part.size()) {
        const size_t count = std::min(part.size(), size - at);
        download(part.data(), static_cast<const char*>(section.arena) + p.offset * sizeof(float) + at, count,
                 state.stream);
        wait(state.stream);
        put(part.data(), count);
      }
    }
  }
  file.commit();
  return written;
}

void check_safetensors(const std::string& path, size_t bytes, unsigned crc) {
  weights_file(path).check(bytes, crc);
}

void read_safetensors(const std::string& path, size_t bytes, unsigned crc, ParameterStore& store, bool for_training) {
  TensorFile file = weights_file(path);
  file.check(bytes, crc);
  file.read_header(bytes);
  // Everything is known to be there before anything is changed.
  const std::vector<Tensor> tensors = find_tensors(file, store, for_training);
  std::vector<char> part(kPart);
  for (const Tensor& t : tensors)
    for (size_t at = 0; at < t.bytes; at += part.size()) {
      const size_t count = std::min(part.size(), t.bytes - at);
      file.read(part.data(), count, t.begin + at);
      upload(t.to + at, part.data(), count, store.stream);
    }
  refresh_copies(store);
}

}  // namespace doppel
