#include "nn/safetensors.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "runtime/atomic_file.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace doppel {
namespace {

struct Section {
  const char* prefix;
  const Buffer& arena;
};

[[noreturn]] void damaged(const std::string& path, const std::string& why) {
  throw Error(path + ": damaged weights: " + why + "; restore the model from a copy, or train into a new folder");
}

Json shape_of(const Parameter& p) {
  Json shape = Json::array();
  const bool vector = p.shape.n == 1 && p.shape.h == 1 && p.shape.w == 1;
  if (!vector) shape.push(p.shape.n);
  if (p.shape.h > 1 || p.shape.w > 1) shape.push(p.shape.h).push(p.shape.w);
  return shape.push(p.shape.c);
}

}  // namespace

SafetensorsFile write_safetensors(const std::string& path, const ParameterStore& store) {
  const Section sections[] = {{"", store.weights}, {"m.", store.m}, {"v.", store.v}, {"average.", store.average}};
  Json header = Json::object();
  header.set("__metadata__", Json::object().set("format", "doppel model").set("version", "1"));
  size_t offset = 0;
  for (const Section& section : sections) {
    if (section.arena.bytes() == 0) continue;
    for (const Parameter& p : store.layout->parameters) {
      const size_t bytes = size_t(p.shape.elements()) * sizeof(float);
      Json entry = Json::object();
      entry.set("dtype", "F32").set("shape", shape_of(p));
      entry.set("data_offsets", Json::array().push(offset).push(offset + bytes));
      header.set(section.prefix + p.name, entry);
      offset += bytes;
    }
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // the data stay aligned
  const uint64_t length = text.size();

  AtomicFile file(path);
  unsigned crc = 0;
  const auto put = [&](const void* data, size_t bytes) {
    file.write(data, bytes);
    crc = crc32(data, bytes, crc);
  };
  put(&length, sizeof length);
  put(text.data(), text.size());
  for (const Section& section : sections) {
    if (section.arena.bytes() == 0) continue;
    const HostCopy host(section.arena, store.stream);
    for (const Parameter& p : store.layout->parameters)
      put(host.as<float>() + p.offset, size_t(p.shape.elements()) * sizeof(float));
  }
  file.commit();
  return {sizeof length + text.size() + offset, crc};
}

void check_safetensors(const std::string& path, size_t bytes, unsigned crc) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(path + ": cannot read it: " + std::strerror(errno));
  std::vector<char> part(size_t(1) << 20);
  size_t size = 0;
  unsigned sum = 0;
  while (file.read(part.data(), std::streamsize(part.size())), file.gcount() > 0) {
    sum = crc32(part.data(), size_t(file.gcount()), sum);
    size += size_t(file.gcount());
  }
  if (size != bytes)
    damaged(path, "it has " + std::to_string(size) + " bytes where " + std::to_string(bytes) + " were written");
  if (sum != crc) damaged(path, "its checksum does not match");
}

void read_safetensors(const std::string& path, size_t bytes, unsigned crc, ParameterStore& store, bool for_training) {
  check_safetensors(path, bytes, crc);
  const std::string content = read_file(path);
  if (content.size() != bytes) damaged(path, "it changed while it was read");
  uint64_t length = 0;
  if (bytes < sizeof length) damaged(path, "it is empty");
  std::memcpy(&length, content.data(), sizeof length);
  if (length > bytes - sizeof length) damaged(path, "its header is cut short");
  const Json header = Json::parse(std::string_view(content).substr(sizeof length, length), path);
  const char* data = content.data() + sizeof length + length;
  const size_t data_bytes = bytes - sizeof length - length;

  const auto fill = [&](const std::string& name, const Parameter& p, float* arena) {
    if (!header.has(name)) damaged(path, "the tensor " + name + " is missing");
    const auto& offsets = header.at(name).at("data_offsets").elements();
    const size_t size = size_t(p.shape.elements()) * sizeof(float);
    const size_t begin = size_t(offsets.at(0).number()), end = size_t(offsets.at(1).number());
    if (end > data_bytes || begin > end || end - begin != size)
      damaged(path, "the tensor " + name + " has another size");
    std::memcpy(arena + p.offset, data + begin, size);
  };
  const auto fill_all = [&](Buffer& arena, const std::string& prefix) {
    if (arena.bytes() == 0) return;
    HostCopy host(arena, store.stream);
    for (const Parameter& p : store.layout->parameters) {
      const bool averaged = !for_training && header.has("average." + p.name);
      fill((averaged ? "average." : prefix) + p.name, p, host.as<float>());
    }
    host.write_back();
  };
  fill_all(store.weights, "");
  if (for_training) {
    fill_all(store.m, "m.");
    fill_all(store.v, "v.");
    fill_all(store.average, "average.");
  }
  refresh_copies(store);
}

}  // namespace doppel
