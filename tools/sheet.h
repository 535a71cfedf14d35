// A picture made of pictures: rows and columns of square cells with a label before each row and above each column.
#pragma once

#include <string>
#include <vector>

#include "runtime/image.h"

namespace doppel {

// The part of a frame that a cell shows, in frame pixels: a square around (x, y).
struct SheetView {
  double x = 0;
  double y = 0;
  double side = 0;  // > 0
};

class Sheet {
 public:
  // `cell` is the side of a cell in pixels. Labels are drawn in capitals; of signs, digits and . , - + % : / are known,
  // anything else is left blank.
  Sheet(std::vector<std::string> rows, std::vector<std::string> columns, int cell);

  // Fills a cell with the part of the frame that `view` names; outside the frame its border repeats.
  void put(int row, int column, ConstImageView frame, const SheetView& view);
  // The whole picture, stretched to the cell.
  void put(int row, int column, ConstImageView picture);

  const Image& image() const { return image_; }

 private:
  int left_, top_, cell_;
  Image image_;
};

}  // namespace doppel
