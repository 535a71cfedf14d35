// Devices by name, memory and copies on each, and the emulator's memory that the host cannot touch.
#include "runtime/device.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "kernels/activation.h"
#include "runtime/devices.h"
#include "runtime/error.h"

using namespace doppel;
using testing::devices;

namespace {

// Whether the host may read the byte: the system refuses to read it for us where we could not.
bool readable(const void* byte) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const bool can = write(ends[1], byte, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return can;
}

}  // namespace

TEST_CASE("a device is what its name says, or one line says why not", "[device]") {
  CHECK(choose_device("cpu") == Device::cpu);
  CHECK(choose_device("emulator") == Device::emulator);
  for (const char* name : {"auto", "cpu", "emulator", "cuda", "cuda:0", "cuda:12"}) CHECK(is_device_name(name));
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cuda0", "cuda:99999"}) {
    INFO(name);
    CHECK_FALSE(is_device_name(name));
    CHECK_THROWS_AS(choose_device(name), UsageError);
  }
  try {
    choose_device("cuda:999");
    FAIL("there is no card 999");
  } catch (const UsageError&) {
    FAIL("the name is right");
  } catch (const Error& e) {
    const std::string what = e.what();
    CHECK(what.starts_with("--device cuda:999: "));
    CHECK(what.find("use --device cpu") != std::string::npos);
    CHECK(what.find('\n') == std::string::npos);
  }
  if (choose_device("auto") == Device::cpu) {
    const std::string why = why_no_card();
    CHECK(why.find("use --device cpu") != std::string::npos);
    CHECK(why.find('\n') == std::string::npos);
  }
  if (testing::has_card())
    CHECK(choose_device("cuda") == Device::cuda);
  else
    CHECK_THROWS_AS(choose_device("cuda"), Error);
}

TEST_CASE("memory of each device starts as zeros and keeps what is copied there", "[device]") {
  const testing::Guard guard;
  for (const Device device : devices()) {
    INFO(testing::name_of(device));
    const DeviceStream stream(device);
    const size_t count = 5000;
    Buffer buffer(count * sizeof(float), device);
    REQUIRE(buffer.device() == device);
    std::vector<float> values(count), back(count, -1);
    download(back.data(), buffer.data(), buffer.bytes(), stream);
    wait(stream);
    CHECK(std::all_of(back.begin(), back.end(), [](float v) { return v == 0; }));

    PinnedBuffer pinned(count * sizeof(float), device);
    for (size_t i = 0; i < count; ++i) pinned.as<float>()[i] = values[i] = float(i) / 7;
    DeviceEvent before(device), after(device);
    before.record(stream);
    upload(buffer.data(), pinned.as<float>(), buffer.bytes(), stream);
    after.record(stream);
    after.order(stream);
    download(back.data(), buffer.data(), buffer.bytes(), stream);
    wait(stream);
    CHECK(back == values);
    CHECK(after.seconds_since(before) >= 0);

    Buffer other;
    other = std::move(buffer);
    CHECK(other.device() == device);
    CHECK(other.bytes() == count * sizeof(float));
  }
}

TEST_CASE("memory that is written before it is read is zeroed, unless it is to be dirty", "[device]") {
  const auto bytes = [](Device device) {
    const DeviceStream stream(device);
    const Buffer of_stream(1000, stream, Fresh::anything), of_none(1000, device, Fresh::anything), zero(1000, device);
    std::vector<std::vector<uint8_t>> all;
    for (const Buffer* buffer : {&of_stream, &of_none, &zero}) {
      all.emplace_back(buffer->bytes());
      download(all.back().data(), buffer->data(), buffer->bytes(), stream);
    }
    return all;
  };
  const std::vector<uint8_t> zeros(1000), dirt(1000, 0xFF);
  for (const Device device : testing::devices()) {
    INFO(testing::name_of(device));
    CHECK(bytes(device) == std::vector{zeros, zeros, zeros});
    setenv("DOPPEL_DIRTY_MEMORY", "1", 1);
    const auto dirty = bytes(device);
    unsetenv("DOPPEL_DIRTY_MEMORY");
    CHECK(dirty[2] == zeros);
    if (device == Device::cuda) continue;  // which leaves there what there was
    CHECK(dirty[0] == dirt);
    CHECK(dirty[1] == dirt);
  }
}

// Hidden: no more than a mistake, by which bench/gpu.sh finds out whether a checker sees it.
TEST_CASE("a kernel reads what nobody has written", "[.unwritten]") {
  if (!testing::has_card()) return;
  setenv("DOPPEL_DIRTY_MEMORY", "1", 1);
  const DeviceStream stream(choose_device("cuda"));
  const Buffer from(1 << 16, stream, Fresh::anything), to(1 << 16, stream);
  accumulate(to.data(), from.data(), 1 << 14, DType::f32, stream);
  wait(stream);
  unsetenv("DOPPEL_DIRTY_MEMORY");
}

TEST_CASE("guarded memory is open to kernels and copies and to nobody else", "[device]") {
  const int64_t count = 300;
  const Stream stream{Device::emulator};
  Buffer open(count * sizeof(float), Device::emulator);
  CHECK(readable(open.data()));

  const testing::Guard guard;
  Buffer x(count * sizeof(float), Device::emulator), y(count * sizeof(Bf16), Device::emulator);
  CHECK_FALSE(readable(x.data()));
  {
    const emulator::OpenMemory outer;
    {
      const emulator::OpenMemory inner;
      CHECK(readable(x.data()));
    }
    CHECK(readable(x.data()));
    const Buffer late(8, Device::emulator);
    CHECK(readable(late.data()));
  }
  CHECK_FALSE(readable(x.data()));

  const std::vector<float> ones(count, 1);
  upload(x.data(), ones.data(), x.bytes(), stream);
  cast_to_bf16(y.as<Bf16>(), x.as<float>(), count, stream);
  std::vector<Bf16> back(count);
  download(back.data(), y.data(), y.bytes(), stream);
  CHECK(std::all_of(back.begin(), back.end(), [](Bf16 v) { return to_float(v) == 1; }));
  CHECK_FALSE(readable(y.data()));
}

TEST_CASE("a recorded graph does what was recorded, when and as often as it is launched", "[device]") {
  const testing::Guard guard;
  for (const Device device : devices()) {
    if (device == Device::cpu) continue;  // which has no graphs
    INFO(testing::name_of(device));
    const DeviceStream stream(device);
    const Buffer memory(4 * sizeof(float), stream), total(4 * sizeof(float), stream);
    PinnedBuffer host(4 * sizeof(float), device);
    const auto at = [&](const Buffer& buffer, int i) { return HostCopy(buffer, stream).as<float>()[i]; };
    int64_t count = 2;
    accumulate(total.data(), memory.data(), 4, DType::f32,
               stream);  // of zeros: a card loads a kernel when first launched
    const DeviceGraph graph(stream, [&] {
      upload(memory.data(), host.as<float>(), memory.bytes(), stream);
      accumulate(total.data(), memory.data(), count, DType::f32, stream);
    });
    CHECK(graph);
    CHECK(at(memory, 0) == 0);  // nothing has been done yet
    for (int i = 0; i < 4; ++i) host.as<float>()[i] = 3;
    count = 4;  // too late: it was given by value
    for (int launches = 1; launches <= 3; ++launches) {
      graph.launch(stream);
      CHECK(at(memory, 3) == 3);
      CHECK(at(total, 0) == float(3 * launches));
      CHECK(at(total, 3) == 0);
    }
    if (device == Device::emulator) {
      CHECK_THROWS_WITH(DeviceGraph(stream, [&] { wait(stream); }), "the host waits while a graph is recorded");
      CHECK_THROWS_WITH(DeviceGraph(stream, [&] { graph.launch(stream); }),
                        "a graph is launched while a graph is recorded");
    }
    CHECK_THROWS(DeviceGraph(stream, [&] { wait(stream); }));
    CHECK_THROWS(DeviceGraph(stream, [&] { const Buffer more(64, stream); }));
    CHECK(at(total, 0) == 9);  // and the stream is as before
  }
}
