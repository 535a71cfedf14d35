// doppel extract: clips and pictures in, a face set out.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "runtime/error.h"
#include "tools/commands.h"
#include "tools/extract.h"
#include "tools/number_range.h"
#include "tools/progress.h"

namespace doppel {
namespace {

void run(const ExtractOptions& options) {
  std::unique_ptr<Progress> line;
  std::string current;
  int64_t done = 0, with_face = 0;
  const auto note = [&] { return std::to_string(with_face) + " with a face"; };
  const ExtractReport report =
      extract_faces(options, [&](const std::string& source, int64_t frames, int64_t total, int64_t faces) {
        if (source != current) {
          if (line) line->finish(done, note());
          current = source;
          line = std::make_unique<Progress>(source, total, "frames", frames - 1);
        }
        done = frames;
        with_face = faces;
        line->update(frames, note());
      });
  if (line) line->finish(done, note());
  line.reset();
  for (const std::string& failure : report.failures) std::fprintf(stderr, "doppel: %s\n", failure.c_str());
  if (report.already_done > 0) {
    std::fprintf(stderr, "%lld of the inputs had been extracted before\n", (long long)report.already_done);
  }
  std::printf("%lld faces in %s: %lld frames, %lld with a face, %lld without, %zu inputs failed, %.1f frames/s\n",
              (long long)report.total_faces, options.output.c_str(), (long long)report.frames, (long long)report.faces,
              (long long)report.without_face, report.failures.size(),
              report.seconds > 0 ? double(report.frames) / report.seconds : 0.0);
  if (!report.failures.empty()) {
    throw Error(std::to_string(report.failures.size()) +
                " of the inputs could not be read to the end; the others are in " + options.output);
  }
}

}  // namespace

void add_extract(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("extract", "Cuts the faces of one person out of clips and pictures.");
  sub->footer(
      "Examples:\n"
      "  doppel extract anna.mp4 -o anna.faces\n"
      "  doppel extract anna1.mp4 anna2.mov holiday_photos -o anna.faces --every 3\n"
      "  doppel extract stage.mp4 -o ben.faces --min-face 24     faces far away\n"
      "\n"
      "One face a frame is taken: the largest at first, then the one nearest to the last, so give clips in which the\n"
      "person is alone or in front. Delete bad crops from the folder by hand; they are skipped in training. After\n"
      "Ctrl-C, or to add more clips, run the command again: what is done is not done twice.");
  const auto options = std::make_shared<ExtractOptions>();
  sub->add_option("inputs", options->inputs, "clips, pictures, or folders of them")
      ->required()
      ->type_name("CLIP|IMAGE|DIR");
  sub->add_option("-o,--output", options->output, "the face set's folder")->required()->type_name("FACESET");
  sub->add_option("--size", options->size, "side of a crop in pixels")
      ->type_name("PX")
      ->check(CLI::Range(32, 1024))
      ->capture_default_str();
  sub->add_option("--every", options->every, "of a clip, take only every N-th frame")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_option("--min-face", options->min_face, "ignore faces narrower than this many pixels")
      ->type_name("PX")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  sub->add_option("--coverage", options->coverage, "side of a crop in widths of the face's jaw")
      ->type_name("C")
      ->check(NumberRange(1, 4))
      ->capture_default_str();
  sub->callback([options] { run(*options); });
}

}  // namespace doppel
