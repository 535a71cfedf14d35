#include "nn/safetensors.h"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "runtime/atomic_file.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace doppel {
namespace {

// What goes through the host's memory at a time: it stays in the cache between the disk and the arena.
constexpr size_t kPart = size_t(1) << 20;

struct Section {
  const char* prefix;
  const Buffer& arena;
};

[[noreturn]] void damaged(const std::string& path, const std::string& why) {
  throw Error(path + ": damaged weights: " + why + "; restore the model from a copy, or train into a new folder");
}

// A file that is open: what was checked is what is read, even when another file takes its name.
class WeightsFile {
 public:
  explicit WeightsFile(std::string path) : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw Error(path_ + ": cannot read it: " + std::strerror(errno));
  }
  ~WeightsFile() { ::close(fd_); }
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  void check(size_t bytes, unsigned crc) const {
    std::vector<char> part(kPart);
    size_t size = 0;
    unsigned sum = 0;
    while (const size_t count = read_some(part.data(), part.size(), size)) {
      sum = crc32(part.data(), count, sum);
      size += count;
    }
    if (size != bytes)
      damaged(path_, "it has " + std::to_string(size) + " bytes where " + std::to_string(bytes) + " were written");
    if (sum != crc) damaged(path_, "its checksum does not match");
  }

  void read(void* to, size_t bytes, size_t from) const {
    for (size_t have = 0; have < bytes;) {
      const size_t count = read_some(static_cast<char*>(to) + have, bytes - have, from + have);
      if (count == 0) damaged(path_, "it became shorter while it was read");
      have += count;
    }
  }

 private:
  // 0 at the end of the file.
  size_t read_some(void* to, size_t bytes, size_t from) const {
    for (;;) {
      const ssize_t count = ::pread(fd_, to, bytes, off_t(from));
      if (count >= 0) return size_t(count);
      if (errno != EINTR) throw Error(path_ + ": cannot read it: " + std::strerror(errno));
    }
  }

  std::string path_;
  int fd_;
};

// A piece of the file and where it goes.
struct Tensor {
  char* to;  // on the store's device
  size_t begin, bytes;
};

std::vector<Tensor> find_tensors(const WeightsFile& file, const std::string& path, size_t bytes,
                                 const ParameterStore& store, bool for_training) {
  uint64_t length = 0;
  if (bytes < sizeof length) damaged(path, "it is empty");
  file.read(&length, sizeof length, 0);
  if (length > bytes - sizeof length) damaged(path, "its header is cut short");
  std::string text(length, '\0');
  file.read(text.data(), length, sizeof length);
  const Json header = Json::parse(text, path);
  const size_t data = sizeof length + length, data_bytes = bytes - data;

  std::vector<Tensor> tensors;
  const auto find_all = [&](const Buffer& arena, const std::string& prefix) {
    if (arena.bytes() == 0) return;
    for (const Parameter& p : store.layout->parameters) {
      const bool averaged = !for_training && header.has("average." + p.name);
      const std::string name = (averaged ? "average." : prefix) + p.name;
      if (!header.has(name)) damaged(path, "the tensor " + name + " is missing");
      const auto& offsets = header.at(name).at("data_offsets").elements();
      const size_t size = size_t(p.shape.elements()) * sizeof(float);
      const size_t begin = size_t(offsets.at(0).number()), end = size_t(offsets.at(1).number());
      if (end > data_bytes || begin > end || end - begin != size)
        damaged(path, "the tensor " + name + " has another size");
      tensors.push_back({arena.as<char>() + p.offset * sizeof(float), data + begin, size});
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
  std::vector<char> part(kPart);
  put(&length, sizeof length);
  put(text.data(), text.size());
  for (const Section& section : sections) {
    if (section.arena.bytes() == 0) continue;
    for (const Parameter& p : store.layout->parameters) {
      const size_t size = size_t(p.shape.elements()) * sizeof(float);
      for (size_t at = 0; at < size; at += part.size()) {
        const size_t count = std::min(part.size(), size - at);
        download(part.data(), section.arena.as<char>() + p.offset * sizeof(float) + at, count, store.stream);
        wait(store.stream);
        put(part.data(), count);
      }
    }
  }
  file.commit();
  return {sizeof length + text.size() + offset, crc};
}

void check_safetensors(const std::string& path, size_t bytes, unsigned crc) {
  WeightsFile(path).check(bytes, crc);
}

void read_safetensors(const std::string& path, size_t bytes, unsigned crc, ParameterStore& store, bool for_training) {
  const WeightsFile file(path);
  file.check(bytes, crc);
  // Everything is known to be there before anything is changed.
  const std::vector<Tensor> tensors = find_tensors(file, path, bytes, store, for_training);
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
