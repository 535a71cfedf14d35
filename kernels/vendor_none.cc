// A build without cuDNN's and cuBLASLt's headers.
#if !defined(DOPPEL_CUDNN)

#include "kernels/vendor.h"

namespace doppel {

const VendorLibraries& vendor_libraries() {
  static const VendorLibraries none = [] {
    const VendorLibraries::One missing{"", "this build of doppel has no cuDNN and cuBLASLt"};
    return VendorLibraries{missing, missing};
  }();
  return none;
}

}  // namespace doppel

#endif
