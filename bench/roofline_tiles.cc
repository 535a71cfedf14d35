#include "bench/roofline_tiles.h"

#include "kernels/conv2d_mma_tile.h"
#include "kernels/conv2d_wgmma_tile.h"

namespace doppel::bench {
namespace {

template <typename T>
KernelTile tile_of(const char* name) {
  return {T::kM, T::kN, T::kK, 1, T::kThreads, T::kShared, name};
}
template <typename T>
KernelTile wgmma_tile_of(const char* name) {
  KernelTile tile = tile_of<T>(name);
  tile.cluster = T::kBlocks;
  return tile;
}

}  // namespace

std::optional<KernelTile> kernel_tile(KernelKind kernel) {
  namespace on = ::doppel::DOPPEL_BACKEND;
  switch (kernel) {
    case KernelKind::mma_128x128:
      return tile_of<on::LargeTile>("Tile<128, 128,");
    case KernelKind::mma_128x64:
      return tile_of<on::TallTile>("Tile<128, 64,");
    case KernelKind::mma_64x64:
      return tile_of<on::SmallTile>("Tile<64, 64,");
    case KernelKind::wgmma_128x256:
      return wgmma_tile_of<on::WideWgmmaTile>("WgmmaTile<128, 256, 4, 1>");
    case KernelKind::wgmma_256x128:
      return wgmma_tile_of<on::TallWgmmaTile>("WgmmaTile<256, 128,");
    case KernelKind::wgmma_128x128:
      return wgmma_tile_of<on::SquareWgmmaTile>("WgmmaTile<128, 128,");
    case KernelKind::wgmma_128x256_pair:
      return wgmma_tile_of<on::WidePairWgmmaTile>("WgmmaTile<128, 256, 4, 2>");
    default:
      return std::nullopt;
  }
}

}  // namespace doppel::bench
