// Named tensors in a file, in the safetensors format: 8 bytes little-endian length, a JSON header
// {name: {dtype, shape, data_offsets}} with "__metadata__" of strings, the data.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/json.h"

namespace doppel {

struct TensorEntry {
  std::string name;
  std::string dtype;  // "F32", "U8"
  std::vector<size_t> shape;
  size_t bytes = 0;
};

// What goes before the data of these tensors, which then follow in this order without gaps. `metadata`: an object of
// strings.
std::string tensor_file_head(const Json& metadata, const std::vector<TensorEntry>& tensors);

// A tensor in the host's memory.
struct HostTensor {
  TensorEntry entry;
  const void* data = nullptr;
};
// Atomically. Throws Error naming the path.
void write_tensor_file(const std::string& path, const Json& metadata, const std::vector<HostTensor>& tensors);

// A file that is open: what was checked is what is read, even when another file takes its name.
class TensorFile {
 public:
  // `what` the file holds and what to do when it is damaged, for messages. Throws Error naming the file, as all here
  // do, when it cannot be opened.
  TensorFile(std::string path, std::string what, std::string advice);
  ~TensorFile();
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  // "PATH: damaged WHAT: WHY; ADVICE".
  [[noreturn]] void damaged(const std::string& why) const;

  // Of the file; both read all of it.
  struct Sum {
    size_t bytes;
    unsigned crc;  // CRC-32 of what follows the first `from` bytes
  };
  Sum sum(size_t from = 0) const;
  // Damaged unless the whole file has this size and CRC-32.
  void check(size_t bytes, unsigned crc) const;

  // Reads the header of a file of so many bytes. The tensors that find() gives lie within the file.
  void read_header(size_t bytes);
  // Where the data begin, from the file's first byte.
  size_t data() const { return data_; }
  bool has(const std::string& name) const { return header_.has(name); }
  // A string of the metadata; damaged when it is missing.
  std::string metadata(const std::string& key) const;
  struct Place {
    TensorEntry entry;
    size_t begin;  // from the file's first byte
  };
  // Damaged when it is missing or not within the file.
  Place find(const std::string& name) const;

  void read(void* to, size_t bytes, size_t from) const;

 private:
  // 0 at the end of the file.
  size_t read_some(void* to, size_t bytes, size_t from) const;

  std::string path_, what_, advice_;
  int fd_;
  Json header_;
  size_t data_ = 0, data_bytes_ = 0;
};

}  // namespace doppel
