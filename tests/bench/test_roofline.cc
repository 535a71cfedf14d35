#include <catch2/catch.hpp>

#include <fstream>

#include "bench/roofline.h"
#include "nn/training_step.h"

namespace doppel::bench {
namespace {

Graph traced(const char* arch, int batch) {
  StepOptions options;
  options.arch = architecture(arch);
  options.people = {"a", "b"};
  options.batch = batch;
  options.precision = DType::bf16;
  return TrainingStep::traced(options, declare_parameters(options.arch, options.people));
}

TEST_CASE("blocks on a multiprocessor", "[roofline]") {
  const Multiprocessor h200 = multiprocessor_of(90), ada = multiprocessor_of(89);
  // 128 registers of 256 threads are half of all.
  const Occupancy large = occupancy(h200, 256, 128, 48 << 10);
  CHECK(large.blocks == 2);
  CHECK(std::string(large.limit) == "registers");
  // Registers come in units of 8 for each thread of a warp: 129 are 136.
  CHECK(occupancy(h200, 256, 129, 0).blocks == 1);
  CHECK(occupancy(h200, 128, 136, 0).blocks == occupancy(h200, 128, 129, 0).blocks);
  // 228 KB hold one block of 200 KB, and two of 113 with the kilobyte that CUDA keeps of each; not of 114.
  CHECK(occupancy(h200, 384, 168, 200 << 10).blocks == 1);
  CHECK(std::string(occupancy(h200, 128, 32, 113 << 10).limit) == "shared");
  CHECK(occupancy(h200, 128, 32, 113 << 10).blocks == 2);
  CHECK(occupancy(h200, 128, 32, 114 << 10).blocks == 1);
  CHECK(occupancy(h200, 1024, 16, 0).blocks == 2);
  CHECK(std::string(occupancy(h200, 1024, 16, 0).limit) == "threads");
  CHECK(occupancy(h200, 32, 16, 0).blocks == 32);
  CHECK(std::string(occupancy(h200, 32, 16, 0).limit) == "blocks");
  CHECK(occupancy(ada, 1024, 16, 0).blocks == 1);
  CHECK(occupancy(h200, 256, 0, 0).blocks == 8);  // unknown registers limit nothing
  CHECK_THROWS_AS(multiprocessor_of(70), std::invalid_argument);
}

TEST_CASE("the products of a step are all there, each once", "[roofline]") {
  for (const char* arch : {"original", "lite"}) {
    const Graph graph = traced(arch, 64);
    double counted = 0;
    size_t nodes = 0;
    const std::vector<LayerPass> passes = layer_passes(graph);
    for (const LayerPass& pass : passes) counted += pass.conv.flops();
    for (const Node& node : graph.nodes) nodes += !node.op->product().empty();
    CHECK(passes.size() == nodes);
    CHECK(counted == Approx(flops(graph)).epsilon(1e-12));
  }
  // As bench_step counts them for original, 64 + 64 samples.
  CHECK(flops(traced("original", 64)) == Approx(1.457e12).epsilon(5e-4));
}

TEST_CASE("a prediction's arithmetic, at numbers worked out by hand", "[roofline]") {
  const Card card{"made up", 80, 100, 250e12, 200e12, 2e12, 4e12};
  // 12800 pixels by 1024 channels are 100 x 8 tiles of 128 x 128; the sum is 9 taps of 8 steps of 32.
  const Conv2d conv{50, 16, 16, 256, 1024, 3, 3, 1, 1, 1, 1, 1, DType::bf16, DType::bf16};
  const LayerPass pass{"layer", Pass::fprop, conv, 1e6};
  ResourceTable resources;
  resources[{"conv2d_mma_fprop: fprop<Tile<128, 128, 64, 32, 3, 2> >", 80}] = {128, 0};
  const Prediction p = predict(pass, {KernelKind::mma_128x128, 1}, card, resources);
  CHECK(p.registers == 128);
  CHECK(p.blocks == 800);
  CHECK(p.resident.blocks == 2);
  CHECK(p.waves == 4);
  CHECK(p.wave_efficiency == Approx(1));
  CHECK(p.flops == Approx(2.0 * 12800 * 1024 * 9 * 256));
  CHECK(p.floor == Approx(p.flops / 200e12));
  // Each block reads 128 + 128 rows of 2304 elements of 2 bytes.
  CHECK(p.cache_bytes == Approx(800.0 * 2304 * 256 * 2));
  CHECK(p.cache == Approx(p.cache_bytes / 4e12));
  CHECK(p.memory == Approx(1e6 / 2e12));
  // Every multiprocessor runs 8 tiles, and four times fills and empties the pipeline of two blocks.
  CHECK(p.tensor == Approx(2.0 * 128 * 128 * (8 * 2304 + 4 * 2 * 4 * 32) / (200e12 / 100)));
  CHECK(std::string(p.bound) == "products");
  CHECK(p.seconds > p.tensor);

  // Two parts: twice the blocks, and partial results that are written and read.
  const Prediction split = predict(pass, {KernelKind::mma_128x128, 2}, card, resources);
  CHECK(split.blocks == 1600);
  CHECK(split.cache_bytes == Approx(p.cache_bytes));
  CHECK(split.bytes - p.bytes == Approx(2 * 2 * 4.0 * 12800 * 1024));
  CHECK(split.seconds > p.seconds);
}

TEST_CASE("the kernels of a card are its architecture's", "[roofline]") {
  const Conv2d conv{64, 16, 16, 256, 512, 3, 3, 1, 1, 1, 1, 1, DType::bf16, DType::bf16};
  const auto any_wgmma = [&](const char* name) {
    bool any = false;
    for (const Prediction& p : predictions({"layer", Pass::fprop, conv, 1e6}, *find_card(name), {}))
      any |= p.kernel.kernel == KernelKind::wgmma_128x256;
    return any;
  };
  CHECK(any_wgmma("h200"));
  CHECK_FALSE(any_wgmma("a100"));
  CHECK_FALSE(any_wgmma("rtx4090"));
  CHECK(find_card("abacus") == nullptr);
}

TEST_CASE("the table of registers is read as the build writes it", "[roofline]") {
  const std::string path = "test_roofline.tsv";
  std::ofstream(path) << "conv2d_mma_fprop: fprop<Tile<64, 64, 32, 32, 4, 4> >\t80\t100\t0\t0\n"
                      << "conv2d_wgmma_fprop: fprop<WgmmaTile<256, 4> >\t90a\t168\t128\t0\n";
  const ResourceTable table = read_resources(path);
  std::remove(path.c_str());
  REQUIRE(table.size() == 2);
  CHECK(table.at({"conv2d_mma_fprop: fprop<Tile<64, 64, 32, 32, 4, 4> >", 80}).registers == 100);
  CHECK(table.at({"conv2d_wgmma_fprop: fprop<WgmmaTile<256, 4> >", 90}).static_shared == 128);
  CHECK(read_resources("no such file").empty());
}

}  // namespace
}  // namespace doppel::bench
