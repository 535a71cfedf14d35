// Bulk copies of tensors: PTX ISA 5.5 (tensors) and 9.7.9.27, cp.async.bulk.tensor.
#include <vector>

#include "kernels/emulator/block.h"
#include "kernels/emulator/tensor_map.h"

namespace doppel::emulator {
namespace {

constexpr int kRowBytes = 128, kUnit = 16, kElement = 2;

// Collects the units of 16 bytes of a box whose rows are 128 bytes, unit u of each row in the place that the swizzle
// gives it: bits 4 to 6 of the shared address are exclusive-ored with bits 7 to 9.
class Box {
 public:
  Box(void* to, const TensorMap& map, Where where) : to_(static_cast<unsigned char*>(to)), map_(map), where_(where) {}

  // The next row: channels from `c` on of the pixel (or row) at `from`; zeros if it is not `inside`.
  void row(const unsigned char* from, int64_t c, bool inside) {
    for (int u = 0; u < kRowBytes / kUnit; ++u) {
      const int64_t first = c + u * kUnit / kElement, rest = map_.sizes[0] - first;
      const bool some = inside && first >= 0 && rest > 0;
      unsigned char* const to =
          to_ + row_ * kRowBytes + (u * kUnit ^ int(shared_address(to_ + row_ * kRowBytes) >> 3 & 112));
      copies_.push_back({to, some ? from + first * kElement : map_.data, kUnit,
                         some ? int(rest < kUnit / kElement ? rest * kElement : kUnit) : 0, where_, true});
    }
    ++row_;
  }
  void begin(Block& block, const void* barrier, unsigned blocks) const {
    begin_bulk_copies(block, copies_, row_ * kRowBytes, barrier, blocks, where_);
  }

 private:
  unsigned char* to_;
  const TensorMap& map_;
  Where where_;
  int row_ = 0;
  std::vector<Copy> copies_;
};

void check_call(Block& block, const void* to, bool fits, Where where) {
  need_sm90(block, "a tensor's copy", where);
  check_aligned(to, kRowBytes, where);
  if (!fits)
    block.fail(Defect::out_of_bounds, block.place(block.current().number) +
                                          "copies in the other mode than its tensor map is made for at " +
                                          text_of(where));
}

}  // namespace

void tma_load(void* to, const TensorMap& map, const int (&at)[4], void* barrier, unsigned blocks, Where where) {
  Block& block = *running_block();
  check_call(block, to, !map.im2col, where);
  Box box(to, map, where);
  for (int k = 0; k < map.box[2]; ++k)
    for (int j = 0; j < map.box[1]; ++j) {
      const int64_t y = int64_t(at[1]) + j, z = int64_t(at[2]) + k, l = at[3];
      const bool inside = y >= 0 && y < map.sizes[1] && z >= 0 && z < map.sizes[2] && l >= 0 && l < map.sizes[3];
      box.row(inside ? map.data + y * map.strides[0] + z * map.strides[1] + l * map.strides[2] : map.data, at[0],
              inside);
    }
  box.begin(block, barrier, blocks);
}

void tma_load_im2col(void* to, const TensorMap& map, const int (&at)[4], int right, int down, void* barrier,
                     unsigned blocks, Where where) {
  Block& block = *running_block();
  check_call(block, to, map.im2col, where);
  int64_t x = at[1], y = at[2], n = at[3];
  const int64_t last_x = map.sizes[1] - 1 + map.upper[0], last_y = map.sizes[2] - 1 + map.upper[1];
  if (x < map.lower[0] || x > last_x || y < map.lower[1] || y > last_y || right < 0 || right > 255 || down < 0 ||
      down > 255)
    block.fail(Defect::out_of_bounds, block.place(block.current().number) + "starts a copy at pixel (" +
                                          std::to_string(x) + "," + std::to_string(y) + ") by (" +
                                          std::to_string(right) + "," + std::to_string(down) +
                                          "), outside its tensor map's bounding box, at " + text_of(where));
  // No manual says what becomes of one that begins in a picture that is not there.
  if (n < 0 || n >= map.sizes[3])
    block.fail(Defect::out_of_bounds, block.place(block.current().number) + "starts a copy in picture " +
                                          std::to_string(n) + " of " + std::to_string(map.sizes[3]) + " at " +
                                          text_of(where));
  Box box(to, map, where);
  for (int i = 0; i < map.pixels; ++i) {
    const int64_t px = x + right, py = y + down;
    const bool inside = px >= 0 && px < map.sizes[1] && py >= 0 && py < map.sizes[2] && n >= 0 && n < map.sizes[3];
    box.row(inside ? map.data + px * map.strides[0] + py * map.strides[1] + n * map.strides[2] : map.data, at[0],
            inside);
    if ((x += map.step) <= last_x) continue;
    x = map.lower[0];
    if ((y += map.step) <= last_y) continue;
    y = map.lower[1];
    ++n;
  }
  box.begin(block, barrier, blocks);
}

}  // namespace doppel::emulator
