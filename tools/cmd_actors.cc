// doppel actors: renders the two synthetic people.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "media/actors.h"
#include "runtime/error.h"
#include "tools/commands.h"
#include "tools/number_range.h"
#include "tools/ownership.h"
#include "tools/progress.h"

namespace doppel {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel actors -o stage                          a.mp4, b.mp4 and truth.mp4 in the folder stage\n"
    "  doppel actors -o stage --frames 900 --size 720  longer and larger";

void run(const ActorsOptions& options) {
  if (options.size % 2 != 0)
    throw UsageError("--size: " + std::to_string(options.size) + " is odd, clips need an even size");
  for (const char* clip : {"/a.mp4", "/b.mp4", "/truth.mp4"}) refuse_foreign_output(options.folder + clip);
  Progress progress("actors", 0, "frames");
  int last = 0;
  write_actors(options, [&](int done, int total) {
    progress.set_total(total);
    progress.update(last = done);
  });
  progress.finish(last);
  for (const char* clip : {"/a.mp4", "/b.mp4", "/truth.mp4"}) std::printf("%s%s\n", options.folder.c_str(), clip);
}

}  // namespace

void add_actors(CLI::App& app) {
  auto* sub = app.add_subcommand("actors", "Renders two synthetic people, and the truth of a swap between them.");
  sub->footer(kExamples);
  auto options = std::make_shared<ActorsOptions>();
  sub->add_option("-o,--output", options->folder, "folder to write the clips into")->required()->type_name("DIR");
  sub->add_option("--size", options->size, "width and height in pixels, even")
      ->check(CLI::Range(64, 4096))
      ->type_name("PX")
      ->capture_default_str();
  sub->add_option("--frames", options->frames, "frames of each clip")
      ->check(CLI::Range(1, 100'000))
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--fps", options->fps, "frames per second")
      ->check(NumberRange(1, 240))
      ->type_name("X")
      ->capture_default_str();
  sub->callback([options] { run(*options); });
}

}  // namespace doppel
