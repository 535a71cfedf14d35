// Convolutions by kernels that are named, where compute capability 9.0 is emulated and there is a card of it.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>

#include "kernels/conv_checks.h"
#include "kernels/hopper_backends.h"

namespace doppel::testing {

// DOPPEL_WITHOUT in the environment; as it was before when this ends.
class Without {
 public:
  Without() : was_set_(std::getenv("DOPPEL_WITHOUT")), before_(was_set_ ? std::getenv("DOPPEL_WITHOUT") : "") {
    set("");
  }
  ~Without() {
    if (was_set_)
      set(before_.c_str());
    else
      unsetenv("DOPPEL_WITHOUT");
  }
  Without(const Without&) = delete;
  Without& operator=(const Without&) = delete;

  void set(const char* kernels) { setenv("DOPPEL_WITHOUT", kernels, 1); }

 private:
  bool was_set_;
  std::string before_;
};

// All launchers with each choice, each in another of the emulator's orders: that the orders give the same bits is a
// test of its own.
inline void check_choices(Conv2d conv, const Epilogue& epilogue, std::initializer_list<KernelChoice> choices,
                          uint64_t seed, DType out_type = DType::bf16) {
  conv.type = DType::bf16, conv.out_type = out_type;
  int order = int(seed);
  for (const KernelChoice& choice : choices) {
    conv.kernels = {choice, choice, choice};
    const auto check_them = [&](Stream stream) { check_launchers(conv, epilogue, seed, true, stream); };
    on_emulated_hopper(emulator::Order(order++ % 3), check_them);
    on_hopper(check_them);
  }
}

inline std::unique_ptr<ConvRun> run(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed, Stream stream) {
  auto made = std::make_unique<ConvRun>(conv, epilogue, seed, stream);
  made->all();
  return made;
}

inline void check_same_bits(const ConvRun& first, const ConvRun& second) {
  CHECK(first.y.same_bits(second.y));
  CHECK(first.dx.same_bits(second.dx));
  CHECK(first.dw.same_bits(second.dw));
}

}  // namespace doppel::testing
