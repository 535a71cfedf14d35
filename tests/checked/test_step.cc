// Whole training steps through the CUDA kernels on the checked build of the emulator. Each node may touch its own
// operands and its workspace only: of an arena nothing else is announced, so that an access beyond a tensor is seen
// although its neighbours are memory as well; and at its beginning its outputs and its workspace hold nothing, whatever
// was in that part of the arena before.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/emulator/emulator.h"
#include "nn/step_driver.h"
#include "runtime/plan.h"

using namespace doppel;

namespace {

constexpr int kFaceSize = 40, kPeople = 2;
constexpr uint32_t kFaces = 2;

struct Bytes {
  char* begin;
  size_t count;
};

struct Session {
  Stream stream{Device::emulator};
  std::vector<Buffer> faces;
  WarpFaces sets{};
  ParameterStore store;
  std::unique_ptr<TrainingStep> step;
  Buffer state{sizeof(StepState), Device::emulator};

  explicit Session(DType precision) {
    StepOptions options;
    options.arch = architecture("tiny");
    options.arch.warp.face_size = kFaceSize;
    options.arch.adam.clip_norm = 1;
    options.people = {"a", "b"};
    options.batch = 1;
    options.precision = precision;
    options.stream = stream;
    for (int p = 0; p < kPeople; ++p) {
      Buffer& set = faces.emplace_back(size_t(kFaces) * kFaceSize * kFaceSize * 3, Device::emulator);
      for (size_t i = 0; i < set.bytes(); ++i)
        set.as<uint8_t>()[i] = uint8_t(128 + 100 * std::sin(0.01 * double(i) + p));
      sets.pixels[p] = set.as<uint8_t>();
      sets.faces[p] = kFaces;
    }
    const auto layout = declare_parameters(options.arch, options.people);
    store = make_store(layout, precision, true, stream);
    initialize(store, 4);
    step = std::make_unique<TrainingStep>(options, layout, &sets);
    *state.as<StepState>() = {9, 0, 1e-3f, 0};
    step->bind(store, state.as<StepState>());
  }
};

// What is done wrong to one node: its first output is said to be `missing` bytes shorter than it is, or its first input
// holds nothing.
struct Wrong {
  size_t node = SIZE_MAX, missing = 0;
  bool input_lost = false;
};

// Takes a whole step.
void take_step(Session& session, const Wrong& wrong = {}) {
  Program& program = session.step->program();
  const Graph& g = program.graph();
  const Plan plan = make_plan(g, session.stream);
  Workspaces workspaces(session.stream);
  const size_t parameters = g.layout().elements;
  char* arena = nullptr;
  for (ValueId v = 0; v < ValueId(g.values.size()); ++v)
    if (g[v].role == Role::kept) arena = static_cast<char*>(program.data(v)) - plan.offset[size_t(v)];
  REQUIRE(arena != nullptr);
  std::vector<Bytes> arenas{{arena, plan.arena_bytes}};
  for (const Buffer* b : {&session.store.weights, &session.store.gradients, &session.store.copies})
    if (b->bytes() > 0) arenas.push_back({b->as<char>(), b->bytes()});

  // What lies in other buffers is announced by them.
  const auto in_arena = [&](const char* p) {
    return std::any_of(arenas.begin(), arenas.end(),
                       [=](const Bytes& a) { return p >= a.begin && p < a.begin + a.count; });
  };
  for (const Bytes& a : arenas) emulator::remove_memory(a.begin);
  std::vector<Bytes> announced;
  const auto announce = [&](std::vector<Bytes> pieces) {
    std::sort(pieces.begin(), pieces.end(), [](const Bytes& a, const Bytes& b) { return a.begin < b.begin; });
    for (const Bytes& p : pieces) {
      // Operands that overlap, as what is updated in place does, are one; neighbours are two.
      if (!announced.empty() && p.begin < announced.back().begin + announced.back().count)
        announced.back().count = std::max(announced.back().count, size_t(p.begin - announced.back().begin) + p.count);
      else if (p.count > 0)
        announced.push_back(p);
    }
    for (const Bytes& p : announced) emulator::add_memory(p.begin, p.count);
  };
  const auto withdraw = [&] {
    for (const Bytes& p : announced) emulator::remove_memory(p.begin);
    announced.clear();
  };
  const auto restore = [&] {
    withdraw();
    for (const Bytes& a : arenas) emulator::add_memory(a.begin, a.count);
  };
  try {
    program.run_each([&](size_t i, const std::function<void()>& run) {
      const Node& node = g.nodes[i];
      INFO("node " << i << ", " << node.op->name());
      // A whole arena of parameters, whose size is the layout's.
      const auto whole = [&](ValueId v) { return g[v].base == kNoValue && g[v].role == Role::external; };
      const auto place = [&](ValueId v) {
        return Bytes{static_cast<char*>(program.data(v)), whole(v) ? parameters * size_of(g[v].type) : g[v].bytes()};
      };
      std::vector<Bytes> pieces, results;
      for (ValueId v : node.in)
        if (in_arena(place(v).begin)) pieces.push_back(place(v));
      const std::vector<Bytes> inputs = pieces;
      for (ValueId v : node.out) {
        Bytes out = place(v);
        if (!in_arena(out.begin)) continue;
        if (i == wrong.node && v == node.out[0]) out.count -= wrong.missing;
        pieces.push_back(out);
        // What is updated in place, as whole arenas are, has been written before.
        const bool in_place = whole(v) || std::any_of(inputs.begin(), inputs.end(), [&](const Bytes& in) {
                                return in.begin < out.begin + out.count && out.begin < in.begin + in.count;
                              });
        if (!in_place) results.push_back(out);
      }
      const Bytes workspace{arena + plan.workspace[i], workspaces.of(node)};
      pieces.push_back(workspace);
      announce(pieces);
      for (const Bytes& r : results) emulator::forget_contents(r.begin, r.count);
      emulator::forget_contents(workspace.begin, workspace.count);
      if (i == wrong.node && wrong.input_lost) emulator::forget_contents(inputs.front().begin, inputs.front().count);
      run();
      for (const Bytes& r : results) CHECK(emulator::bytes_unwritten(r.begin, r.count) == 0);
      withdraw();
    });
  } catch (...) {
    restore();
    throw;
  }
  restore();
}

// An emulator of another architecture, with blocks and warps in another order, while it lives.
struct Emulated {
  emulator::Options before = emulator::options();
  Emulated(int sm, emulator::Order order) {
    emulator::options().sm = sm;
    emulator::options().early_start = true;
    emulator::options().blocks = emulator::options().warps = order;
  }
  ~Emulated() { emulator::options() = before; }
  Emulated(const Emulated&) = delete;
  Emulated& operator=(const Emulated&) = delete;
};

}  // namespace

TEST_CASE("a whole training step has no defect that the checker knows", "[step]") {
  REQUIRE(emulator::checked());
  for (const DType precision : {DType::f32, DType::bf16}) {
    INFO(name_of(precision));
    const Emulated emulated(80, precision == DType::f32 ? emulator::Order::reverse : emulator::Order::shuffled);
    Session session(precision);
    const std::vector<char> before(session.store.weights.as<char>(),
                                   session.store.weights.as<char>() + session.store.weights.bytes());
    take_step(session);
    for (const TrainingStep::Loss& loss : session.step->losses()) CHECK(std::isfinite(loss.total));
    CHECK(!std::equal(before.begin(), before.end(), session.store.weights.as<char>()));
    CHECK(session.state.as<StepState>()->step == 1);
  }
}

// What a step ends with, of which the first convolution goes wrong so.
emulator::Defect defect_of(Wrong wrong) {
  Session session(DType::f32);
  const Graph& g = session.step->program().graph();
  wrong.node = 0;
  while (g.nodes[wrong.node].op->name().find("conv2d") == std::string::npos) ++wrong.node;
  try {
    take_step(session, wrong);
  } catch (const emulator::KernelError& e) {
    INFO(e.what());
    CHECK(std::string(e.what()).starts_with(emulator::name_of(e.defect())));
    return e.defect();
  }
  FAIL("nothing was found");
  return {};
}

TEST_CASE("an access beyond a tensor into the next is a defect", "[step]") {
  CHECK(defect_of({.missing = sizeof(float)}) == emulator::Defect::out_of_bounds);
}

TEST_CASE("a read of a tensor that no node has written is a defect", "[step]") {
  CHECK(defect_of({.input_lost = true}) == emulator::Defect::uninitialised_global);
}
