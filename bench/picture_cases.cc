// Losses, warp augmentation and the work on frames.
#include "bench/kernel_cases.h"
#include "bench/operands.h"
#include "kernels/frame.h"
#include "kernels/loss.h"
#include "kernels/rms_norm.h"
#include "kernels/warp.h"

namespace doppel::bench {
namespace {

void visit_losses(const Architecture& a, int batch, const Visit& visit) {
  const LossShape shape{batch, a.size, a.size, 3, a.loss.focus};
  const int64_t pixels = int64_t(batch) * a.size * a.size * 3;
  const std::string what = std::to_string(batch) + " pictures";
  Operands operands;
  float *y = operands.add_floats(pixels, 0, 1), *t = operands.add_floats(pixels, 0, 1);
  float *dy = operands.add_floats(pixels), *loss = operands.add_floats(4);
  const DssimScales scales = a.loss.scales;
  void* sums = operands.scratch(pointwise_loss_workspace(shape, bench_stream()));
  void* workspace = operands.scratch(dssim_workspace(shape, scales, bench_stream()));
  const double moved = 12.0 * double(pixels);
  visit({what, "l1", "doppel", "", 0, moved,
         [=](Stream s) { l1_loss(loss, dy, y, t, nullptr, shape, 1, false, sums, s); }});
  visit({what, "mse", "doppel", "", 0, moved,
         [=](Stream s) { mse_loss(loss, dy, y, t, nullptr, shape, 1, false, sums, s); }});
  visit({what, "dssim", "doppel", "", 0, moved,
         [=](Stream s) { dssim_loss(loss, dy, y, t, nullptr, shape, scales, 1, false, workspace, s); }});
  // Reads three losses and writes their sum: the time of a launch.
  visit({what, "total loss", "doppel", "", 0, 16, [=](Stream s) { total_loss(loss, 1, 1, 1, s); }});
}

void visit_warp(const Architecture& a, int batch, DType type, const Visit& visit) {
  Warp warp = a.warp;
  warp.people = kPeople;
  warp.batch = batch;
  warp.input_type = type;
  constexpr uint32_t kFaces = 256;
  const int64_t face = int64_t(warp.face_size) * warp.face_size * 3;
  Operands operands;
  WarpFaces faces{};
  for (int i = 0; i < kPeople; ++i) {
    faces.pixels[i] = static_cast<const uint8_t*>(operands.add(DType::u8, kFaces * face));
    faces.faces[i] = kFaces;
  }
  const int64_t out = int64_t(kPeople) * batch * warp.out_size * warp.out_size * 3;
  void* input = operands.add(type, out);
  float* target = operands.add_floats(out);
  const StepState* state = operands.upload(StepState{1, 100, 1e-4f, 0});
  // The central part of each face is read.
  const double read = double(face) * double(warp.inner) * double(warp.inner) * kPeople * batch;
  visit({std::to_string(kPeople * batch) + " faces", "warp", "doppel", "", 0,
         read + double(out) * (double(size_of(type)) + 4),
         [=](Stream s) { warp_batch(input, target, faces, state, warp, s); }});
}

void visit_norm(const Architecture& a, int batch, DType type, const Visit& visit) {
  const RmsNorm norm{int64_t(kPeople) * batch, a.latent_size * a.latent_size * a.latent_filters, type};
  const int64_t count = norm.rows * norm.width;
  const double bytes = double(count) * double(size_of(type));
  Operands operands;
  void *y = operands.add(type, count), *x = operands.add(type, count), *dx = operands.add(type, count);
  const std::string what = std::to_string(norm.rows) + " codes of " + std::to_string(norm.width);
  visit({what, "rms norm", "doppel", "", 0, 2 * bytes, [=](Stream s) { rms_norm_forward(y, x, norm, s); }});
  visit(
      {what, "rms norm backward", "doppel", "", 0, 3 * bytes, [=](Stream s) { rms_norm_backward(dx, y, x, norm, s); }});
}

}  // namespace

void visit_pictures(const Architecture& a, int batch, DType type, const Visit& visit) {
  visit_losses(a, batch, visit);
  visit_norm(a, batch, type, visit);
  visit_warp(a, batch, type, visit);
}

// One face of 512 pixels in a frame of 3840 x 2160, turned a little.
void visit_frames(const Visit& visit) {
  constexpr int kWidth = 3840, kHeight = 2160, kFace = 512, kCrop = 256;
  constexpr double kFrame = 3.0 * kWidth * kHeight;
  const Affine frame_to_crop{0.48f, 0.1f, -900, -0.1f, 0.48f, -200};
  Operands operands;
  auto* frame = static_cast<uint8_t*>(operands.add(DType::u8, int64_t(kFrame)));
  auto* crop = static_cast<uint8_t*>(operands.add(DType::u8, int64_t(3) * kCrop * kCrop));
  float* face = operands.add_floats(int64_t(3) * kCrop * kCrop, 0, 1);
  float* mask = operands.add_floats(int64_t(kCrop) * kCrop, 0, 1);
  const ImageView view{frame, kWidth, kHeight, 3 * kWidth}, small{crop, kCrop, kCrop, 3 * kCrop};
  Nv12View nv12;
  nv12.luma = frame;
  nv12.chroma = frame + kWidth * kHeight;
  nv12.width = kWidth;
  nv12.height = kHeight;
  nv12.luma_stride = nv12.chroma_stride = kWidth;
  const std::string what = "3840x2160, crop 256";
  constexpr double kSource = 1.0 * kFace * kFace, kPixels = 1.0 * kCrop * kCrop;
  visit({what, "crop to bytes", "doppel", "", 0, 3 * kSource + 3 * kPixels,
         [=](Stream s) { crop_u8(view, frame_to_crop, small, s); }});
  visit({what, "crop to floats", "doppel", "", 0, 3 * kSource + 12 * kPixels,
         [=](Stream s) { crop_f32(view, frame_to_crop, kCrop, face, s); }});
  visit({what, "crop from NV12", "doppel", "", 0, 1.5 * kSource + 12 * kPixels,
         [=](Stream s) { crop_nv12_f32(nv12, frame_to_crop, kCrop, face, s); }});
  visit({what, "colour statistics", "doppel", "", 0, 16 * kPixels,
         [=](Stream s) { colour_stats(face, mask, int64_t(kPixels), s); }});
  visit({what, "colour map", "doppel", "", 0, 24 * kPixels,
         [=](Stream s) { apply_colour(face, int64_t(kPixels), ColourMap{}, s); }});
  visit({what, "paste", "doppel", "", 0, 6 * kSource + 16 * kPixels,
         [=](Stream s) { paste(view, face, kCrop, mask, kCrop, frame_to_crop, s); }});
}

}  // namespace doppel::bench
