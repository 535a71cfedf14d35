#include "nn/checkpoint_writer.h"

#include <stdexcept>
#include <utility>

namespace doppel {

size_t CheckpointWriter::copy_bytes(const ParameterStore& store) {
  return store.weights.bytes() + store.m.bytes() + store.v.bytes() + store.average.bytes();
}

void CheckpointWriter::reserve(const ParameterStore& store) {
  finish();
  copy_ = PinnedBuffer(copy_bytes(store), store.stream.device);
}

SavedState CheckpointWriter::copy(const ParameterStore& store) {
  if (copy_.bytes() != copy_bytes(store)) throw std::logic_error("a checkpoint's copy was reserved for another store");
  char* to = copy_.as<char>();
  const auto take = [&](const Buffer& arena) -> const void* {
    if (arena.bytes() == 0) return nullptr;
    download(to, arena.data(), arena.bytes(), store.stream);
    to += arena.bytes();
    return to - arena.bytes();
  };
  const void *weights = take(store.weights), *m = take(store.m), *v = take(store.v), *average = take(store.average);
  wait(store.stream);
  return {store.layout, {}, weights, m, v, average};
}

void CheckpointWriter::begin(const ModelDescription& description, const ParameterStore& store) {
  if (copy_.bytes() == 0) return write(description, store);
  finish();
  const SavedState state = copy(store);
  begun_ = description.iterations;
  work_.begin([folder = folder_, description, state] { save_model(folder, description, state); });
}

void CheckpointWriter::check() {
  if (!busy()) finish();
}

void CheckpointWriter::finish() {
  const std::optional<uint64_t> begun = std::exchange(begun_, {});
  work_.finish();
  if (begun) saved_ = begun;
}

void CheckpointWriter::write(const ModelDescription& description, const ParameterStore& store) {
  try {
    finish();
  } catch (const std::exception&) {
    // An older checkpoint has failed: if this one does not, nothing is lost, and if it does, it says why itself.
  }
  save_model(folder_, description, saved_state(store));
  saved_ = description.iterations;
}

}  // namespace doppel
