// The crop from NV12 on the CPU.
#include <algorithm>

#include "kernels/frame_geometry.h"
#include "kernels/frame_sample.h"
#include "kernels/parallel.h"

namespace doppel::on_cpu {
namespace {

// Calls put(x, y, value) for every pixel of a width x height crop, rows over the cores.
template <typename Put>
void for_crop(const Nv12View& frame, const Affine& frame_to_crop, int width, int height, Put&& put) {
  const CropGeometry g = crop_geometry(frame.width > 0 && frame.height > 0, frame_to_crop);
  const YuvToRgb to_rgb = yuv_to_rgb(frame.matrix, frame.full_range);
  parallel_for(height, 16, [&](int64_t begin, int64_t end) {
    for (int y = int(begin); y < int(end); ++y)
      for (int x = 0; x < width; ++x)
        put(x, y, sample_nv12(frame, to_rgb, g.back({float(x), float(y)}), g.scale_x, g.scale_y));
  });
}

}  // namespace

void crop_nv12_u8(const Nv12View& frame, const Affine& frame_to_crop, ImageView crop, Stream) {
  for_crop(frame, frame_to_crop, crop.width, crop.height, [&](int x, int y, Rgb v) {
    uint8_t* p = crop.row(y) + 3 * x;
    p[0] = to_byte(v.r);
    p[1] = to_byte(v.g);
    p[2] = to_byte(v.b);
  });
}

void crop_nv12_f32(const Nv12View& frame, const Affine& frame_to_crop, int size, float* out, Stream) {
  for_crop(frame, frame_to_crop, size, size, [&](int x, int y, Rgb v) {
    float* p = out + (size_t(y) * size_t(size) + size_t(x)) * 3;
    p[0] = to_unit(v.r);
    p[1] = to_unit(v.g);
    p[2] = to_unit(v.b);
  });
}

}  // namespace doppel::on_cpu
