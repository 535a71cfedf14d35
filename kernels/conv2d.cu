// Convolution on a card and on the emulator: which of the kernels takes a shape, where none was chosen.
//
//   conv2d_ends*.cu     from and to at most 4 channels
//   conv2d_mma*.cu      bf16 on tensor cores, channels in multiples of 8
//   conv2d_wgmma*.cu    the same by the instructions of compute capability 9.0, where that was chosen
//   conv2d_simt*.cu     fp32 arithmetic, any shape
//   conv2d_epilogue.cu  the backward epilogue, any shape
#include "kernels/conv2d.h"

#include <stdexcept>
#include <string>

#include "kernels/conv2d_ends.h"
#include "kernels/conv2d_epilogue.h"
#include "kernels/conv2d_mma.h"
#include "kernels/conv2d_mma_plan.h"
#include "kernels/conv2d_simt.h"
#include "kernels/conv2d_wgmma.h"
#include "kernels/device/launch.h"
#include "kernels/device/launch_limits.h"
#include "kernels/left_out.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

enum class Family { ends, mma, wgmma, simt };

// DOPPEL_WITHOUT=wgmma in the environment takes all of them away, as if the device had none, clusters those of several
// blocks that run together.
std::vector<KernelChoice> offered_wgmma(const Conv2d& conv, Pass pass) {
  if (left_out("wgmma") || !has_wgmma() || !takes_wgmma(conv)) return {};
  std::vector<KernelChoice> choices = wgmma_choices(conv, pass, multiprocessors());
  if (left_out("clusters"))
    std::erase_if(choices, [](const KernelChoice& choice) { return wgmma_cluster(choice.kernel) > 1; });
  return choices;
}

bool takes_ends(const Conv2d& conv, Pass pass) {
  return pass == Pass::fprop   ? takes_ends_fprop(conv)
         : pass == Pass::dgrad ? takes_ends_dgrad(conv)
                               : takes_ends_wgrad(conv);
}

// Whose kernel runs a pass: the chosen one's, or the most special one's that takes the shape.
Family family_of(const Conv2d& conv, Pass pass) {
  const auto& [kernel, splits, algorithm, shares] = conv.kernels[pass];
  if (kernel == KernelKind::by_model)
    return takes_ends(conv, pass) ? Family::ends : takes_mma(conv) ? Family::mma : Family::simt;
  const bool takes = is_mma(kernel)               ? takes_mma(conv)
                     : is_wgmma(kernel)           ? takes_wgmma(conv) && has_wgmma()
                     : kernel == KernelKind::ends ? takes_ends(conv, pass) && splits == 1
                                                  : kernel == KernelKind::simt;
  if (!takes || splits < 1 || splits > kMostSplits)
    throw std::invalid_argument(
        std::string("conv2d: ") + name_of(kernel) + " in " +
        (shares > 0 ? std::to_string(shares) + " equal shares" : std::to_string(splits) + " parts") +
        " does not take this shape on this device");
  if (shares != 0 && (!is_wgmma(kernel) || pass != Pass::wgrad || splits != 1 || shares < 0 || shares > kMostSplits))
    throw std::invalid_argument(std::string("conv2d: no ") + name_of(pass) + " by " + name_of(kernel) + " in " +
                                std::to_string(splits) + " parts and " + std::to_string(shares) + " equal shares");
  if (kernel == KernelKind::simt && !simt_fits_grid(conv, pass))
    throw std::invalid_argument("conv2d: simt in " + std::to_string(splits) + " parts of " +
                                std::to_string(conv.groups) + " groups needs more than " +
                                std::to_string(kMostBlocksYZ) + " blocks along one axis of a grid; take fewer parts");
  return is_mma(kernel)               ? Family::mma
         : is_wgmma(kernel)           ? Family::wgmma
         : kernel == KernelKind::ends ? Family::ends
                                      : Family::simt;
}

}  // namespace

ConvWorkspace conv2d_workspace(const Conv2d& conv, const Epilogue& epilogue, Stream) {
  check(conv, epilogue);
  check_size(conv);
  const auto of = [&](Pass pass) {
    const Family family = family_of(conv, pass);
    return (family == Family::ends    ? ends_workspace
            : family == Family::mma   ? mma_workspace
            : family == Family::wgmma ? wgmma_workspace
                                      : simt_workspace)(conv, epilogue);
  };
  return {of(Pass::fprop).fprop, epilogue_workspace(conv), of(Pass::dgrad).dgrad, of(Pass::wgrad).wgrad};
}

std::vector<KernelChoice> conv2d_choices(const Conv2d& conv, Pass pass, Stream) {
  Conv2d free = conv;
  free.kernels = {};
  const Family family = family_of(free, pass);
  if (family == Family::mma) {
    std::vector<KernelChoice> choices = mma_choices(free, pass);
    const std::vector<KernelChoice> more = offered_wgmma(free, pass);
    choices.insert(choices.end(), more.begin(), more.end());
    return choices;
  }
  std::vector<KernelChoice> choices = simt_choices(free, pass);
  if (family == Family::ends) choices.insert(choices.begin(), {KernelKind::ends, 1});
  return choices;
}

void conv2d_fprop(void* y, const void* x, const void* w, const float* b, const Conv2d& conv, const Epilogue& epilogue,
                  void* workspace, Stream stream, void* saved) {
  const Family family = family_of(conv, Pass::fprop);
  const auto fprop = family == Family::ends    ? ends_fprop
                     : family == Family::mma   ? mma_fprop
                     : family == Family::wgmma ? wgmma_fprop
                                               : simt_fprop;
  fprop(y, saves_input(epilogue.activation) ? saved : nullptr, x, w, b, conv, epilogue, workspace, stream);
}

void conv2d_backward_epilogue(void* dz, float* db, const void* dy, const void* saved, const Conv2d& conv,
                              const Epilogue& epilogue, void* workspace, Stream stream) {
  launch_backward_epilogue(dz, db, dy, saved, conv, epilogue, workspace, stream);
}

void conv2d_dgrad(void* dx, const void* dz, const void* w, const Conv2d& conv, void* workspace, Stream stream) {
  const Family family = family_of(conv, Pass::dgrad);
  const auto dgrad = family == Family::ends    ? ends_dgrad
                     : family == Family::mma   ? mma_dgrad
                     : family == Family::wgmma ? wgmma_dgrad
                                               : simt_dgrad;
  dgrad(dx, dz, w, conv, workspace, stream);
}

void conv2d_wgrad(float* dw, const void* x, const void* dz, const Conv2d& conv, void* workspace, Stream stream) {
  const Family family = family_of(conv, Pass::wgrad);
  const auto wgrad = family == Family::ends    ? ends_wgrad
                     : family == Family::mma   ? mma_wgrad
                     : family == Family::wgmma ? wgmma_wgrad
                                               : simt_wgrad;
  wgrad(dw, x, dz, conv, workspace, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
