#include "kernels/vendor.h"

namespace doppel {

std::string VendorLibraries::versions() const {
  const bool both = !cudnn.version.empty() && !cublaslt.version.empty();
  return cudnn.version + (both ? ", " : "") + cublaslt.version;
}

std::vector<std::string> VendorLibraries::lines() const {
  std::vector<std::string> lines;
  if (const std::string found = versions(); !found.empty()) lines.push_back("libraries: " + found);
  if (cudnn.problem == cublaslt.problem && !cudnn.problem.empty()) {
    lines.push_back("cuDNN and cuBLASLt are left out: " + cudnn.problem);
  } else {
    if (!cudnn.problem.empty()) lines.push_back("cuDNN is left out: " + cudnn.problem);
    if (!cublaslt.problem.empty()) lines.push_back("cuBLASLt is left out: " + cublaslt.problem);
  }
  return lines;
}

}  // namespace doppel
