#include "nn/tensor_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "runtime/atomic_file.h"
#include "runtime/error.h"

namespace doppel {
namespace {

constexpr size_t kPart = size_t(1) << 20;
// Far beyond any header of ours: a length above it is another file's bytes, not a length to make room for.
constexpr uint64_t kLargestHeader = uint64_t(100) << 20;

// A count of bytes or elements that a JSON number holds exactly.
size_t whole(const Json& json) {
  const double v = json.number();
  if (!(v >= 0 && v <= 9007199254740992.0) || v != double(uint64_t(v))) throw Error("a number is not a size");
  return size_t(v);
}

}  // namespace

std::string tensor_file_head(const Json& metadata, const std::vector<TensorEntry>& tensors) {
  Json header = Json::object();
  header.set("__metadata__", metadata);
  size_t offset = 0;
  for (const TensorEntry& t : tensors) {
    Json shape = Json::array(), entry = Json::object();
    for (const size_t side : t.shape) shape.push(side);
    entry.set("dtype", t.dtype).set("shape", shape);
    entry.set("data_offsets", Json::array().push(offset).push(offset + t.bytes));
    header.set(t.name, entry);
    offset += t.bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // the data stay aligned
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

void write_tensor_file(const std::string& path, const Json& metadata, const std::vector<HostTensor>& tensors) {
  std::vector<TensorEntry> entries;
  for (const HostTensor& t : tensors) entries.push_back(t.entry);
  AtomicFile file(path);
  file.write(tensor_file_head(metadata, entries));
  for (const HostTensor& t : tensors) file.write(t.data, t.entry.bytes);
  file.commit();
}

TensorFile::TensorFile(std::string path, std::string what, std::string advice)
    : path_(std::move(path)),
      what_(std::move(what)),
      advice_(std::move(advice)),
      fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw Error(path_ + ": cannot read it: " + std::strerror(errno));
}

TensorFile::~TensorFile() {
  ::close(fd_);
}

void TensorFile::damaged(const std::string& why) const {
  throw Error(path_ + ": damaged " + what_ + ": " + why + "; " + advice_);
}

TensorFile::Sum TensorFile::sum(size_t from) const {
  std::vector<char> part(kPart);
  Sum sum{from, 0};
  while (const size_t count = read_some(part.data(), part.size(), sum.bytes)) {
    sum.crc = crc32(part.data(), count, sum.crc);
    sum.bytes += count;
  }
  return sum;
}

void TensorFile::check(size_t bytes, unsigned crc) const {
  const Sum is = sum();
  if (is.bytes != bytes)
    damaged("it has " + std::to_string(is.bytes) + " bytes where " + std::to_string(bytes) + " were written");
  if (is.crc != crc) damaged("its checksum does not match");
}

void TensorFile::read_header(size_t bytes) {
  uint64_t length = 0;
  if (bytes < sizeof length) damaged("it is empty");
  read(&length, sizeof length, 0);
  if (length > bytes - sizeof length || length > kLargestHeader) damaged("its header is cut short");
  std::string text(length, '\0');
  read(text.data(), length, sizeof length);
  header_ = Json::parse(text, path_);
  if (header_.kind() != Json::Kind::object) damaged("its header names no tensors");
  data_ = sizeof length + length;
  data_bytes_ = bytes - data_;
}

std::string TensorFile::metadata(const std::string& key) const {
  try {
    return header_.at("__metadata__").at(key).text();
  } catch (const Error&) {
    damaged("it does not say its " + key);
  }
}

TensorFile::Place TensorFile::find(const std::string& name) const {
  if (!has(name)) damaged("the tensor " + name + " is missing");
  Place place{{name, "", {}, 0}, 0};
  size_t begin = 0, end = 0;
  try {
    const Json& entry = header_.at(name);
    place.entry.dtype = entry.at("dtype").text();
    for (const Json& side : entry.at("shape").elements()) place.entry.shape.push_back(whole(side));
    const auto& offsets = entry.at("data_offsets").elements();
    if (offsets.size() != 2) throw Error("two offsets");
    begin = whole(offsets[0]), end = whole(offsets[1]);
  } catch (const Error&) {
    damaged("what it says of the tensor " + name + " cannot be read");
  }
  if (end > data_bytes_ || begin > end) damaged("the tensor " + name + " is cut short");
  place.entry.bytes = end - begin;
  place.begin = data_ + begin;
  return place;
}

void TensorFile::read(void* to, size_t bytes, size_t from) const {
  for (size_t have = 0; have < bytes;) {
    const size_t count = read_some(static_cast<char*>(to) + have, bytes - have, from + have);
    if (count == 0) damaged("it became shorter while it was read");
    have += count;
  }
}

size_t TensorFile::read_some(void* to, size_t bytes, size_t from) const {
  for (;;) {
    const ssize_t count = ::pread(fd_, to, bytes, off_t(from));
    if (count >= 0) return size_t(count);
    if (errno != EINTR) throw Error(path_ + ": cannot read it: " + std::strerror(errno));
  }
}

}  // namespace doppel
