// Dense layers by cuBLASLt. It sees matrices by columns: our row-major [rows, columns] is its [columns, rows].
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/finish.h"
#include "kernels/vendor.h"
#include "kernels/vendor/library.h"

namespace doppel::on_vendor {
namespace {

using vendor::cublaslt;
using vendor::Parts;

constexpr size_t kWorkspace = size_t(32) << 20;

cudaDataType_t type_of(DType type) {
  return type == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

// d [m, n] = op(a) [m, k] op(b) [k, n], all by columns.
struct Product {
  bool a_transposed, b_transposed;
  int m, n, k;
  DType type, d_type;
  // Values of a training step lie at multiples of 64 bytes (runtime/plan.cc), parameters and test operands at least 16.
  uint32_t alignment = 16;
  bool operator==(const Product&) const = default;
};

// Made once for each and kept, as the handle is.
struct Plan {
  Product product;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  std::vector<cublasLtMatmulAlgo_t> algorithms;  // at least one
};

cublasLtMatrixLayout_t layout(DType type, int rows, int columns) {
  cublasLtMatrixLayout_t l = nullptr;
  DOPPEL_CHECK_LIBRARY(
      cublaslt().cublasLtMatrixLayoutCreate(&l, type_of(type), uint64_t(rows), uint64_t(columns), rows),
      "a matrix for cuBLASLt");
  return l;
}

template <typename T>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)),
                       "a product for cuBLASLt");
}

std::unique_ptr<Plan> make_plan(const Product& p) {
  auto plan = std::make_unique<Plan>();
  plan->product = p;
  DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtMatmulDescCreate(&plan->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                       "a product for cuBLASLt");
  set(plan->operation, CUBLASLT_MATMUL_DESC_TRANSA, p.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan->operation, CUBLASLT_MATMUL_DESC_TRANSB, p.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  plan->a = p.a_transposed ? layout(p.type, p.k, p.m) : layout(p.type, p.m, p.k);
  plan->b = p.b_transposed ? layout(p.type, p.n, p.k) : layout(p.type, p.k, p.n);
  plan->d = layout(p.d_type, p.m, p.n);
  cublasLtMatmulPreference_t preference = nullptr;
  DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtMatmulPreferenceCreate(&preference), "a preference for cuBLASLt");
  DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtMatmulPreferenceSetAttribute(
                           preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof(kWorkspace)),
                       "a preference for cuBLASLt");
  // Left to itself cuBLASLt takes 256 for granted.
  for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    DOPPEL_CHECK_LIBRARY(
        cublaslt().cublasLtMatmulPreferenceSetAttribute(preference, attribute, &p.alignment, sizeof(p.alignment)),
        "a preference for cuBLASLt");
  std::array<cublasLtMatmulHeuristicResult_t, vendor::kMostAlgorithms> found{};
  int count = 0;
  DOPPEL_CHECK_LIBRARY(
      cublaslt().cublasLtMatmulAlgoGetHeuristic(vendor::cublaslt_handle(), plan->operation, plan->a, plan->b, plan->d,
                                                plan->d, preference, int(found.size()), found.data(), &count),
      "choosing an algorithm of cuBLASLt");
  DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtMatmulPreferenceDestroy(preference), "a preference for cuBLASLt");
  for (int i = 0; i < count; ++i)
    if (found[size_t(i)].state == CUBLAS_STATUS_SUCCESS) plan->algorithms.push_back(found[size_t(i)].algo);
  if (plan->algorithms.empty()) throw std::runtime_error("cuBLASLt has no algorithm for this product");
  return plan;
}

const Plan& plan_of(const Product& product) {
  thread_local std::vector<std::unique_ptr<Plan>> plans;
  for (const auto& plan : plans)
    if (plan->product == product) return *plan;
  return *plans.emplace_back(make_plan(product));
}

// What a pass multiplies: see its launcher.
Product product_of(const Dense& dense, Pass pass) {
  if (pass == Pass::fprop) return {true, false, dense.k, dense.n, dense.c, dense.type, DType::f32};
  if (pass == Pass::dgrad) return {false, false, dense.c, dense.n, dense.k, dense.type, dense.type};
  return {false, true, dense.c, dense.k, dense.n, dense.type, DType::f32};
}

// Of fprop what cuBLASLt does alone: its sums are rounded to y at once, and buffers are whole allocations.
Product bare_product(const Dense& dense) {
  return {true, false, dense.k, dense.n, dense.c, dense.type, dense.type, 256};
}

std::vector<KernelChoice> choices_of(const Product& product) {
  std::vector<KernelChoice> choices;
  if (!vendor_libraries().cublaslt.problem.empty()) return choices;
  const int count = int(plan_of(product).algorithms.size());
  for (int number = 1; number <= count; ++number) choices.push_back({KernelKind::vendor, 1, number});
  return choices;
}

void multiply(void* d, const void* a, const void* b, const Product& product, const KernelChoice& choice,
              void* workspace, Stream stream) {
  const Plan& plan = plan_of(product);
  const int number = choice.kernel == KernelKind::vendor && choice.algorithm != 0 ? choice.algorithm : 1;
  if (number < 1 || number > int(plan.algorithms.size()))
    throw std::invalid_argument("dense: cuBLASLt has no algorithm " + std::to_string(number) + " for this product");
  const float one = 1, zero = 0;
  DOPPEL_CHECK_LIBRARY(cublaslt().cublasLtMatmul(vendor::cublaslt_handle(), plan.operation, &one, a, plan.a, b, plan.b,
                                                 &zero, d, plan.d, d, plan.d, &plan.algorithms[size_t(number - 1)],
                                                 workspace, kWorkspace, vendor::cuda_stream(stream)),
                       "a product by cuBLASLt");
}

void multiply(void* d, const void* a, const void* b, const Dense& dense, Pass pass, void* workspace, Stream stream) {
  multiply(d, a, b, product_of(dense, pass), dense.kernels[pass], workspace, stream);
}

size_t sums_bytes(const Dense& dense) {
  return dense.type == DType::bf16 ? size_t(dense.n) * size_t(dense.k) * 4 : 0;
}

}  // namespace

DenseWorkspace dense_workspace(const Dense& dense, Stream) {
  Parts fprop(nullptr);
  fprop.take(kWorkspace);
  fprop.take(sums_bytes(dense));
  return {fprop.used(), kWorkspace, kWorkspace};
}

std::vector<KernelChoice> dense_choices(const Dense& dense, Pass pass, Stream) {
  return choices_of(product_of(dense, pass));
}

// y [N,K] = x [N,C] w [K,C]^T; by columns: y [K,N] = w [C,K]^T x [C,N]. The sums stay fp32 until the bias is added.
void dense_fprop(void* y, const void* x, const void* w, const float* b, const Dense& dense, void* workspace,
                 Stream stream) {
  Parts parts(workspace);
  void* own = parts.take(kWorkspace);
  void* sums = dense.type == DType::bf16 ? parts.take(sums_bytes(dense)) : y;
  multiply(sums, w, x, dense, Pass::fprop, own, stream);
  finish(y, sums, b, {dense.n, 1, 1, dense.k, DType::f32, dense.type}, stream);
}

size_t dense_product_workspace() {
  return kWorkspace;
}

std::vector<KernelChoice> dense_product_choices(const Dense& dense) {
  return choices_of(bare_product(dense));
}

void dense_product(void* y, const void* x, const void* w, const Dense& dense, void* workspace, Stream stream) {
  multiply(y, w, x, bare_product(dense), dense.kernels.fprop, workspace, stream);
}

// dx [C,N] = w [C,K] dy [K,N]
void dense_dgrad(void* dx, const void* dy, const void* w, const Dense& dense, void* workspace, Stream stream) {
  multiply(dx, w, dy, dense, Pass::dgrad, workspace, stream);
}

// dw [C,K] = x [C,N] dy [K,N]^T
void dense_wgrad(float* dw, float* db, const void* x, const void* dy, const Dense& dense, void* workspace,
                 Stream stream) {
  multiply(dw, x, dy, dense, Pass::wgrad, workspace, stream);
  column_sums(db, dy, dense.n, dense.k, dense.type, stream);
}

}  // namespace doppel::on_vendor
