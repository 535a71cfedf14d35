#include "tools/sheet.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>

#include "kernels/frame.h"

namespace doppel {
namespace {

constexpr int kGap = 4;
constexpr int kLetterWidth = 5, kLetterHeight = 7;
constexpr uint8_t kPaper = 250, kInk = 40;

// A letter is seven rows of five dots, the leftmost dot in bit 4.
struct Letter {
  char sign;
  uint8_t rows[kLetterHeight];
};

constexpr Letter kLetters[] = {
    {'A', {14, 17, 17, 31, 17, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}}, {'C', {14, 17, 16, 16, 16, 17, 14}},
    {'D', {30, 17, 17, 17, 17, 17, 30}}, {'E', {31, 16, 16, 30, 16, 16, 31}}, {'F', {31, 16, 16, 30, 16, 16, 16}},
    {'G', {14, 17, 16, 23, 17, 17, 14}}, {'H', {17, 17, 17, 31, 17, 17, 17}}, {'I', {14, 4, 4, 4, 4, 4, 14}},
    {'J', {1, 1, 1, 1, 17, 17, 14}},     {'K', {17, 18, 20, 24, 20, 18, 17}}, {'L', {16, 16, 16, 16, 16, 16, 31}},
    {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 25, 21, 21, 19, 17, 17}}, {'O', {14, 17, 17, 17, 17, 17, 14}},
    {'P', {30, 17, 17, 30, 16, 16, 16}}, {'Q', {14, 17, 17, 17, 21, 18, 13}}, {'R', {30, 17, 17, 30, 20, 18, 17}},
    {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},       {'U', {17, 17, 17, 17, 17, 17, 14}},
    {'V', {17, 17, 17, 17, 17, 10, 4}},  {'W', {17, 17, 17, 21, 21, 27, 17}}, {'X', {17, 17, 10, 4, 10, 17, 17}},
    {'Y', {17, 17, 10, 4, 4, 4, 4}},     {'Z', {31, 1, 2, 4, 8, 16, 31}},     {'0', {14, 17, 19, 21, 25, 17, 14}},
    {'1', {4, 12, 4, 4, 4, 4, 14}},      {'2', {14, 17, 1, 6, 8, 16, 31}},    {'3', {30, 1, 1, 14, 1, 1, 30}},
    {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},   {'6', {14, 16, 30, 17, 17, 17, 14}},
    {'7', {31, 1, 2, 4, 4, 4, 4}},       {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 1, 14}},
    {'.', {0, 0, 0, 0, 0, 12, 12}},      {',', {0, 0, 0, 0, 12, 4, 8}},       {'-', {0, 0, 0, 14, 0, 0, 0}},
    {'+', {0, 4, 4, 31, 4, 4, 0}},       {'%', {24, 25, 2, 4, 8, 19, 3}},     {':', {0, 12, 12, 0, 12, 12, 0}},
    {'/', {1, 1, 2, 4, 8, 16, 16}},
};

int text_width(const std::string& text, int dot) {
  return text.empty() ? 0 : (int(text.size()) * (kLetterWidth + 1) - 1) * dot;
}

void draw_text(Image& image, int x, int y, const std::string& text, int dot) {
  for (const char raw : text) {
    const char sign = char(std::toupper(static_cast<unsigned char>(raw)));
    const auto letter = std::find_if(std::begin(kLetters), std::end(kLetters), [&](auto& l) { return l.sign == sign; });
    if (letter != std::end(kLetters)) {
      for (int v = 0; v < kLetterHeight * dot; ++v) {
        for (int u = 0; u < kLetterWidth * dot; ++u) {
          if ((letter->rows[v / dot] >> (kLetterWidth - 1 - u / dot) & 1) == 0) continue;
          if (x + u < image.width() && y + v < image.height()) std::memset(image.row(y + v) + 3 * (x + u), kInk, 3);
        }
      }
    }
    x += (kLetterWidth + 1) * dot;
  }
}

// Dots per dot, so that labels keep their size beside the cells.
int dot_size(int cell) {
  return std::max(1, cell / 80);
}

int label_column(const std::vector<std::string>& rows, int dot) {
  int width = 0;
  for (const auto& row : rows) width = std::max(width, text_width(row, dot));
  return width > 0 ? width + 2 * kGap * dot : 0;
}

}  // namespace

Sheet::Sheet(std::vector<std::string> rows, std::vector<std::string> columns, int cell)
    : left_(label_column(rows, dot_size(cell))),
      top_((kLetterHeight + 2 * kGap) * dot_size(cell)),
      cell_(cell),
      image_(left_ + int(columns.size()) * (cell + kGap) + kGap, top_ + int(rows.size()) * (cell + kGap)) {
  const int dot = dot_size(cell);
  std::memset(image_.data(), kPaper, image_.size_bytes());
  for (size_t row = 0; row < rows.size(); ++row) {
    const int middle = top_ + int(row) * (cell + kGap) + cell / 2;
    draw_text(image_, kGap * dot, middle - kLetterHeight * dot / 2, rows[row], dot);
  }
  for (size_t column = 0; column < columns.size(); ++column) {
    const int start = left_ + int(column) * (cell + kGap);
    draw_text(image_, start + std::max(0, cell - text_width(columns[column], dot)) / 2, kGap * dot, columns[column],
              dot);
  }
}

void Sheet::put(int row, int column, ConstImageView frame, const SheetView& view) {
  const int x = left_ + column * (cell_ + kGap), y = top_ + row * (cell_ + kGap);
  const ImageView whole = image_;
  // Pixel centres are whole numbers: the square's left edge, view.x - side / 2, falls on -0.5 of the cell.
  const float scale = float(cell_ / view.side), edge = 0.5f * float(cell_) - 0.5f;
  const Affine to_cell{scale, 0, edge - scale * float(view.x), 0, scale, edge - scale * float(view.y)};
  crop_u8(frame, to_cell, {whole.row(y) + 3 * x, cell_, cell_, whole.stride});
}

void Sheet::put(int row, int column, ConstImageView picture) {
  const int x = left_ + column * (cell_ + kGap), y = top_ + row * (cell_ + kGap);
  const ImageView whole = image_;
  const float sx = float(cell_) / float(picture.width), sy = float(cell_) / float(picture.height);
  crop_u8(picture, {sx, 0, 0.5f * sx - 0.5f, 0, sy, 0.5f * sy - 0.5f},
          {whole.row(y) + 3 * x, cell_, cell_, whole.stride});
}

}  // namespace doppel
