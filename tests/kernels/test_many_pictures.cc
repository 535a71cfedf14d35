// More pictures than a grid takes blocks along y and z (65535). To run them all would take the emulator minutes: here
// it is a device that was lost with its first launch and has told nobody yet, which looks at each grid and runs
// nothing.
#include "kernels/emulator/faults.h"
#include "kernels/harness.h"
#include "kernels/loss.h"
#include "kernels/rms_norm.h"
#include "kernels/warp.h"

using namespace doppel;
using namespace doppel::testing;

namespace {

alignas(64) unsigned char somewhere[64];

// Calls body(memory that is not used, stream), which is to launch so many kernels.
template <typename Body>
void launch_only(size_t launches, Body&& body) {
  if (!backend_wanted("emulator")) return;
  const emulator::Faults faults({.lost_at = 0, .late = true});
  CHECK_NOTHROW(body(reinterpret_cast<float*>(somewhere), Stream{Device::emulator}));
  CHECK(faults.operations().size() == launches);
}

}  // namespace

TEST_CASE("a warp launches more samples than 65535", "[warp][emulator]") {
  for (const int out : {1, 64}) {
    Warp w;
    w.people = 2, w.batch = 1 << 20, w.out_size = out;
    launch_only(1, [&](float* m, Stream stream) { warp_batch(m, m, {}, nullptr, w, stream); });
    launch_only(1, [&](float* m, Stream stream) {
      draw_warps(static_cast<WarpSample*>(static_cast<void*>(m)), {}, nullptr, w, stream);
    });
  }
}

TEST_CASE("losses launch more pictures and planes than 65535", "[loss][emulator]") {
  Dssim o;
  o.window = 3;
  for (const LossShape& s : {LossShape{65536, 3, 3, 1}, LossShape{21846, 3, 3, 3}, LossShape{1 << 20, 64, 64, 3}}) {
    launch_only(3, [&](float* m, Stream stream) { dssim_loss(m, m, m, m, m, s, o, 1, false, m, stream); });
    launch_only(2, [&](float* m, Stream stream) { l1_loss(m, m, m, m, m, s, 1, false, m, stream); });
  }
}

TEST_CASE("rms_norm launches more rows than 65535", "[rms_norm][emulator]") {
  const RmsNorm n{1 << 20, 8, DType::bf16};
  launch_only(1, [&](float* m, Stream stream) { rms_norm_forward(m, m, n, stream); });
  launch_only(1, [&](float* m, Stream stream) { rms_norm_backward(m, m, m, n, stream); });
}
