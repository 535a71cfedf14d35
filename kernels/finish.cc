#include "kernels/finish.h"

#include <stdexcept>

#include "kernels/backends.h"

namespace doppel {

namespace on_cpu {
namespace {
[[noreturn]] void nothing_to_finish() {
  throw std::logic_error("finish and column_sums belong to libraries on a card; on the CPU there is nothing to finish");
}
}  // namespace
void finish(void*, const void*, const float*, const Finish&, Stream) {
  nothing_to_finish();
}
void column_sums(float*, const void*, int64_t, int, DType, Stream) {
  nothing_to_finish();
}
}  // namespace on_cpu

DOPPEL_BACKENDS(finish)
void finish(void* y, const void* z, const float* b, const Finish& f, Stream stream) {
  DOPPEL_PICK(finish, stream)(y, z, b, f, stream);
}

DOPPEL_BACKENDS(column_sums)
void column_sums(float* sums, const void* x, int64_t rows, int columns, DType type, Stream stream) {
  DOPPEL_PICK(column_sums, stream)(sums, x, rows, columns, type, stream);
}

}  // namespace doppel
