#include <CLI/CLI.hpp>
#include <cstdio>
#include <iterator>

#include "nn/architecture.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/tuner.h"
#include "tools/commands.h"
#include "tools/number_range.h"
#include "tools/step_options.h"
#include "tools/train.h"

namespace doppel {
namespace {

std::pair<std::string, std::string> parse_person(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw UsageError("train: " + text + ": give people as NAME=FACESET, for example anna=faces/anna");
  const std::string name = text.substr(0, equals);
  for (char c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-')
      throw UsageError("train: " + name + ": a name has letters, digits, - and _ only");
  return {name, text.substr(equals + 1)};
}

// "8 lite, 64 original": a default of every architecture.
template <typename Member>
std::string defaults(Member Architecture::*member) {
  std::string text;
  for (const std::string& name : architecture_names()) {
    char value[32];
    std::snprintf(value, sizeof value, "%g", double(architecture(name).*member));
    text += (text.empty() ? "" : ", ") + std::string(value) + " " + name;
  }
  return " [" + text + "]";
}

}  // namespace

void add_train(CLI::App& app) {
  struct Options {
    TrainCommand command;
    std::vector<std::string> people;
    uint64_t iterations = 0, seed = 0;
    double minutes = 0, lr = 0, warp = 1, lr_dropout = 0, clip = 0;
    int batch = 0;
    std::string precision, optimizer = "adam";
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = app.add_subcommand("train", "Learns two or more people from their face sets.");
  sub->footer(
      "Examples:\n"
      "  doppel train anna=faces/anna ben=faces/ben -o model --minutes 30\n"
      "  doppel train anna=faces/anna ben=faces/ben -o model         goes on where it stopped; Ctrl-C saves\n"
      "  doppel train a=faces/a b=faces/b c=faces/c -o three --arch original --batch 16");
  sub->add_option("people", o->people, "Two or more people, each with their face set")
      ->required()
      ->type_name("NAME=FACESET ...");
  sub->add_option("-o,--output", o->command.model, "The model's folder; a model in it is trained on")
      ->required()
      ->type_name("MODEL");
  auto* arch = sub->add_option("--arch", o->command.arch, "lite (ours, for machines with no GPU) or original (2017)")
                   ->check(CLI::IsMember(architecture_names()))
                   ->capture_default_str();
  auto* iterations = sub->add_option("--iterations", o->iterations, "Stop when the model has had so many")
                         ->check(CLI::Range(uint64_t(1), uint64_t(1) << 48));
  auto* minutes = sub->add_option("--minutes", o->minutes, "Stop when the model has had so many")
                      ->check(NumberRange(0.01, 1e6))
                      ->excludes(iterations);
  auto* batch =
      sub->add_option("--batch", o->batch, "Samples of each person per iteration" + defaults(&Architecture::batch))
          ->check(CLI::Range(1, 1 << 20));
  auto* lr = sub->add_option("--lr", o->lr, "Learning rate" + defaults(&Architecture::lr))->check(NumberRange(1e-9, 1));
  auto* warp =
      sub->add_option("--warp", o->warp,
                      "How strongly pictures are turned, shifted, bent and tinted before they are encoded; less "
                      "learns faster, more carries over better between clips that differ")
          ->check(NumberRange(0, 4))
          ->capture_default_str();
  auto* optimizer = sub->add_option("--optimizer", o->optimizer,
                                    "adam, or adabelief: longer steps where the gradient stays what it was")
                        ->check(CLI::IsMember({"adam", "adabelief"}))
                        ->capture_default_str();
  auto* lr_dropout = sub->add_option("--lr-dropout", o->lr_dropout,
                                     "Part of the weights, others each time, that an iteration leaves as they are")
                         ->check(NumberRange(0, 0.99))
                         ->capture_default_str();
  auto* clip = sub->add_option("--clip", o->clip, "Shorten gradients whose norm over all weights is larger; 0: never")
                   ->check(NumberRange(0, 1e6))
                   ->capture_default_str();
  auto* seed = sub->add_option("--seed", o->seed, "What the random numbers start from [1]");
  auto* precision =
      sub->add_option("--precision", o->precision, "bf16 or fp32 [bf16 where the card or the processor has it]")
          ->check(CLI::IsMember({"bf16", "fp32"}));
  add_device(*sub, o->command.device,
             "auto: the first CUDA card, else cpu; cuda:N: card N; emulator: the CUDA kernels run by the processor, "
             "to try them out (very slow). A run may go on on another device");
  add_recompute(*sub, o->command.recompute);
  add_face_memory(*sub, o->command.face_memory);
  sub->add_option("--conv", o->command.conv,
                  "How a card's kernels of convolutions and dense layers are chosen. handwritten: the fastest of "
                  "doppel's, each timed once for the card; auto: those, and cuDNN's for convolutions and "
                  "cuBLASLt's for dense layers, each where it is installed (a line says what was found); untimed: "
                  "doppel's, by the shapes alone")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kCandidateNames), std::end(kCandidateNames))))
      ->capture_default_str();
  sub->add_option("--save-every", o->command.save_every, "Seconds between checkpoints")
      ->check(NumberRange(1, 1e6))
      ->capture_default_str();
  sub->add_option("--preview-every", o->command.preview_every, "Seconds between preview pictures (MODEL/preview.png)")
      ->check(NumberRange(1, 1e6))
      ->capture_default_str();
  sub->add_flag("--verbose", o->command.verbose, "Print the plan: nodes, what was fused, arena bytes");
  sub->add_flag("--debug", o->command.checked, "Look for values that are not finite after every node (slower)");
  sub->callback([=] {
    TrainCommand& c = o->command;
    for (const std::string& person : o->people) c.people.push_back(parse_person(person));
    c.arch_given = arch->count() > 0;
    if (iterations->count()) c.iterations = o->iterations;
    if (minutes->count()) c.minutes = o->minutes;
    if (batch->count()) c.batch = o->batch;
    if (lr->count()) c.lr = o->lr;
    if (warp->count()) c.warp = o->warp;
    if (optimizer->count()) c.optimizer = o->optimizer;
    if (lr_dropout->count()) c.lr_dropout = o->lr_dropout;
    if (clip->count()) c.clip = o->clip;
    if (seed->count()) c.seed = o->seed;
    if (precision->count()) c.precision = o->precision;
    run_training(c);
  });
}

}  // namespace doppel
