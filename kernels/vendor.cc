#include "kernels/vendor.h"

#if !defined(DOPPEL_CUDNN)

#include <stdexcept>

namespace doppel {

std::string vendor_problem() {
  return "this build of doppel has no cuDNN and cuBLASLt";
}

std::string vendor_versions() {
  throw std::runtime_error(vendor_problem());
}

}  // namespace doppel

#endif
