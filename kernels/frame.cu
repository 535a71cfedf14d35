// Frame work on the card: one thread a pixel. A crop reads 16 pixels for each of its own (more where it reduces), which
// neighbouring threads share through the caches.
#include "kernels/frame.h"

#include "kernels/device/device.h"
#include "kernels/frame_geometry.h"
#include "kernels/frame_sample.h"

namespace doppel::DOPPEL_BACKEND {
namespace {

constexpr int kBlockW = 32, kBlockH = 8;
constexpr int kThreads = kBlockW * kBlockH;

// ---- kernels --------------------------------------------------------------------------------------------------------

struct RgbFrame {
  ConstImageView view;
  __device__ Rgb operator()(Point q, const CropGeometry& g) const { return sample_rgb(view, q, g.scale_x, g.scale_y); }
};
struct Nv12Frame {
  Nv12View view;
  YuvToRgb to_rgb;
  __device__ Rgb operator()(Point q, const CropGeometry& g) const {
    return sample_nv12(view, to_rgb, q, g.scale_x, g.scale_y);
  }
};

struct Bytes {
  ImageView view;
  __device__ void operator()(int x, int y, Rgb v) const {
    uint8_t* p = view.row(y) + 3 * x;
    p[0] = to_byte(v.r);
    p[1] = to_byte(v.g);
    p[2] = to_byte(v.b);
  }
};
struct Floats {
  float* data;
  int width;
  __device__ void operator()(int x, int y, Rgb v) const {
    float* p = data + (int64_t(y) * width + x) * 3;
    p[0] = to_unit(v.r);
    p[1] = to_unit(v.g);
    p[2] = to_unit(v.b);
  }
};

template <typename Source, typename Sink>
DOPPEL_GLOBAL((kThreads), crop_kernel, Sink sink, Source source, CropGeometry g, int width, int height) {
  wait_for_earlier_kernels();
  const int x = int(blockIdx.x * kBlockW + threadIdx.x), y = int(blockIdx.y * kBlockH + threadIdx.y);
  if (x < width && y < height) sink(x, y, source(g.back({float(x), float(y)}), g));
}

DOPPEL_GLOBAL((kThreads), paste_kernel, ImageView frame, const float* face, int size, const float* mask, int mask_size,
              Affine frame_to_face, PasteGeometry g) {
  wait_for_earlier_kernels();
  const int x = g.x0 + int(blockIdx.x * kBlockW + threadIdx.x), y = g.y0 + int(blockIdx.y * kBlockH + threadIdx.y);
  if (x >= g.x1 || y >= g.y1) return;
  const Point q = frame_to_face({float(x), float(y)});
  const float m = mask_at(mask, mask_size, size, q);
  if (!(m > 0)) return;
  float v[3];
  cubic_sample(v, Plane<float, 3>{face, size, size, std::ptrdiff_t(3) * size}, q, g.scale_x, g.scale_y);
  uint8_t* p = frame.row(y) + 3 * x;
  for (int c = 0; c < 3; ++c) p[c] = paste_value(p[c], m, v[c]);
}

// ---- launchers ------------------------------------------------------------------------------------------------------

Geometry over(int width, int height) {
  return {{blocks_for(width, kBlockW), blocks_for(height, kBlockH)}, {kBlockW, kBlockH}};
}

template <typename Source, typename Sink>
void launch_crop(Sink sink, const Source& source, const Affine& frame_to_crop, int width, int height, Stream stream) {
  const CropGeometry g = crop_geometry(source.view.width > 0 && source.view.height > 0, frame_to_crop);
  if (width <= 0 || height <= 0) return;
  DOPPEL_KERNEL(crop_kernel<Source, Sink>).launch(over(width, height), sink, source, g, width, height, stream);
}

}  // namespace

void crop_u8(ConstImageView frame, const Affine& frame_to_crop, ImageView crop, Stream stream) {
  launch_crop(Bytes{crop}, RgbFrame{frame}, frame_to_crop, crop.width, crop.height, stream);
}

void crop_f32(ConstImageView frame, const Affine& frame_to_crop, int size, float* out, Stream stream) {
  launch_crop(Floats{out, size}, RgbFrame{frame}, frame_to_crop, size, size, stream);
}

void crop_nv12_u8(const Nv12View& frame, const Affine& frame_to_crop, ImageView crop, Stream stream) {
  const Nv12Frame source{frame, yuv_to_rgb(frame.matrix, frame.full_range)};
  launch_crop(Bytes{crop}, source, frame_to_crop, crop.width, crop.height, stream);
}

void crop_nv12_f32(const Nv12View& frame, const Affine& frame_to_crop, int size, float* out, Stream stream) {
  const Nv12Frame source{frame, yuv_to_rgb(frame.matrix, frame.full_range)};
  launch_crop(Floats{out, size}, source, frame_to_crop, size, size, stream);
}

void paste(ImageView frame, const float* face, int size, const float* mask, int mask_size, const Affine& frame_to_face,
           Stream stream) {
  const PasteGeometry g = paste_geometry(frame, size, mask_size, frame_to_face);
  if (g.x1 <= g.x0 || g.y1 <= g.y0) return;
  DOPPEL_KERNEL(paste_kernel)
      .launch(over(g.x1 - g.x0, g.y1 - g.y0), frame, face, size, mask, mask_size, frame_to_face, g, stream);
}

}  // namespace doppel::DOPPEL_BACKEND
