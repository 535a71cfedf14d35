// Checkpoints that are written while training goes on. The thread that trains only copies what a checkpoint holds into
// memory of the host, which for a card is page-locked; another one sums and writes the copy, syncs and renames, as
// save_model() does. The bytes of the files are the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nn/background_work.h"
#include "nn/checkpoint.h"
#include "runtime/device.h"

namespace doppel {

// To be used from one thread. The destructor waits for what is being written.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(std::string folder) : folder_(std::move(folder)) {}

  // Bytes of a copy.
  static size_t copy_bytes(const ParameterStore& store);
  // Takes the memory of the copy, for a store like this; without it begin() is write(). Throws OutOfMemory.
  void reserve(const ParameterStore& store);

  // Copies the store, when its stream has come so far, and begins to write. As finish() first: one is written at a
  // time. Throws DeviceError when the copy fails; nothing is written then.
  void begin(const ModelDescription& description, const ParameterStore& store);
  bool busy() const { return work_.busy(); }
  // Throws what has made the last checkpoint fail, once; what was there before it stands. Waits for nothing.
  void check();
  // Waits for what is being written; throws as check() does.
  void finish();
  // Waits for what is being written, then writes the store itself: when this returns it is on the disk, and what made
  // an older one fail is forgotten.
  void write(const ModelDescription& description, const ParameterStore& store);

  // The iteration of the last checkpoint that is known to be whole on the disk. What busy() has been about is known
  // after check() or finish().
  std::optional<uint64_t> saved() const { return saved_; }

 private:
  SavedState copy(const ParameterStore& store);

  std::string folder_;
  PinnedBuffer copy_;
  std::optional<uint64_t> saved_;
  std::optional<uint64_t> begun_;  // the iteration that is being written
  BackgroundWork work_;            // last: it reads copy_
};

}  // namespace doppel
