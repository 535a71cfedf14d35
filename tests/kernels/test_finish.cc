// The passes around a library's products.
#include "kernels/finish.h"

#include "kernels/harness.h"
#include "kernels/reference.h"

using namespace doppel;
using namespace doppel::testing;

TEST_CASE("finish: bias, activation and shuffle", "[finish][emulator]") {
  on_emulator_and_card([](Stream stream) {
    for (const Activation activation : {Activation::none, Activation::leaky_relu, Activation::sigmoid})
      for (const auto& [z_type, y_type] : {std::pair{DType::f32, DType::f32}, std::pair{DType::bf16, DType::f32},
                                           std::pair{DType::f32, DType::bf16}, std::pair{DType::bf16, DType::bf16}})
        for (const bool shuffle : {false, true})
          for (const bool bias : {false, true}) {
            const Finish f{2, 3, 5, 12, z_type, y_type, activation, 0.1f, shuffle};
            INFO("activation " << int(activation) << " shuffle " << shuffle << " bias " << bias);
            const int64_t count = 2 * 3 * 5 * 12;
            const Buffer z(z_type, uniform(1, count));
            Buffer b(DType::f32, uniform(2, 12)), y(y_type, count);
            finish(y.data(), z.data(), bias ? b.f32() : nullptr, f, stream);
            Doubles want(size_t(count), 0.0);
            for (int64_t i = 0; i < count; ++i)
              want[size_t(i)] = reference::activate(activation, z[i] + (bias ? b[i % 12] : 0), double(f.slope));
            if (shuffle) want = reference::pixel_shuffle({2, 3, 5, 3, DType::f32}, want);
            Doubles allowed(size_t(count), 0.0);
            for (size_t i = 0; i < allowed.size(); ++i)
              allowed[i] = 8 * kRound + (y_type == DType::bf16 ? 1.01 * unit_roundoff(y_type) * std::abs(want[i]) : 0);
            CHECK(mismatch(y, want, allowed) == "");
          }
  });
}

TEST_CASE("column sums", "[finish][emulator]") {
  on_emulator_and_card([](Stream stream) {
    for (const DType type : {DType::f32, DType::bf16})
      for (const auto& [rows, columns] : {std::pair{1, 1}, std::pair{7, 3}, std::pair{33, 256}, std::pair{5, 300}}) {
        INFO(rows << " rows, " << columns << " columns");
        const Buffer x(type, uniform(1, int64_t(rows) * columns));
        Buffer sums(DType::f32, columns);
        column_sums(sums.f32(), x.data(), rows, columns, type, stream);
        Doubles want(size_t(columns), 0.0), allowed = want;
        for (int64_t i = 0; i < x.count(); ++i) {
          want[size_t(i % columns)] += x[i];
          allowed[size_t(i % columns)] += std::abs(x[i]) * sum_error(rows);
        }
        CHECK(mismatch(sums, want, allowed) == "");
      }
  });
}
