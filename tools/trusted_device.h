// The device that a user named, once it has shown that it computes what the processor does.
#pragma once

#include <string>

#include "kernels/stream.h"

namespace doppel {

// choose_device() of runtime/device.h; a card goes through self_check() of nn/self_check.h. Where one cannot be
// trusted or used, or there is none for a build that has the kernels, "auto" says why on stderr, one line, and gives
// the CPU; any other name is an Error. A card that has no room for the check is not a wrong one: OutOfMemory whatever
// the name, since to train elsewhere is the user's to decide.
Device trusted_device(const std::string& name);

// The second half of it, for a device that was chosen under that name.
Device check_device(Device device, const std::string& name);

}  // namespace doppel
