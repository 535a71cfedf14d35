#include "bench/training_report.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "bench/picture_file.h"
#include "bench/swap_quality.h"
#include "runtime/atomic_file.h"
#include "runtime/image.h"

namespace doppel::bench {
namespace {

constexpr int kZoom = 2, kGap = 4;  // pixels of the sheet: of one of a face, between rows

std::string formatted(const char* format, double v) {
  char text[64];
  std::snprintf(text, sizeof text, format, v);
  return text;
}

// shown [columns, T, T, 3] into the sheet's row.
void paint_row(Image& sheet, int row, int size, const std::vector<uint8_t>& shown) {
  const int top = row * (size * kZoom + kGap), columns = int(shown.size() / FacePack::face_bytes(size));
  for (int column = 0; column < columns; ++column) {
    const uint8_t* face = shown.data() + size_t(column) * FacePack::face_bytes(size);
    for (int y = 0; y < size * kZoom; ++y)
      for (int x = 0; x < size * kZoom; ++x)
        std::copy_n(face + (y / kZoom * size + x / kZoom) * 3, 3, sheet.row(top + y) + (column * size * kZoom + x) * 3);
  }
}

Image draw_sheet(const TrainingState& state, const FacePack& pack) {
  const int rows = 2 + int(state.points.size()), columns = int(shown_faces(pack).size());
  Image sheet(columns * pack.size * kZoom, rows * (pack.size * kZoom + kGap) - kGap);
  std::fill(sheet.data(), sheet.data() + sheet.size_bytes(), uint8_t(255));
  paint_row(sheet, 0, pack.size, shown_of(pack, pack.source));
  for (size_t i = 0; i < state.points.size(); ++i) paint_row(sheet, int(i) + 1, pack.size, state.points[i].swaps);
  paint_row(sheet, rows - 1, pack.size, shown_of(pack, pack.truth));
  return sheet;
}

Json report_json(const TrainingState& state, const FacePack& pack) {
  const PictureError unswapped = unswapped_error(pack);
  Json points = Json::array(), faces = Json::object(), nothing = Json::object(), j = Json::object();
  for (const TrainingPoint& p : state.points)
    points.push(to_json(p).set("samples", double(state.settings.samples_at(p.iterations))));
  faces.set("a", pack.faces(0)).set("b", pack.faces(1)).set("side", pack.face_size);
  faces.set("held_out", pack.held_out()).set("held_out_side", pack.size);
  nothing.set("psnr", psnr_of(unswapped)).set("ssim", unswapped.mean_ssim());
  j.set("settings", to_json(state.settings)).set("faces", faces).set("unswapped", nothing).set("points", points);
  return j.set("total_seconds", state.total_seconds);
}

}  // namespace

std::string training_table(const TrainingState& state, const FacePack& pack) {
  const TrainingSettings& s = state.settings;
  const std::string side = std::to_string(pack.face_size), small = std::to_string(pack.size);
  std::string text = "`" + s.arch + "`, " + std::to_string(s.batch) + "+" + std::to_string(s.batch) + ", " +
                     s.precision + ", warp " + formatted("%g", s.warp) + ", seed " + std::to_string(s.seed) + ", " +
                     std::to_string(s.iterations) + " iterations (" +
                     formatted("%.3g", double(s.samples_at(s.iterations)) * 1e-6) + " million samples), on " +
                     std::to_string(pack.faces(0)) + "+" + std::to_string(pack.faces(1)) + " faces of " + side + " x " +
                     side + ".\n\n";
  text +=
      "| iterations | million samples | training, min | total, min | loss a | loss b | PSNR, dB | SSIM | on |\n"
      "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n";
  const PictureError unswapped = unswapped_error(pack);
  text += "| unswapped | | | | | | " + formatted("%.2f", psnr_of(unswapped)) + " | " +
          formatted("%.4f", unswapped.mean_ssim()) + " | |\n";
  for (const TrainingPoint& p : state.points) {
    text += "| " + std::to_string(p.iterations) + " | " + formatted("%.3g", double(s.samples_at(p.iterations)) * 1e-6) +
            " | " + formatted("%.2f", p.training_seconds / 60) + " | " + formatted("%.2f", p.total_seconds / 60) +
            " | " + formatted("%.4f", p.losses[0]) + " | " + formatted("%.4f", p.losses[1]) + " | " +
            formatted("%.2f", p.psnr) + " | " + formatted("%.4f", p.ssim) + " | " + p.device + " |\n";
  }
  text += "\nPSNR (RGB) and SSIM (luma) of a's face swapped to b's against the truth, in the network's " + small +
          " x " + small + " pixels, inside\nthe face of the truth, over " + std::to_string(pack.held_out()) +
          " frames that are in neither face set; unswapped: a's own face against the truth. The\nlosses are L1, "
          "averaged over the last hundred iterations. `training.png` has the source, the swap at each point from\n"
          "top to bottom, and the truth.\n";
  return text;
}

void write_training_report(const std::string& folder, const TrainingState& state, const FacePack& pack) {
  const auto in_folder = [&](const char* name) { return (std::filesystem::path(folder) / name).string(); };
  write_file(in_folder("training.json"), report_json(state, pack).dump(1) + "\n");
  write_file(in_folder("training.md"), training_table(state, pack));
  write_file(in_folder("training.png"), stored_png(draw_sheet(state, pack)));
}

}  // namespace doppel::bench
