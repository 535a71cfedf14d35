// All tests of kernels hold them to the rules of kernels/device/early_start.h, whatever else they change of the
// emulator.
#include "kernels/emulator/emulator.h"

[[maybe_unused]] static const bool kHeld = doppel::emulator::options().early_start = true;
