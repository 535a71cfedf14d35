// What a long training has been asked for and has measured so far, kept beside its checkpoint so that the same command
// goes on where the last one stopped.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/json.h"

namespace doppel::bench {

// All that decides what is learned. A run that goes on has the same.
struct TrainingSettings {
  std::string arch = "original", precision;
  int batch = 0;  // samples of each of the two people
  double warp = 1;
  uint64_t seed = 1, iterations = 0;
  int points = 8;
  unsigned faces_crc = 0;  // FacePack::crc

  bool operator==(const TrainingSettings&) const = default;
  uint64_t samples_at(uint64_t iteration) const { return iteration * 2 * uint64_t(batch); }
};

// After how many iterations is measured: `count` times, from about a hundredth of the run to its end, each later than
// the one before by the same factor; two digits of each but the last. Fewer where they would be the same.
std::vector<uint64_t> measuring_points(uint64_t iterations, int count);

struct TrainingPoint {
  uint64_t iterations = 0;
  double training_seconds = 0;     // in training steps
  double total_seconds = 0;        // start of the program, kernels timed, checkpoints and measuring included
  std::array<double, 2> losses{};  // L1 of a and b, averaged over the last hundred iterations
  double psnr = 0, ssim = 0;       // of the swaps against the truth, kernels/quality.h
  std::string device;              // that trained up to here, from the point before or since the run went on
  std::vector<uint8_t> swaps;      // some of them, [columns, T, T, 3]
};

struct TrainingState {
  TrainingSettings settings;
  double total_seconds = 0;  // of all commands up to the last save
  std::vector<TrainingPoint> points;
};

Json to_json(const TrainingSettings& settings);
// Without the pictures.
Json to_json(const TrainingPoint& point);

// Whether `folder` has a state, of whatever health.
bool state_exists(const std::string& folder);
// Atomically. Throws Error naming the file.
void save_state(const std::string& folder, const TrainingState& state);
// Throws Error naming the file when it is missing or damaged.
TrainingState load_state(const std::string& folder);

}  // namespace doppel::bench
