// For tests: an emulated device that has little memory, that breaks, or that computes wrongly. What runtime/ and the
// launch do on the emulator passes here, one operation after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::emulator {

enum class Operation : uint8_t { allocation, launch, upload, download, record, wait };
constexpr int kOperations = 6;
const char* name_of(Operation operation);

// Operations are counted from 0, from when the faults are planted.
struct FaultPlan {
  static constexpr uint64_t kNever = UINT64_MAX;

  size_t memory = SIZE_MAX;    // bytes that all memory of the device may have together
  uint64_t lost_at = kNever;   // with this operation the device fails, and so does every later one: DeviceError
  bool late = false;           // as a card does: what it was given after that is not done, downloads bring nonsense,
                               // and the first to say so is an allocation or a wait
  uint64_t left_out = kNever;  // this operation alone is not done, and nobody is told
  uint64_t corrupted = kNever;  // this operation, a download, brings one wrong bit
};

// The emulated device has them while this lives, and is whole before and after. One at a time.
class Faults {
 public:
  explicit Faults(const FaultPlan& plan);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // All that came so far, in order.
  std::vector<Operation> operations() const;
};

enum class Fate { done, left_out, corrupted };
// What is to become of the operation that begins. Throws DeviceError when the device is lost. Of any thread.
Fate fate_of(Operation operation);

// Memory of the device. take_memory() is false, and nothing taken, when there is not so much.
bool take_memory(size_t bytes);
void give_memory(size_t bytes) noexcept;
// SIZE_MAX unless a plan limits it.
size_t free_memory();

}  // namespace doppel::emulator
