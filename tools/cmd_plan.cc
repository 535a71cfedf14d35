// doppel plan: what training will need, without training.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "kernels/warp.h"
#include "nn/swapper.h"
#include "nn/trainer.h"
#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "tools/byte_count.h"
#include "tools/commands.h"
#include "tools/step_options.h"

namespace doppel {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel plan                                     lite with its own batch, on this machine\n"
    "  doppel plan --arch original --batch 64 --memory 8G\n"
    "  doppel plan --arch original --device cuda --memory 24G    for a card, be it here or not\n"
    "  doppel plan --faces 60000 --face-memory 4G      with the limit that train gets\n"
    "  doppel plan --arch original --people 3 --faces 5000 --precision fp32 --json";

struct PlanCommand {
  std::string arch = "lite", precision, memory, device = "auto";
  Recompute recompute = Recompute::automatic;
  int batch = 0, people = 2, faces = 1000, size = Warp{}.face_size;
  std::optional<size_t> face_memory;  // as of train
  bool json = false;
};

// A card need not be there when its memory is given.
Device device_of(const PlanCommand& c) {
  if (!c.device.starts_with("cuda")) return choose_device(c.device);
  if (!c.memory.empty()) return Device::cuda;
  try {
    return choose_device(c.device);
  } catch (const Error& e) {
    throw Error(std::string(e.what()) + ", or give --memory, to plan for a card that is not here");
  }
}

// What the same options of `train` would run.
StepOptions options_of(const PlanCommand& c) {
  const Device device = device_of(c);
  ModelDescription m;
  m.architecture = c.arch;
  for (int p = 0; p < c.people; ++p) m.people.push_back("person" + std::to_string(p));
  m.face_size = c.size;
  m.batch = c.batch ? c.batch : architecture(c.arch).batch;
  m.precision = c.precision.empty() ? usual_precision(device) : c.precision;
  StepOptions options = step_options(m);
  options.stream.device = device;
  options.recompute = c.recompute;
  return options;
}

struct Forecast {
  StepOptions options;
  MemoryPlan plan;
  size_t memory;
  int largest, largest_recomputed;  // batches

  bool fits() const { return plan.device() <= memory; }
  const char* device() const {
    const Device d = options.stream.device;
    return d == Device::cuda ? "cuda" : d == Device::emulator ? "emulator" : "cpu";
  }
  const char* precision() const { return options.precision == DType::bf16 ? "bf16" : "fp32"; }
};

Forecast forecast(const PlanCommand& c) {
  Forecast f{options_of(c), {}, 0, 0, 0};
  const Device device = f.options.stream.device;
  f.memory = !c.memory.empty()        ? *parse_bytes(c.memory)
             : device == Device::cuda ? available_memory(device)
                                      : memory_there();
  FaceSets faces;
  faces.bytes.assign(size_t(c.people), size_t(c.faces) * size_t(c.size) * size_t(c.size) * 3);
  faces.host_budget = host_face_budget(device == Device::cuda ? memory_there() : f.memory);
  limit_faces(faces, device, c.face_memory);
  f.plan = plan_memory(f.options, faces, Trainer::kPreviewRows, f.memory);
  check_face_memory(f.plan, faces);
  // What the host of another machine's card has, nobody has said.
  add_checkpoint_copy(f.plan, f.plan.on_card ? SIZE_MAX : f.memory);
  StepOptions other = f.options;
  other.recompute = Recompute::off;
  f.largest = largest_batch(other, faces, Trainer::kPreviewRows, f.memory);
  other.recompute = Recompute::on;
  f.largest_recomputed = largest_batch(other, faces, Trainer::kPreviewRows, f.memory);
  return f;
}

void print_json(const PlanCommand& c, const Forecast& f) {
  Json bytes = Json::object();
  for (auto [name, count] : f.plan.parts()) {
    for (char& ch : name)
      if (ch == ' ') ch = '_';
    bytes.set(name, count);
  }
  bytes.set("total", f.plan.total());
  Json j = Json::object();
  j.set("arch", c.arch).set("people", c.people).set("batch", f.options.batch).set("precision", f.precision());
  j.set("device", f.device()).set("faces", c.faces).set("size", c.size).set("bytes", bytes);
  j.set("bytes_on_device", f.plan.device()).set("face_sets_on_disk", f.plan.faces.disk);
  j.set("face_sets_that_stream", f.plan.faces.streaming());
  j.set("recomputed_values", f.plan.recomputed.size()).set("more_flops", f.plan.more_flops());
  j.set("memory", f.memory).set("fits", f.fits());
  j.set("largest_batch", f.largest).set("largest_batch_recomputed", f.largest_recomputed);
  std::printf("%s\n", j.dump(2).c_str());
}

void print_row(const std::string& name, size_t bytes) {
  std::printf("%-16s %12.1f MiB\n", name.c_str(), double(bytes) / (1 << 20));
}

void print_batch(const char* name, int batch, const char* what) {
  std::printf("%-16s %12s %s\n", name, batch > 0 ? std::to_string(batch).c_str() : "not even 1", what);
}

void print_table(const PlanCommand& c, const Forecast& f) {
  std::printf("%s, %d people, %d samples of each, %s, %s\n\n", c.arch.c_str(), c.people, f.options.batch, f.precision(),
              f.device());
  for (const auto& [name, count] : f.plan.parts()) print_row(name, count);
  print_row("in all", f.plan.total());
  if (f.plan.on_card) print_row("on the card", f.plan.device());
  if (f.plan.faces.streaming() > 0)
    std::printf("%-16s %12d of %d\n", "sets that stream", f.plan.faces.streaming(), c.people);
  if (f.plan.faces.disk > 0) print_row("face sets: disk", f.plan.faces.disk);
  if (!f.plan.recomputed.empty()) std::printf("%s\n", recomputation_text(f.plan).c_str());
  std::printf("\n");
  print_row(c.memory.empty() ? "there are" : "given", f.memory);
  if (!f.fits()) std::printf("%-16s %12s\n", "", "does not fit");
  print_batch("largest --batch", f.largest, "fits with nothing computed again");
  print_batch("", f.largest_recomputed, "fits with recomputation");
}

void run(const PlanCommand& c) {
  const Forecast f = forecast(c);
  c.json ? print_json(c, f) : print_table(c, f);
}

}  // namespace

void add_plan(CLI::App& app) {
  auto* sub = app.add_subcommand("plan", "Says what memory training needs, and the largest batch that fits.");
  sub->footer(kExamples);
  const auto c = std::make_shared<PlanCommand>();
  sub->add_option("--arch", c->arch, "lite (ours, for machines with no GPU) or original (2017)")
      ->check(CLI::IsMember(architecture_names()))
      ->capture_default_str();
  sub->add_option("--batch", c->batch, "Samples of each person per iteration [the architecture's]")
      ->check(CLI::Range(1, kMostBatch));
  sub->add_option("--people", c->people, "How many people")->check(CLI::Range(2, kMaxPeople))->capture_default_str();
  sub->add_option("--precision", c->precision, "bf16 or fp32 [bf16 where the card or the processor has it]")
      ->check(CLI::IsMember({"bf16", "fp32"}));
  sub->add_option("--memory", c->memory, "What there is, such as 8G or 512M [what this machine, or its card, has free]")
      ->check(ByteCount());
  sub->add_option("--faces", c->faces, "Faces in each person's set")
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  sub->add_option("--size", c->size, "Side of a face in pixels, as given to extract")
      ->check(CLI::Range(32, 1024))
      ->capture_default_str();
  add_device(*sub, c->device, "Where the step runs; a card need not be there when --memory says what it has");
  add_recompute(*sub, c->recompute);
  add_face_memory(*sub, c->face_memory);
  sub->add_flag("--json", c->json, "Print one JSON object, all amounts in bytes");
  sub->callback([c] { run(*c); });
}

}  // namespace doppel
