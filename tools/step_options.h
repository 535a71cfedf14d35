// --device and --recompute, of train and plan.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "nn/training_step.h"
#include "runtime/device.h"

namespace doppel {

inline void add_device(CLI::App& command, std::string& device, const std::string& description) {
  command.add_option("--device", device, description)
      ->type_name("auto|cuda[:N]|cpu|emulator")
      ->check([](const std::string& name) {
        return is_device_name(name) ? std::string() : name + ": give auto, cuda, cuda:N, cpu or emulator";
      })
      ->capture_default_str();
}

inline void add_recompute(CLI::App& command, Recompute& choice) {
  static const std::map<std::string, Recompute> names{
      {"auto", Recompute::automatic}, {"on", Recompute::on}, {"off", Recompute::off}};
  command
      .add_option_function<std::string>(
          "--recompute", [&choice](const std::string& name) { choice = names.at(name); },
          "Give up values of the forward pass and compute them again in the backward pass: less memory, more time, the "
          "same results. auto: when the batch would not fit otherwise, and no more of them than must be")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->default_str("auto");
}

}  // namespace doppel
