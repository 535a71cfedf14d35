// The one way kernels are launched, on a card and on the emulator:
//
//   DOPPEL_KERNEL(map<float>).launch({blocks, threads, shared_bytes}, y, x, count, stream);
//
// Arguments are those of the kernel, then the stream. Grid, block and shared memory are checked against the limits of
// the architecture and the kernel's launch bounds before anything runs (LaunchError), and the launch's error after it
// (DeviceError of kernels/device_error.h); both name the kernel. On the emulator the launch has ended when this
// returns, and a defect that it found is thrown (kernels/emulator/emulator.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/device/launch_limits.h"
#include "kernels/device/platform.h"
#include "kernels/stream.h"

#if !DOPPEL_ON_CARD
#include <memory>
#include <tuple>

#include "kernels/emulator/emulator.h"
#include "kernels/emulator/execute.h"
#include "kernels/emulator/recording.h"
#endif

namespace doppel {

struct Geometry {
  dim3 grid, block;
  size_t shared = 0;  // bytes of dynamic shared memory
  int cluster = 1;    // blocks along x that run together (kernels/device/cluster.h); sm_90
};

// Blocks of `per_block` that cover `count`; at least one, at most `most` (for loops that stride over the grid).
inline unsigned blocks_for(int64_t count, int64_t per_block, int64_t most = 0x7FFFFFFF) {
  return unsigned(std::clamp<int64_t>((count + per_block - 1) / per_block, 1, most));
}

#if DOPPEL_ON_CARD

struct LaunchError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// kernels/device/launch.cu. `arguments`: addresses of the kernel's arguments.
void launch_on_card(const char* name, const void* kernel, const Geometry& geometry, void** arguments, Stream stream);

#endif

namespace DOPPEL_BACKEND {

// Of the device: 10 * major + minor of its compute capability; how many blocks that fill one each run at a time.
#if DOPPEL_ON_CARD
int device_sm();
int multiprocessors();
#else
inline int device_sm() {
  return emulator::options().sm;
}
inline int multiprocessors() {
  return emulator::options().multiprocessors;
}
#endif

}  // namespace DOPPEL_BACKEND

#if DOPPEL_ON_CARD

template <typename... P>
class Kernel {
 public:
  Kernel(const char* name, void (*function)(P...)) : name_(name), function_(function) {}

  void launch(const Geometry& geometry, P... arguments, Stream stream) const {
    void* addresses[] = {static_cast<void*>(&arguments)..., nullptr};
    launch_on_card(name_, reinterpret_cast<const void*>(function_), geometry, addresses, stream);
  }

 private:
  const char* name_;
  void (*function_)(P...);
};

#else

template <typename Bounds, typename... P>
class Kernel {
 public:
  Kernel(const char* name, void (*function)(Bounds, P...)) : name_(name), function_(function) {}

  void launch(const Geometry& geometry, P... arguments, Stream) const {
    using Call = std::tuple<void (*)(Bounds, P...), P...>;
    Call call(function_, arguments...);
    const auto run = [](void* data) {
      std::apply([](auto function, const auto&... values) { function(Bounds(), values...); },
                 *static_cast<Call*>(data));
    };
    const emulator::Pointer pointers[] = {emulator::pointer(arguments)..., {}};
    const emulator::Launch launch{.kernel = name_,
                                  .bound = Bounds::kThreads,
                                  .registers = registers_per_thread(Bounds::kThreads, Bounds::kBlocks),
                                  .grid = geometry.grid,
                                  .block = geometry.block,
                                  .cluster = geometry.cluster,
                                  .shared = geometry.shared,
                                  .call = run,
                                  .arguments = &call,
                                  .argument_bytes = sizeof(call),
                                  .pointers = pointers,
                                  .pointer_count = sizeof...(P)};
    if (!emulator::recorded(launch, [&] { return std::make_shared<Call>(call); })) emulator::execute(launch);
  }

 private:
  const char* name_;
  void (*function_)(Bounds, P...);
};

#endif

#define DOPPEL_KERNEL(...) ::doppel::Kernel(#__VA_ARGS__, __VA_ARGS__)

}  // namespace doppel
