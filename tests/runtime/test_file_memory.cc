// Memory in a file: zeroed, readable, without a name, and refused in one line where there is no room.
#include "runtime/file_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

#include "runtime/error.h"

using namespace doppel;
namespace fs = std::filesystem;

namespace {

struct Folder {
  std::string path = (fs::temp_directory_path() / ("doppel-file-memory-" + std::to_string(getpid()))).string();
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

std::string refusal(size_t bytes, const std::string& folder) {
  try {
    FileMemory memory(bytes, folder);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("memory in a file is zeros, keeps what is written, and leaves nothing behind", "[file-memory]") {
  const Folder folder;
  constexpr size_t kBytes = (size_t(3) << 20) + 5;
  FileMemory memory(kBytes, folder.path);
  REQUIRE(memory.bytes() == kBytes);
  CHECK(fs::is_empty(folder.path));
  unsigned char* bytes = memory.as<unsigned char>();
  size_t sum = 0;
  for (size_t i = 0; i < kBytes; ++i) sum += bytes[i];
  CHECK(sum == 0);
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<unsigned char>(i % 251);

  FileMemory other = std::move(memory);
  CHECK(memory.as<char>() == nullptr);
  CHECK(memory.bytes() == 0);
  REQUIRE(other.as<unsigned char>() == bytes);
  size_t wrong = 0;
  for (size_t i = 0; i < kBytes; ++i) wrong += bytes[i] != i % 251;
  CHECK(wrong == 0);

  FileMemory third(100, folder.path);
  third = std::move(other);
  CHECK(third.bytes() == kBytes);
  CHECK(third.as<unsigned char>()[250] == 250);

  CHECK(FileMemory(0, folder.path).as<char>() == nullptr);
  CHECK(fs::is_empty(folder.path));
}

TEST_CASE("memory in a file that cannot be had is refused with folder and reason", "[file-memory]") {
  const Folder folder;
  const std::string missing = folder.path + "/no/such";
  CHECK(refusal(1 << 20, missing).starts_with(missing + ": cannot create a file for 1 MiB: "));

  // A limit on files is what a full disk looks like.
  struct rlimit before = {};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 1 << 20;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string full = refusal(size_t(2) << 20, folder.path), fits = refusal(1 << 19, folder.path);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(full.starts_with(folder.path + ": there is no room for 2 MiB: "));
  CHECK(full.find('\n') == std::string::npos);
  CHECK(fits.empty());
  CHECK(fs::is_empty(folder.path));
}
