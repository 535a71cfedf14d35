// doppel plan: what training will need, without training.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "kernels/warp.h"
#include "nn/swapper.h"
#include "nn/trainer.h"
#include "runtime/json.h"
#include "tools/byte_count.h"
#include "tools/commands.h"

namespace doppel {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  doppel plan                                     lite with its own batch, on this machine\n"
    "  doppel plan --arch original --batch 64 --memory 8G\n"
    "  doppel plan --arch original --people 3 --faces 5000 --precision fp32 --json";

struct PlanCommand {
  std::string arch = "lite", precision, memory, device = "cpu";
  int batch = 0, people = 2, faces = 1000, size = Warp{}.face_size;
  bool json = false;
};

// What the same options of `train` would run.
StepOptions options_of(const PlanCommand& c) {
  ModelDescription m;
  m.architecture = c.arch;
  for (int p = 0; p < c.people; ++p) m.people.push_back("person" + std::to_string(p));
  m.face_size = c.size;
  m.batch = c.batch ? c.batch : architecture(c.arch).batch;
  m.precision = !c.precision.empty() ? c.precision : has_bf16() ? "bf16" : "fp32";
  StepOptions options = step_options(m);
  options.stream.device = c.device == "emulator" ? Device::emulator : Device::cpu;
  return options;
}

void print_row(const std::string& name, size_t bytes) {
  std::printf("%-16s %12.1f MiB\n", name.c_str(), double(bytes) / (1 << 20));
}

void run(const PlanCommand& c) {
  const StepOptions options = options_of(c);
  const size_t memory = c.memory.empty() ? memory_there() : *parse_bytes(c.memory);
  FaceSets faces;
  faces.bytes.assign(size_t(c.people), size_t(c.faces) * size_t(c.size) * size_t(c.size) * 3);
  faces.host_budget = host_face_budget(memory);
  const MemoryPlan plan = plan_memory(options, faces, Trainer::kPreviewRows, memory);
  const size_t total = plan.total();
  const int largest = largest_batch(options, faces, Trainer::kPreviewRows, memory);
  const std::string precision = options.precision == DType::bf16 ? "bf16" : "fp32";

  if (c.json) {
    Json bytes = Json::object();
    for (auto [name, count] : plan.parts()) {
      for (char& ch : name)
        if (ch == ' ') ch = '_';
      bytes.set(name, count);
    }
    bytes.set("total", total);
    Json j = Json::object();
    j.set("arch", c.arch).set("people", c.people).set("batch", options.batch).set("precision", precision);
    j.set("device", c.device).set("faces", c.faces).set("size", c.size).set("bytes", bytes);
    j.set("face_sets_on_disk", plan.faces.disk).set("face_sets_that_stream", plan.faces.streaming());
    j.set("memory", memory).set("fits", total <= memory).set("largest_batch", largest);
    std::printf("%s\n", j.dump(2).c_str());
    return;
  }
  std::printf("%s, %d people, %d samples of each, %s, %s\n\n", c.arch.c_str(), c.people, options.batch,
              precision.c_str(), c.device.c_str());
  for (const auto& [name, count] : plan.parts()) print_row(name, count);
  print_row("in all", total);
  if (plan.faces.streaming() > 0)
    std::printf("%-16s %12d of %d\n", "sets that stream", plan.faces.streaming(), c.people);
  if (plan.faces.disk > 0) print_row("face sets: disk", plan.faces.disk);
  std::printf("\n");
  print_row(c.memory.empty() ? "there are" : "given", memory);
  if (total > memory) std::printf("%-16s %12s\n", "", "does not fit");
  if (largest > 0)
    std::printf("%-16s %12d that fits\n", "largest --batch", largest);
  else
    std::printf("%-16s %12s fits\n", "largest --batch", "not even 1");
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
  sub->add_option("--precision", c->precision, "bf16 or fp32 [bf16 where the processor has it]")
      ->check(CLI::IsMember({"bf16", "fp32"}));
  sub->add_option("--memory", c->memory, "What there is, such as 8G or 512M [what this machine has free]")
      ->check(ByteCount());
  sub->add_option("--faces", c->faces, "Faces in each person's set")
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  sub->add_option("--size", c->size, "Side of a face in pixels, as given to extract")
      ->check(CLI::Range(32, 1024))
      ->capture_default_str();
  sub->add_option("--device", c->device, "Where the step runs")
      ->check(CLI::IsMember({"cpu", "emulator"}))
      ->capture_default_str();
  sub->add_flag("--json", c->json, "Print one JSON object, all amounts in bytes");
  sub->callback([c] { run(*c); });
}

}  // namespace doppel
