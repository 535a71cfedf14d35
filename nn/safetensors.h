// A parameter store in a file of tensors (nn/tensor_file.h).
#pragma once

#include <memory>
#include <string>

#include "nn/parameters.h"

namespace doppel {

struct SafetensorsFile {
  size_t bytes;
  unsigned crc;  // CRC-32 of the whole file
};

// What a file holds of a store: its own arenas, or a copy of them. f32 [layout elements] each, on the stream's device.
struct SavedState {
  std::shared_ptr<const ParameterLayout> layout;
  Stream stream;
  const void *weights, *m, *v;
  const void* average;  // null: none is kept
};
// The arenas themselves, which must stay as they are while the state is used.
SavedState saved_state(const ParameterStore& store);

// Writes weights, moments and the average (if kept) of every parameter, atomically. Throws Error naming the path.
SafetensorsFile write_safetensors(const std::string& path, const SavedState& state);

// Throws Error naming the file when it is missing or its size or checksum is another.
void check_safetensors(const std::string& path, size_t bytes, unsigned crc);

// Checks size, checksum and tensors, and only then changes the store, straight from the file: all arenas for training,
// else only the weights (from the average where the file has one). Tensors that the store's layout does not name are
// ignored; a missing one is an Error.
void read_safetensors(const std::string& path, size_t bytes, unsigned crc, ParameterStore& store, bool for_training);

}  // namespace doppel
