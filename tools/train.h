// Training as a user runs it: face sets in, a model folder out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/training_step.h"

namespace doppel {

struct TrainCommand {
  std::vector<std::pair<std::string, std::string>> people;  // name, face set
  std::string model;                                        // folder
  std::string arch = "lite";
  bool arch_given = false;
  std::optional<uint64_t> iterations;  // in all
  std::optional<double> minutes;       // in all
  std::optional<int> batch;            // what is not given is the architecture's, or the model's when resuming
  std::optional<double> lr;
  std::optional<double> warp;  // strength of the augmentation, 1 is the architecture's
  std::optional<std::string> optimizer;
  std::optional<double> lr_dropout, clip;  // ModelDescription of nn/checkpoint.h
  std::optional<uint64_t> seed;
  std::optional<std::string> precision;
  // For the decoded face sets: of the device that trains, so on the CPU of the machine's; bytes. What is not given is
  // what the step leaves of a card, and host_face_budget() of the machine.
  std::optional<size_t> face_memory;
  std::string device = "auto";  // choose_device() of runtime/device.h
  Recompute recompute = Recompute::automatic;
  std::string conv = "handwritten";  // or auto, untimed: among which kernels a card's are chosen
  double preview_every = 60;         // seconds
  double save_every = 300;           // seconds
  bool verbose = false;
  bool checked = false;  // look at every node's output
};

// Trains until the end that was asked for; saves then and on Ctrl-C. Throws Error, UsageError, Interrupted. When the
// device fails or its memory runs out, the error says which iteration the model's folder holds, whole.
void run_training(const TrainCommand& command);

}  // namespace doppel
