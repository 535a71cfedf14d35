#include "tools/trusted_device.h"

#include <cstdio>

#include "kernels/device_error.h"
#include "nn/self_check.h"
#include "runtime/device.h"
#include "runtime/error.h"

namespace doppel {
namespace {

Device not_trusted(const std::string& name, const std::string& problem) {
  if (name != "auto")
    throw Error("--device " + name + ": not trained on, for it fails a check of its arithmetic: " + problem +
                "; please report this line with the card's name and driver, and use --device cpu");
  std::fprintf(stderr, "the card is left out and the processor trains, for it fails a check of its arithmetic: %s\n",
               problem.c_str());
  return Device::cpu;
}

}  // namespace

Device check_device(Device device, const std::string& name) {
  const std::string problem = self_check(device);
  return problem.empty() ? device : not_trusted(name, problem);
}

Device trusted_device(const std::string& name) {
  try {
    const Device device = choose_device(name);
    return device == Device::cuda ? check_device(device, name) : device;
  } catch (const DeviceError& e) {  // it has not even become ours: busy with another process, or broken
    return not_trusted(name, e.what());
  }
}

}  // namespace doppel
