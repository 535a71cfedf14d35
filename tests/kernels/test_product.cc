// The CPU's plain matrix products, which stand in where there is no oneDNN.
#include "kernels/harness.h"
#include "kernels/product_cpu.h"

namespace doppel::testing {
namespace {

// In double: the sum, f of it, and how far an fp32 sum rounded to the type of the output may lie off.
void check_product(const ProductShape& s) {
  INFO(s.rows << " x " << s.inner << " x " << s.columns << (s.a_transposed ? ", a transposed" : "")
              << (s.b_transposed ? ", b transposed" : ""));
  const Buffer a(s.type, uniform(1, s.rows * s.inner)), b(s.type, uniform(2, s.inner * s.columns));
  Buffer bias(DType::f32, uniform(3, s.columns)), out(s.out_type, s.rows * s.columns);
  Doubles want, allowed;
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t j = 0; j < s.columns; ++j) {
      double sum = s.bias ? bias[j] : 0, size = std::abs(sum);
      for (int64_t l = 0; l < s.inner; ++l) {
        const double product = a[s.a_transposed ? l * s.rows + i : i * s.inner + l] *
                               b[s.b_transposed ? j * s.inner + l : l * s.columns + j];
        sum += product;
        size += std::abs(product);
      }
      if (s.epilogue.activation == Activation::leaky_relu && sum < 0) sum *= double(s.epilogue.slope);
      if (s.epilogue.activation == Activation::sigmoid) sum = 1 / (1 + std::exp(-sum));
      want.push_back(sum);
      allowed.push_back(sum_error(double(s.inner)) * size + unit_roundoff(s.out_type) * std::abs(sum));
    }
  plain::product(out.data(), a.data(), b.data(), s.bias ? bias.f32() : nullptr, s);
  CHECK(mismatch(out, want, allowed) == "");
  Buffer again(s.out_type, s.rows * s.columns);
  with_threads(3, [&] { plain::product(again.data(), a.data(), b.data(), s.bias ? bias.f32() : nullptr, s); });
  CHECK(again.same_bits(out));
}

}  // namespace

TEST_CASE("plain products agree with sums in double", "[product]") {
  for (const DType type : {DType::f32, DType::bf16})
    for (const DType out : {DType::f32, DType::bf16})
      for (const bool a_transposed : {false, true})
        for (const bool b_transposed : {false, true}) {
          ProductShape s{65, 300, 129, type, out, a_transposed, b_transposed};
          check_product(s);
          s.bias = true;
          s.epilogue = {Activation::leaky_relu, 0.1f, false};
          check_product(s);
        }
  ProductShape narrow{3, 1, 2, DType::f32, DType::f32};
  narrow.bias = true;
  narrow.epilogue.activation = Activation::sigmoid;
  check_product(narrow);
}

}  // namespace doppel::testing
