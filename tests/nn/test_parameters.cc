// What a run starts from: drawn weights, and a checkpoint's.
#include "nn/parameters.h"

#include <omp.h>
#include <unistd.h>
#include <catch2/catch.hpp>
#include <filesystem>

#include "kernels/philox.h"
#include "nn/checkpoint.h"
#include "nn/training_step.h"
#include "runtime/atomic_file.h"
#include "runtime/devices.h"

using namespace doppel;

namespace {

struct Threads {
  int before = omp_get_max_threads();
  ~Threads() { omp_set_num_threads(before); }
};

std::vector<float> numbers(const Buffer& arena, Stream stream) {
  const HostCopy host(arena, stream);
  return {host.as<float>(), host.as<float>() + arena.bytes() / sizeof(float)};
}

std::vector<std::vector<float>> all(const ParameterStore& store) {
  std::vector<std::vector<float>> arenas;
  for (const Buffer* arena : {&store.weights, &store.m, &store.v, &store.average, &store.copies})
    arenas.push_back(numbers(*arena, store.stream));
  return arenas;
}

// Every arena full of numbers of its own.
void fill(ParameterStore& store, uint32_t kind) {
  initialize(store, 3);
  uint32_t arena = 0;
  for (Buffer* buffer : {&store.weights, &store.m, &store.v, &store.average}) {
    HostCopy host(*buffer, store.stream);
    Random random(5, kind, arena++);
    for (const Parameter& p : store.layout->parameters)
      for (int64_t k = 0; k < p.shape.elements(); ++k) host.as<float>()[p.offset + size_t(k)] = random.uniform(-1, 1);
    host.write_back();
  }
  refresh_copies(store);
}

}  // namespace

TEST_CASE("the first weights are the same however many threads draw them", "[parameters]") {
  // The first dense layer has 2^20 weights, many times what one thread draws alone.
  const auto layout = declare_parameters(architecture("lite"), {"a", "b"});
  std::vector<float> expected(layout->elements, 0.f);
  for (size_t i = 0; i < layout->parameters.size(); ++i) {
    const Parameter& p = layout->parameters[i];
    Random random(7, 0, uint32_t(i));
    if (p.init_limit > 0)
      for (int64_t k = 0; k < p.shape.elements(); ++k)
        expected[p.offset + size_t(k)] = random.uniform(-p.init_limit, p.init_limit);
  }
  const Threads restore;
  for (const int threads : {1, 2, 3, 7}) {
    INFO(threads << " threads");
    omp_set_num_threads(threads);
    ParameterStore store = make_store(layout, DType::f32, true);
    initialize(store, 7);
    const bool weights = numbers(store.weights, {}) == expected, average = numbers(store.average, {}) == expected;
    CHECK(weights);
    CHECK(average);
  }
}

TEST_CASE("a checkpoint is read whole, and a damaged one changes nothing", "[checkpoint][emulator]") {
  const testing::Guard guard;
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("doppel-parameters-" + std::to_string(getpid()))).string();
  const auto layout = declare_parameters(narrowed(architecture("lite"), 2), {"a", "b"});
  for (const Device device : testing::devices()) {
    INFO(testing::name_of(device));
    std::filesystem::remove_all(folder);
    const DeviceStream stream(device);
    ParameterStore saved = make_store(layout, DType::bf16, true, stream),
                   store = make_store(layout, DType::bf16, true, stream);
    fill(saved, 0);
    fill(store, 1);
    save_model(folder, {}, saved_state(saved));
    const auto before = all(store);
    const bool different = before != all(saved);
    REQUIRE(different);

    const std::string path = folder + "/weights-0.safetensors", good = read_file(path);
    // Larger than what is read at a time, so that what is damaged lies in later parts too.
    REQUIRE(good.size() > size_t(3) << 20);
    for (const size_t at : {size_t(20), good.size() / 2, good.size() - 1}) {
      std::string bad = good;
      bad[at] = char(bad[at] ^ 1);
      write_file(path, bad);
      INFO("byte " << at);
      CHECK_THROWS_WITH(load_parameters(folder, store, true), Catch::Contains(path) && Catch::Contains("checksum"));
      const bool unchanged = all(store) == before;
      CHECK(unchanged);
    }
    write_file(path, good.substr(0, good.size() - 4));
    CHECK_THROWS_WITH(load_parameters(folder, store, true), Catch::Contains(path) && Catch::Contains("bytes"));
    // Another model's: its checksum is right, its tensors are not these.
    ParameterStore wider = make_store(declare_parameters(architecture("lite"), {"a", "b"}), DType::bf16, true, stream);
    write_file(path, good);
    const auto wider_before = all(wider);
    CHECK_THROWS_WITH(load_parameters(folder, wider, true), Catch::Contains(path) && Catch::Contains("another size"));
    const bool untouched = all(store) == before && all(wider) == wider_before;
    CHECK(untouched);

    load_parameters(folder, store, true);
    const bool same = all(store) == all(saved);
    CHECK(same);
    // A swap's weights are the average.
    ParameterStore swap = make_store(layout, DType::f32, false, stream);
    load_parameters(folder, swap, false);
    const bool averaged = numbers(swap.weights, stream) == numbers(saved.average, stream);
    CHECK(averaged);
  }
  std::filesystem::remove_all(folder);
}
