// The emulated device with little memory, and one that fails: what the owners of memory, streams and events do then.
#include "kernels/emulator/faults.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "kernels/activation.h"
#include "kernels/device_error.h"
#include "runtime/devices.h"
#include "runtime/error.h"

using namespace doppel;
using emulator::FaultPlan;
using emulator::Faults;
using emulator::Operation;

namespace {

constexpr size_t kMiB = size_t(1) << 20;

// What an exception of type E says; fails the test when there is none.
template <typename E, typename F>
std::string said_by(const F& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  FAIL("nothing was thrown");
  return "";
}

}  // namespace

TEST_CASE("more memory than a device has is refused in one line that says how much is free", "[faults]") {
  const Buffer before(3 * kMiB, Device::emulator);
  const Faults faults({.memory = 10 * kMiB});
  {
    const Buffer half(4 * kMiB, Device::emulator);
    const uint64_t made = device_allocations();
    const std::string said = said_by<OutOfMemory>([] { Buffer(4 * kMiB, Stream{Device::emulator}); });
    CHECK(said.find("4 MiB of the emulator") != std::string::npos);
    CHECK(said.find("3 MiB are free") != std::string::npos);
    CHECK(said.find("--batch") != std::string::npos);
    CHECK(said.find("doppel plan") != std::string::npos);
    CHECK(said.find('\n') == std::string::npos);
    CHECK(device_allocations() == made);
    const Buffer rest(3 * kMiB, Device::emulator);
    CHECK(device_allocations() == made + 1);
  }
  // What was given back can be had again; the host's memory is not the device's.
  const Buffer most(7 * kMiB, Device::emulator);
  const Buffer host(20 * kMiB);
}

TEST_CASE("more memory than the host can map is refused in the same words", "[faults]") {
  const std::string said = said_by<OutOfMemory>([] { Buffer(size_t(1) << 60); });
  CHECK(said.find("were asked for") != std::string::npos);
  CHECK(said.find("MiB are free") != std::string::npos);
}

TEST_CASE("a lost device fails every operation from there on, and destructors stay silent", "[faults]") {
  const int64_t count = 100;
  std::vector<float> host(count, 1.f);
  const auto work = [&] {
    const DeviceStream stream(Device::emulator);
    const Buffer x(count * sizeof(float), stream), y(count * sizeof(Bf16), stream);
    DeviceEvent event(Device::emulator);
    upload(x.data(), host.data(), x.bytes(), stream);
    cast_to_bf16(y.as<Bf16>(), x.as<float>(), count, stream);
    download(host.data(), x.data(), x.bytes(), stream);
    event.record(stream);
    event.wait();
    wait(stream);
  };
  const std::vector<Operation> expected{Operation::allocation, Operation::allocation, Operation::upload,
                                        Operation::launch,     Operation::download,   Operation::record,
                                        Operation::wait,       Operation::wait};
  {
    const Faults none({});
    work();
    CHECK(none.operations() == expected);
  }
  for (const bool late : {false, true})
    for (uint64_t k = 0; k < expected.size(); ++k) {
      INFO(emulator::name_of(expected[k]) << (late ? ", late" : ""));
      const Faults faults({.lost_at = k, .late = late});
      const std::string said = said_by<DeviceError>(work);
      CHECK(said.find("lost") != std::string::npos);
      CHECK_THROWS_AS(wait(Stream{Device::emulator}), DeviceError);
      CHECK_THROWS_AS(Buffer(1, Device::emulator), DeviceError);
      // Late: nobody is told before something is waited for.
      const size_t told = faults.operations().size() - 3;
      const bool asks = expected[told] == Operation::wait || expected[told] == Operation::allocation;
      CHECK((late ? told >= k && asks : told == k));
    }
  host.assign(count, 1.f);
  work();  // whole again
  CHECK(std::all_of(host.begin(), host.end(), [](float v) { return v == 1; }));
}

TEST_CASE("an operation that is left out or a copy that is corrupted happens once", "[faults]") {
  const Stream stream{Device::emulator};
  const Buffer x(64, Device::emulator);
  std::vector<float> back(16, 5.f);
  const std::vector<float> ones(16, 1.f);
  {
    const Faults faults({.left_out = 0, .corrupted = 2});
    upload(x.data(), ones.data(), 64, stream);
    download(back.data(), x.data(), 64, stream);
    CHECK(back == std::vector<float>(16, 0.f));
    download(back.data(), x.data(), 64, stream);
    CHECK(std::count(back.begin(), back.end(), 0.f) == 15);
    download(back.data(), x.data(), 64, stream);
    CHECK(back == std::vector<float>(16, 0.f));
  }
}
