#include <CLI/CLI.hpp>

#include "tools/commands.h"
#include "tools/convert.h"
#include "tools/model_net.h"
#include "tools/number_range.h"

namespace doppel {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel convert anna.mp4 -m both.model --to ben -o swapped.mp4\n"
    "  doppel convert photo.jpg -m both.model --to ben -o photo_swapped.png\n"
    "  doppel convert clips/ -m both.model --to ben -o swapped/          every clip and picture of a folder\n"
    "  doppel convert group.mp4 -m both.model --to ben -o group_swapped.mp4 --all-faces\n"
    "Timestamps, rotation, colour tags and audio stay as they are; frames without a face pass through untouched. "
    "Outputs\n"
    "are marked as synthetic. A clip appears under its name only when it is whole: Ctrl-C keeps nothing of the open "
    "one.";

}  // namespace

void add_convert(CLI::App& app) {
  struct Options {
    std::vector<std::string> inputs;
    std::string model, to, output, colour = "match";
    int batch = 8;
    ConvertSettings settings;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("convert", "Puts one person's face on another in clips and pictures.");
  sub->footer(kExamples);
  ConvertSettings& settings = o->settings;
  settings.swap.tracker.smooth = true;
  sub->add_option("input", o->inputs, "Clips, pictures, or folders of them")
      ->required()
      ->type_name("CLIP|IMAGE|DIR ...");
  sub->add_option("-m,--model", o->model, "The trained model")->required()->type_name("MODEL");
  sub->add_option("--to", o->to, "Whose face to put on; a name that the model was trained with")
      ->required()
      ->type_name("NAME");
  sub->add_option("-o,--output", o->output, "File to write, or a folder where there are several inputs")
      ->required()
      ->type_name("OUT");
  sub->add_flag("--all-faces", settings.swap.tracker.all_faces,
                "Swap every face [only one: the largest, then the nearest to the last]");
  sub->add_option("--color", o->colour, "match: take mean and contrast from the frame; none: as the network drew it")
      ->check(CLI::IsMember({"match", "none"}))
      ->capture_default_str();
  sub->add_option("--mask-erode", settings.swap.paste.mask.erode,
                  "Shrink the pasted part, fraction of its square; a network draws little beyond the face")
      ->check(NumberRange(-0.02, 0.4))
      ->capture_default_str();
  sub->add_option("--mask-blur", settings.swap.paste.mask.feather, "Width of the mask's fade, fraction of its square")
      ->check(NumberRange(0.005, 0.5))
      ->capture_default_str();
  sub->add_option("--min-face", settings.swap.tracker.detector.min_face, "Leave faces narrower than this alone, pixels")
      ->check(CLI::Range(10, 10000))
      ->capture_default_str();
  sub->add_option("--batch", o->batch, "Faces the network takes at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  sub->add_option("--crf", settings.crf, "Quality of clips, 0 (lossless, large) to 51")
      ->check(CLI::Range(0, 51))
      ->capture_default_str();
  sub->callback([o] {
    o->settings.swap.paste.colour = o->colour == "match" ? 1.0f : 0.0f;
    const ModelNet model(o->model, o->to, o->batch);
    convert_files(plan_conversion(o->inputs, o->output), model.net(), o->settings);
  });
}

}  // namespace doppel
