// Between a codec's planes and RGB.
#include <cstring>
#include <new>

#include "media/libav.h"
#include "media/orientation.h"
#include "runtime/error.h"

namespace doppel {
namespace {

// Bicubic chroma, interpolated at full resolution and rounded: the default of swscale is faster and visibly blockier.
constexpr int kFlags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;

int sws_matrix(int matrix, int height) {
  switch (matrix) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

bool is_full_range(const AVFrame& frame, const ColorTags& color) {
  switch (frame.format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
      return true;
    default:
      break;
  }
  if (frame.color_range != AVCOL_RANGE_UNSPECIFIED) return frame.color_range == AVCOL_RANGE_JPEG;
  return color.range == AVCOL_RANGE_JPEG;
}

size_t padded_row(int width) {
  return (size_t(3) * width + 63) / 64 * 64;
}

// Room for padded rows and a tail, from an address of 64 bytes' alignment.
uint8_t* scratch_rows(std::vector<uint8_t>& scratch, int width, int height) {
  scratch.resize(padded_row(width) * height + 256);
  const auto address = reinterpret_cast<uintptr_t>(scratch.data());
  return scratch.data() + (64 - address % 64) % 64;
}

}  // namespace

AVPixelFormat plain_format(int format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    default:
      return AVPixelFormat(format);
  }
}

void ColorConverter::set_colors(SwsContext* context, int height, int yuv_range, bool to_rgb) {
  const int* table = sws_getCoefficients(sws_matrix(color_.matrix, height));
  const int from_range = to_rgb ? yuv_range : 1, to_range = to_rgb ? 1 : yuv_range;
  // Fails for sources that have no matrix (grey, RGB), which need none.
  sws_setColorspaceDetails(context, table, from_range, table, to_range, 0, 1 << 16, 1 << 16);
}

void ColorConverter::to_rgb(const AVFrame& from, int orientation, int stored_width, int stored_height, ImageView rgb) {
  decode_.reset(sws_getCachedContext(decode_.release(), from.width, from.height, plain_format(from.format),
                                     stored_width, stored_height, AV_PIX_FMT_RGB24, kFlags, nullptr, nullptr, nullptr));
  if (!decode_) {
    const char* name = av_get_pix_fmt_name(AVPixelFormat(from.format));
    throw Error(std::string("pictures of the kind ") + (name ? name : "?") + " cannot be converted to RGB");
  }
  set_colors(decode_.get(), stored_height, is_full_range(from, color_), true);
  const int stride = int(padded_row(stored_width));
  uint8_t* rows = scratch_rows(scratch_, stored_width, stored_height);
  uint8_t* planes[4] = {rows, nullptr, nullptr, nullptr};
  const int strides[4] = {stride, 0, 0, 0};
  sws_scale(decode_.get(), from.data, from.linesize, 0, from.height, planes, strides);
  turn_upright(ConstImageView(rows, stored_width, stored_height, stride), orientation, rgb);
}

void ColorConverter::to_planes(ConstImageView rgb, const Rect& at, AVFrame& to) {
  encode_.reset(sws_getCachedContext(encode_.release(), at.width, at.height, AV_PIX_FMT_RGB24, at.width, at.height,
                                     plain_format(to.format), kFlags, nullptr, nullptr, nullptr));
  if (!encode_) throw Error("a picture could not be converted for the encoder");
  set_colors(encode_.get(), to.height, is_full_range(to, color_), false);
  const int stride = int(padded_row(at.width));
  uint8_t* rows = scratch_rows(scratch_, at.width, at.height);
  for (int y = 0; y < at.height; ++y) std::memcpy(rows + size_t(stride) * y, rgb.row(y), size_t(3) * at.width);
  const uint8_t* from[4] = {rows, nullptr, nullptr, nullptr};
  const int from_strides[4] = {stride, 0, 0, 0};
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(AVPixelFormat(to.format));
  // Into planes of its own, then row by row into place: swscale may write past the end of a row that is not padded.
  const auto planes = new_frame();
  planes->format = to.format;
  planes->width = at.width;
  planes->height = at.height;
  if (av_frame_get_buffer(planes.get(), 0) < 0) throw std::bad_alloc();
  sws_scale(encode_.get(), from, from_strides, 0, at.height, planes->data, planes->linesize);
  for (int plane = 0; plane < 3; ++plane) {
    const int right = plane ? format->log2_chroma_w : 0, down = plane ? format->log2_chroma_h : 0;
    const int width = AV_CEIL_RSHIFT(at.width, right), height = AV_CEIL_RSHIFT(at.height, down);
    for (int y = 0; y < height; ++y) {
      const std::ptrdiff_t line = (at.y >> down) + y;
      std::memcpy(to.data[plane] + line * to.linesize[plane] + (at.x >> right),
                  planes->data[plane] + std::ptrdiff_t(y) * planes->linesize[plane], size_t(width));
    }
  }
}

}  // namespace doppel
