#include "kernels/vendor.h"

#if !defined(DOPPEL_CUDNN)

namespace doppel {

std::string vendor_problem() {
  return "this build of doppel has no cuDNN and cuBLASLt";
}

}  // namespace doppel

#endif
