// --device, --recompute and --face-memory, of train and plan.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>

#include "nn/memory_plan.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "tools/byte_count.h"

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

inline void add_face_memory(CLI::App& command, std::optional<size_t>& bytes) {
  command
      .add_option_function<std::string>(
          "--face-memory", [&bytes](const std::string& text) { bytes = parse_bytes(text); },
          "What decoded faces may take, such as 2G: of a card, whose other faces then come from memory step by step "
          "[what is left of it], or without a card of memory, and then all of them are read from a file [half of it]")
      ->check(ByteCount());
}

// That option is about the memory of the device that trains.
inline void limit_faces(FaceSets& faces, Device device, const std::optional<size_t>& bytes) {
  if (bytes) (device == Device::cpu ? faces.host_budget : faces.device_budget) = *bytes;
}

// Throws UsageError when not even streaming stays within it.
inline void check_face_memory(const MemoryPlan& plan, const FaceSets& faces) {
  if (plan.faces.device > faces.device_budget)
    throw UsageError("--face-memory: the faces of two iterations do not fit; give at least " +
                     std::to_string((plan.faces.device >> 20) + 1) + "M, or a smaller --batch");
}

}  // namespace doppel
