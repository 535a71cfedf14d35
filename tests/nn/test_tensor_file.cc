// Files of tensors: what was written is what is found, and headers that lie are refused by name.
#include <unistd.h>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>

#include "nn/tensor_file.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

using namespace doppel;

namespace {

struct File {
  std::string path = (std::filesystem::temp_directory_path() / ("doppel-tensors-" + std::to_string(getpid()))).string();
  ~File() { std::filesystem::remove(path); }
};

// A header of these bytes, and eight bytes of data.
void write_header(const std::string& path, const std::string& header, uint64_t length) {
  write_file(path, std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + "12345678");
}

void check_damaged(const std::string& path, const std::string& why) {
  try {
    TensorFile file(path, "tensors", "make them anew");
    file.read_header(file.sum().bytes);
    file.find("x");
    FAIL("read, expected: " << why);
  } catch (const Error& e) {
    const std::string text = e.what();
    CAPTURE(text);
    CHECK(text.rfind(path + ": ", 0) == 0);
    CHECK(text.find(why) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("a file of tensors has what was written, on aligned places", "[tensor_file]") {
  const File f;
  const uint8_t bytes[] = {1, 2, 3, 4, 5, 6};
  const float floats[] = {1.5f, -2};
  const std::vector<HostTensor> tensors{{{"bytes", "U8", {2, 3}, 6}, bytes}, {{"floats", "F32", {2}, 8}, floats}};
  write_tensor_file(f.path, Json::object().set("made", "here"), tensors);

  TensorFile file(f.path, "tensors", "make them anew");
  const TensorFile::Sum sum = file.sum();
  CHECK(sum.bytes == std::filesystem::file_size(f.path));
  file.check(sum.bytes, sum.crc);
  CHECK_THROWS_WITH(file.check(sum.bytes + 1, sum.crc), Catch::Contains("damaged tensors: it has"));
  CHECK_THROWS_WITH(file.check(sum.bytes, sum.crc ^ 1), Catch::EndsWith("its checksum does not match; make them anew"));
  file.read_header(sum.bytes);
  CHECK(file.data() % 8 == 0);
  CHECK(file.metadata("made") == "here");
  CHECK_THROWS_WITH(file.metadata("when"), Catch::Contains("does not say its when"));
  CHECK(file.sum(file.data()).crc == crc32(floats, sizeof floats, crc32(bytes, sizeof bytes)));

  const TensorFile::Place place = file.find("floats");
  CHECK(place.entry.dtype == "F32");
  CHECK(place.entry.shape == std::vector<size_t>{2});
  CHECK(place.entry.bytes == sizeof floats);
  CHECK(place.begin == file.data() + sizeof bytes);
  float read[2];
  file.read(read, sizeof read, place.begin);
  CHECK(std::memcmp(read, floats, sizeof read) == 0);
  CHECK_FALSE(file.has("others"));
  CHECK_THROWS_WITH(file.find("others"), Catch::Contains("the tensor others is missing"));
  CHECK_THROWS_WITH(file.read(read, sizeof read, sum.bytes - 1), Catch::Contains("became shorter"));
}

TEST_CASE("headers of tensors that cannot be are refused", "[tensor_file]") {
  const File f;
  check_damaged(f.path, "cannot read it");
  write_file(f.path, "1234567");
  check_damaged(f.path, "it is empty");
  const auto with = [&](const std::string& header, const std::string& why) {
    INFO(header);
    write_header(f.path, header, header.size());
    check_damaged(f.path, why);
  };
  write_header(f.path, "{}", 11);
  check_damaged(f.path, "its header is cut short");
  write_header(f.path, "{}", ~uint64_t(0));
  check_damaged(f.path, "its header is cut short");
  with("{", "not valid JSON");
  with("[]", "names no tensors");
  const auto of = [](const std::string& offsets, const std::string& shape = "[8]") {
    return "{\"x\":{\"dtype\":\"U8\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
  };
  for (const char* offsets : {"[0,9]", "[4,2]", "[9,9]"}) with(of(offsets), "the tensor x is cut short");
  for (const char* offsets : {"[-1,2]", "[0.5,2]", "[0]", "[0,1e300]", "[0,\"8\"]", "8"})
    with(of(offsets), "what it says of the tensor x cannot be read");
  with(of("[0,8]", "[-8]"), "what it says of the tensor x cannot be read");
  with("{\"x\":[]}", "what it says of the tensor x cannot be read");
}
