#include "tools/trusted_device.h"

#include <cstdio>

#include "kernels/device_error.h"
#include "nn/self_check.h"
#include "runtime/device.h"
#include "runtime/error.h"

namespace doppel {
namespace {

// `reason`: "it fails a check of its arithmetic: ..".
Device not_taken(const std::string& name, const std::string& reason, const std::string& remedy) {
  if (name != "auto") throw Error("--device " + name + ": not trained on, for " + reason + "; " + remedy);
  std::fprintf(stderr, "the card is left out and the processor trains, for %s\n", reason.c_str());
  return Device::cpu;
}

Device not_usable(const std::string& name, const DeviceError& why) {
  return not_taken(name, std::string("it cannot be used: ") + why.what(),
                   "see whether nvidia-smi shows it, end what else uses it, or use --device cpu");
}

}  // namespace

Device check_device(Device device, const std::string& name) {
  std::string problem;
  try {
    problem = self_check(device);
  } catch (const OutOfMemory& e) {
    // Up to its advice, which is about training: no batch is so small that it would help here.
    const std::string what = e.what();
    throw OutOfMemory(what.substr(0, what.find(';')) +
                      ", for the small network that checks the card before it trains: close what else uses the card, "
                      "or use --device cpu");
  } catch (const DeviceError& e) {
    return not_usable(name, e);
  }
  if (problem.empty()) return device;
  return not_taken(name, "it fails a check of its arithmetic: " + problem,
                   "please report this line with the card's name and driver, and use --device cpu");
}

Device trusted_device(const std::string& name) {
  try {
    const Device device = choose_device(name);
    if (device == Device::cuda) return check_device(device, name);
    if (name == "auto" && built_for_cards()) std::fprintf(stderr, "the processor trains: %s\n", why_no_card().c_str());
    return device;
  } catch (const DeviceError& e) {  // it has not even become ours: busy with another process, or broken
    return not_usable(name, e);
  }
}

}  // namespace doppel
