// What the tests of all operators share: backends to run on, buffers with guard bands that start out poisoned,
// deterministic inputs, and a comparison that no NaN passes.
#pragma once

#include <omp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "backends.h"
#include "kernels/dtype.h"
#include "kernels/emulator/emulator.h"
#include "kernels/philox.h"
#include "kernels/stream.h"
#include "kernels/test_memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace doppel::testing {

using Doubles = std::vector<double>;

// Largest relative error of one rounding: 2^-p for a significand of p bits.
constexpr double unit_roundoff(DType t) {
  return t == DType::bf16 ? 0x1p-8 : 0x1p-24;
}
constexpr double kRound = unit_roundoff(DType::f32);

// Error of a sum of `terms` products in fp32, as a factor of the sum of their absolute values. The certain bound is
// terms * 2^-24; roundings of either sign make it a random walk, of which 4 deviations and a few single roundings are
// allowed (Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019).
inline double sum_error(double terms) {
  return (4 * std::sqrt(terms) + 4) * kRound;
}

// `count` elements at a 64-byte boundary, or `shift` elements behind one, with a guard band on either side. Elements
// are NaN (u8: 255) until written, and to kernels on the checked emulator they hold nothing.
class Buffer {
 public:
  Buffer(DType type, int64_t count, int shift = 0)
      : type_(type),
        count_(checked(count)),
        memory_(size_t(bytes()) + 2 * kGuard + kAlignment + size_t(shift) * size_of(type), kGuardByte) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data()) + kGuard;
    data_ = memory_.data() + kGuard + (kAlignment - address % kAlignment) % kAlignment + size_t(shift) * size_of(type);
    std::memset(data_, 0xFF, size_t(bytes()));
    emulator::add_memory(data_, size_t(bytes()));
    emulator::forget_contents(data_, size_t(bytes()));
    close_guards();
  }
  // Holds `values`, each rounded to `type`.
  Buffer(DType type, const Doubles& values, int shift = 0) : Buffer(type, int64_t(values.size()), shift) {
    for (int64_t i = 0; i < count_; ++i) set(i, values[size_t(i)]);
  }
  ~Buffer() {
    emulator::remove_memory(data_);
    open_guards();
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() { return data_; }
  const void* data() const { return data_; }
  float* f32() { return type_ == DType::f32 ? reinterpret_cast<float*>(data_) : nullptr; }
  Bf16* bf16() { return type_ == DType::bf16 ? reinterpret_cast<Bf16*>(data_) : nullptr; }
  uint8_t* u8() { return data_; }
  int64_t count() const { return count_; }
  int64_t bytes() const { return count_ * int64_t(size_of(type_)); }
  DType type() const { return type_; }

  double operator[](int64_t i) const {
    settle();
    return value(i);
  }
  void set(int64_t i, double value) {
    const float f = float(value);
    const Bf16 b = to_bf16(f);
    if (type_ == DType::u8) data_[i] = uint8_t(value);
    if (type_ == DType::bf16) std::memcpy(data_ + 2 * i, &b, 2);
    if (type_ == DType::f32) std::memcpy(data_ + 4 * i, &f, 4);
    emulator::written_by_host(data_ + i * int64_t(size_of(type_)), size_of(type_));
  }
  // The test has written all of it through data(), perhaps what it holds when it is new.
  void set_written() const { emulator::written_by_host(data_, size_t(bytes())); }
  Doubles values() const {
    settle();  // once: it is not free on a card
    Doubles v(static_cast<size_t>(count_));
    for (int64_t i = 0; i < count_; ++i) v[size_t(i)] = value(i);
    return v;
  }
  bool same_bits(const Buffer& other) const {
    settle();
    return bytes() == other.bytes() && std::memcmp(data_, other.data_, size_t(bytes())) == 0;
  }
  bool guards_intact() const {
    settle();
    open_guards();
    const auto whole = [](const uint8_t* begin, const uint8_t* end) {
      return std::all_of(begin, end, [](uint8_t b) { return b == kGuardByte; });
    };
    const bool intact =
        whole(memory_.data(), data_) && whole(data_ + bytes(), memory_.data() + int64_t(memory_.size()));
    close_guards();
    return intact;
  }

 private:
  static constexpr size_t kGuard = 256, kAlignment = 64;
  static constexpr uint8_t kGuardByte = 0xA5;

  static int64_t checked(int64_t count) {
    if (count < 0 || count > int64_t(1) << 32) throw std::length_error("a test's buffer has an absurd size");
    return count;
  }

  double value(int64_t i) const {
    if (type_ == DType::u8) return data_[i];
    if (type_ == DType::bf16) {
      Bf16 v;
      std::memcpy(&v, data_ + 2 * i, 2);
      return double(to_float(v));
    }
    float v;
    std::memcpy(&v, data_ + 4 * i, 4);
    return double(v);
  }

  // Under AddressSanitizer a read of a guard band fails at once.
  void close_guards() const {
    ASAN_POISON_MEMORY_REGION(memory_.data(), data_ - memory_.data());
    ASAN_POISON_MEMORY_REGION(data_ + bytes(), memory_.data() + memory_.size() - (data_ + bytes()));
  }
  void open_guards() const { ASAN_UNPOISON_MEMORY_REGION(memory_.data(), memory_.size()); }

  DType type_;
  int64_t count_;
  Memory memory_;
  uint8_t* data_;
};

// `count` elements of any trivial type where kernels may use them, in a guarded buffer.
template <typename T>
class Values {
 public:
  explicit Values(int64_t count) : buffer_(DType::u8, count * int64_t(sizeof(T))) {}
  T* data() { return static_cast<T*>(buffer_.data()); }
  T& operator[](int64_t i) {
    settle();
    emulator::written_by_host(data() + i, sizeof(T));
    return data()[i];
  }
  // As Buffer's.
  void set_written() const { buffer_.set_written(); }
  // Takes `values`, of which there are as many.
  void assign(const std::vector<T>& values) {
    std::copy(values.begin(), values.end(), data());
    set_written();
  }
  int64_t count() const { return buffer_.bytes() / int64_t(sizeof(T)); }
  bool guards_intact() const { return buffer_.guards_intact(); }

 private:
  Buffer buffer_;
};

// ---- backends -------------------------------------------------------------------------------------------------------

// Calls body(stream) for the emulator, with blocks and warps in one order.
template <typename Body>
void on_emulator(emulator::Order order, Body&& body) {
  if (!backend_wanted("emulator")) return;
  constexpr const char* kNames[] = {"forward", "reverse", "shuffled"};
  INFO("on the emulator, order " << kNames[int(order)]);
  const emulator::Options before = emulator::options();
  emulator::options().blocks = emulator::options().warps = order;
  body(Stream{Device::emulator});
  emulator::options() = before;
}

// The same in three orders.
template <typename Body>
void on_emulator(Body&& body) {
  using emulator::Order;
  for (const Order order : {Order::forward, Order::reverse, Order::shuffled}) on_emulator(order, body);
}

// Calls body(stream) for the card if there is one.
template <typename Body>
void on_card(Body&& body) {
  if (!card_present() || emulator::checked() || !backend_wanted("cuda")) return;
  INFO("on the card");
  body(Stream{Device::cuda});
}

// For what the CPU has not.
template <typename Body>
void on_emulator_and_card(Body&& body) {
  on_emulator(body);
  on_card(body);
}

// Calls body(stream) for the CPU, the emulator, and the card if there is one. On the checked build: for the emulator.
template <typename Body>
void on_backends(Body&& body) {
  if (!emulator::checked() && backend_wanted("cpu")) {
    INFO("on the CPU");
    body(Stream{Device::cpu});
  }
  on_emulator(body);
  on_card(body);
}

// The same, on the emulator in one order: for checks that run a launcher many times.
template <typename Body>
void on_backends(emulator::Order order, Body&& body) {
  if (!emulator::checked() && backend_wanted("cpu")) {
    INFO("on the CPU");
    body(Stream{Device::cpu});
  }
  on_emulator(order, body);
  on_card(body);
}

// Without the emulator, for what would take it minutes.
template <typename Body>
void on_fast_backends(Body&& body) {
  if (backend_wanted("cpu")) {
    INFO("on the CPU");
    body(Stream{Device::cpu});
  }
  on_card(body);
}

// Deterministic inputs.
inline Doubles uniform(uint64_t seed, int64_t count, float low = -1, float high = 1) {
  Random random(seed, 0, 0);
  Doubles v(static_cast<size_t>(count));
  for (double& e : v) e = double(random.uniform(low, high));
  return v;
}

inline Doubles absolute(Doubles v) {
  for (double& e : v) e = std::abs(e);
  return v;
}
inline Doubles scaled(Doubles v, double factor) {
  for (double& e : v) e *= factor;
  return v;
}
inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
inline double norm(const Doubles& a) {
  return std::sqrt(dot(a, a));
}

// "" when the guard bands of `got` are whole and every element is finite and no further from `want` than `allowed`
// says; else what is wrong and where. To be used as CHECK(mismatch(...) == "").
inline std::string mismatch(const Buffer& got, const Doubles& want, const Doubles& allowed) {
  std::ostringstream out;
  if (!got.guards_intact()) return "written outside the buffer";
  if (want.size() != size_t(got.count()) || allowed.size() != want.size()) {
    out << got.count() << " elements, " << want.size() << " wanted, " << allowed.size() << " tolerances";
    return out.str();
  }
  size_t wrong = 0, worst = 0;
  double worst_ratio = 1;
  const Doubles values = got.values();
  for (size_t i = 0; i < want.size(); ++i) {
    // The constant lets numbers below the normal range of fp32 count as 0, as the bf16 instructions do.
    const double ratio = std::abs(values[i] - want[i]) / (allowed[i] + 0x1p-120);
    if (ratio <= 1 && std::isfinite(values[i])) continue;
    ++wrong;
    if (wrong == 1 || !(ratio <= worst_ratio)) worst = i, worst_ratio = ratio;
  }
  if (wrong == 0) return "";
  out << wrong << " of " << want.size() << " wrong; the worst is element " << worst << ": " << values[worst]
      << ", wanted " << want[worst] << " +- " << allowed[worst];
  return out.str();
}

// Runs `body` with `threads` threads and restores the number there was.
template <typename Body>
void with_threads(int threads, Body&& body) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  body();
  omp_set_num_threads(before);
}

// (f(x + h d) - f(x - h d)) / 2h. `f` takes Doubles.
template <typename F>
double central_difference(F&& f, const Doubles& x, const Doubles& direction, double h) {
  Doubles plus = x, minus = x;
  for (size_t i = 0; i < x.size(); ++i) {
    plus[i] += h * direction[i];
    minus[i] -= h * direction[i];
  }
  return (f(plus) - f(minus)) / (2 * h);
}

// A direction of +1 and -1: along it the derivative is about as large as the gradient's norm.
inline Doubles signs(uint64_t seed, int64_t count) {
  Doubles v = uniform(seed, count);
  for (double& e : v) e = e < 0 ? -1 : 1;
  return v;
}

}  // namespace doppel::testing
