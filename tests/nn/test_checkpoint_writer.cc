// Checkpoints that are written while training goes on.
#include "nn/checkpoint_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <thread>

#include "nn/runs.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

using namespace doppel;
using testing::Folder;
using testing::Run;
using testing::weights_file;
namespace fs = std::filesystem;

namespace {

ModelDescription tiny() {
  ModelDescription model = testing::lite("fp32");
  model.architecture = "tiny";
  return model;
}

int weights_files(const std::string& folder) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    files += entry.path().filename().string().starts_with("weights-");
  return files;
}

// A pipe in the place of the file that a checkpoint's weights are written to before they get their name: writing waits
// until somebody reads, and ends in an error, as a pipe cannot be synced.
class HeldFile {
 public:
  HeldFile(const std::string& folder, uint64_t iteration)
      : path_(folder + "/weights-" + std::to_string(iteration) + ".safetensors.new-" + std::to_string(getpid())) {
    fs::create_directories(folder);
    REQUIRE(mkfifo(path_.c_str(), 0600) == 0);
  }

  // What is written, to its end.
  std::string read_all() const {
    const int fd = open(path_.c_str(), O_RDONLY);
    REQUIRE(fd >= 0);
    std::string all;
    char part[4096];
    for (ssize_t count; (count = read(fd, part, sizeof part)) > 0;) all.append(part, size_t(count));
    close(fd);
    return all;
  }

 private:
  std::string path_;
};

// A model that is trained and saved.
struct Saving {
  Run run;
  Folder folder;
  Trainer trainer = run.trainer(tiny());
  CheckpointWriter writer{folder.path};  // last: it ends before what it writes

  // The folder holds that iteration, whole.
  void check_holds(uint64_t iteration) const {
    CHECK(load_description(folder.path).iterations == iteration);
    CHECK_NOTHROW(check_weights(folder.path));
    CHECK(weights_files(folder.path) == 1);
  }
};

}  // namespace

TEST_CASE("steps that are taken while a checkpoint is written are not in it", "[checkpoint][background]") {
  Run run;
  for (const Device device : {Device::cpu, Device::emulator}) {
    INFO((device == Device::cpu ? "cpu" : "emulator"));
    Folder once, folder;
    Trainer trainer = run.trainer(tiny(), {}, device);
    CheckpointWriter writer(folder.path);
    writer.reserve(trainer.store());
    trainer.save(writer);
    CHECK(writer.saved() == 0);
    trainer.step();
    trainer.save(once.path);
    const std::string expected = read_file(weights_file(once.path));
    const std::string before = read_file(weights_file(folder.path));

    const HeldFile held(folder.path, 1);
    trainer.begin_save(writer);
    CHECK(writer.busy());
    trainer.step();
    CHECK_NOTHROW(writer.check());
    CHECK(writer.saved() == 0);
    const bool as_it_was = held.read_all() == expected;
    CHECK(as_it_was);
    // The pipe could not be synced: the error comes once, and the checkpoint before stands.
    CHECK_THROWS_WITH(writer.finish(), Catch::Contains("weights-1.safetensors: writing to disk failed"));
    CHECK_NOTHROW(writer.finish());
    CHECK(writer.saved() == 0);
    CHECK(load_description(folder.path).iterations == 0);
    CHECK_NOTHROW(check_weights(folder.path));
    CHECK(read_file(weights_file(folder.path)) == before);
    CHECK(weights_files(folder.path) == 1);

    trainer.begin_save(writer);
    writer.finish();
    CHECK_FALSE(writer.busy());
    CHECK(writer.saved() == 2);
    trainer.save(once.path);
    const bool same_bytes = read_file(weights_file(folder.path)) == read_file(weights_file(once.path));
    CHECK(load_description(folder.path).losses == load_description(once.path).losses);
    CHECK(same_bytes);
  }
}

TEST_CASE("a checkpoint that follows at once waits for the one before", "[checkpoint][background]") {
  Saving s;
  Folder once;
  s.writer.reserve(s.trainer.store());
  for (uint64_t i = 1; i <= 4; ++i) {
    s.trainer.step();
    s.trainer.begin_save(s.writer);
    s.trainer.step();
    i % 2 ? s.trainer.begin_save(s.writer) : s.trainer.save(s.writer);
    CHECK(s.writer.saved() == 2 * i - i % 2);
  }
  s.writer.finish();
  CHECK(s.writer.saved() == 8);
  s.check_holds(8);
  s.trainer.save(once.path);
  const bool same = read_file(weights_file(s.folder.path)) == read_file(weights_file(once.path));
  CHECK(same);
}

TEST_CASE("a checkpoint that failed before does not keep the last one from being written", "[checkpoint][background]") {
  Saving s;
  s.writer.reserve(s.trainer.store());
  s.trainer.step();
  const HeldFile held(s.folder.path, 1);
  s.trainer.begin_save(s.writer);
  s.trainer.step();
  held.read_all();
  CHECK_NOTHROW(s.trainer.save(s.writer));
  CHECK(s.writer.saved() == 2);
  s.check_holds(2);
}

TEST_CASE("without memory for a copy a checkpoint is written at once", "[checkpoint][background]") {
  Saving s;
  s.trainer.step();
  s.trainer.begin_save(s.writer);
  CHECK_FALSE(s.writer.busy());
  CHECK(s.writer.saved() == 1);
  s.check_holds(1);
}

TEST_CASE("a writer that ends has written what it began", "[checkpoint][background]") {
  Saving s;
  {
    CheckpointWriter writer(s.folder.path);
    writer.reserve(s.trainer.store());
    s.trainer.step();
    s.trainer.begin_save(writer);
  }
  s.check_holds(1);
}

TEST_CASE("a preview shows the weights that there were when it began", "[trainer][background]") {
  Run run;
  for (const Device device : {Device::cpu, Device::emulator}) {
    INFO((device == Device::cpu ? "cpu" : "emulator"));
    Trainer trainer = run.trainer(tiny(), {}, device);
    trainer.step();
    const Image expected = trainer.preview();
    const std::function<Image()> draw = trainer.begin_preview();
    // The picture is of the average, which moves slowly: only weights that are far off would show.
    for (const Buffer* b : {&trainer.store().weights, &trainer.store().average})
      std::fill_n(b->as<float>(), b->bytes() / sizeof(float), 1.f);
    Image picture;
    std::thread([&] { picture = draw(); }).join();
    const auto same = [&](const Image& image) {
      return image.size_bytes() == expected.size_bytes() &&
             std::equal(image.data(), image.data() + image.size_bytes(), expected.data());
    };
    CHECK(same(picture));
    CHECK_FALSE(same(trainer.preview()));
  }
}

TEST_CASE("work in the background is done beside, and its error is told once", "[background]") {
  BackgroundWork work;
  CHECK_FALSE(work.busy());
  CHECK_NOTHROW(work.finish());
  std::promise<void> gate;
  const std::thread::id here = std::this_thread::get_id();
  std::thread::id there;
  work.begin([&] {
    there = std::this_thread::get_id();
    gate.get_future().wait();
    throw Error("the disk is full");
  });
  CHECK(work.busy());
  gate.set_value();
  CHECK_THROWS_WITH(work.finish(), "the disk is full");
  CHECK(there != here);
  CHECK_NOTHROW(work.finish());

  // An error of the work before is not lost to the next.
  bool done = false;
  work.begin([] { throw std::runtime_error("first"); });
  CHECK_THROWS_WITH(work.begin([&] { done = true; }), "first");
  work.begin([&] { done = true; });
  work.finish();
  CHECK(done);

  std::atomic<bool> waited{false};
  {
    BackgroundWork leaves;
    leaves.begin([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      waited = true;
    });
  }
  CHECK(waited);
}
