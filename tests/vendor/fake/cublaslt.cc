// The fake cuBLASLt: three algorithms for each product.
#include <cublasLt.h>

#include <algorithm>

#include "vendor/fake/fake.h"

using doppel::DType;
using namespace doppel::fake;

namespace {

struct Matrix {
  DType type;
  uint64_t rows, columns;
  size_t at(uint64_t row, uint64_t column) const { return column * rows + row; }
};
struct Operation {
  bool transposed[2] = {};
};
struct Preference {
  size_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};  // of a, b, c, d
};

template <typename T>
T& hidden(void* opaque) {
  return *static_cast<T*>(opaque);
}

}  // namespace

extern "C" {

Call last_call;

size_t cublasLtGetVersion() {
  return kCublasLtVersion;
}
const char* cublasLtGetStatusString(cublasStatus_t) {
  return "a failure";
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(make<int>());
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *operation = reinterpret_cast<cublasLtMatmulDesc_t>(make<Operation>());
  return compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  if (bytes != sizeof(cublasOperation_t)) return CUBLAS_STATUS_INVALID_VALUE;
  cublasOperation_t op;
  std::memcpy(&op, value, bytes);
  hidden<Operation>(operation).transposed[attribute == CUBLASLT_MATMUL_DESC_TRANSB] = op == CUBLAS_OP_T;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(make<Matrix>());
  hidden<Matrix>(*layout) = {type == CUDA_R_32F ? DType::f32 : DType::bf16, rows, columns};
  return uint64_t(ld) == rows ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(make<Preference>());
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    size_t bytes) {
  Preference& p = hidden<Preference>(preference);
  if (attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
      attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES && bytes == sizeof(uint32_t)) {
    std::memcpy(&p.alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  }
  if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES || bytes != sizeof(size_t))
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&p.workspace, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t* found, int* count) {
  *count = 0;
  for (const uint64_t number : {10, 11, 12, 13}) {
    if (*count == most) break;
    cublasLtMatmulHeuristicResult_t& f = found[(*count)++];
    f = {};
    f.algo.data[0] = number;
    const Preference& p = hidden<Preference>(preference);
    f.algo.data[1] = *std::max_element(std::begin(p.alignment), std::end(p.alignment));
    f.workspaceSize = p.workspace;
    f.state = number == 11 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t al, const void* b, cublasLtMatrixLayout_t bl, const void* beta,
                              const void* c, cublasLtMatrixLayout_t cl, void* d, cublasLtMatrixLayout_t dl,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t bytes, cudaStream_t) {
  const Operation& op = hidden<Operation>(operation);
  const Matrix &am = hidden<Matrix>(al), &bm = hidden<Matrix>(bl), &dm = hidden<Matrix>(dl);
  const uint64_t m = op.transposed[0] ? am.columns : am.rows, k = op.transposed[0] ? am.rows : am.columns,
                 n = op.transposed[1] ? bm.rows : bm.columns, k_of_b = op.transposed[1] ? bm.columns : bm.rows;
  const uint64_t alignment = algorithm->data[1];
  const auto misaligned = [&](const void* p) { return reinterpret_cast<uintptr_t>(p) % alignment != 0; };
  if (misaligned(a) || misaligned(b) || misaligned(d)) return CUBLAS_STATUS_INVALID_VALUE;
  if (m != dm.rows || n != dm.columns || k != k_of_b || c != d || cl != dl || !workspace ||
      *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  last_call = {int(algorithm->data[0]), bytes, -1, uint32_t(alignment)};
  std::memset(workspace, 0xFF, bytes);
  for (uint64_t i = 0; i < m; ++i)
    for (uint64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (uint64_t l = 0; l < k; ++l)
        sum += read(a, op.transposed[0] ? am.at(l, i) : am.at(i, l), am.type) *
               read(b, op.transposed[1] ? bm.at(j, l) : bm.at(l, j), bm.type);
      write(d, dm.at(i, j), dm.type, sum);
    }
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
