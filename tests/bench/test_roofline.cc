#include <catch2/catch.hpp>

#include <fstream>
#include <set>

#include "bench/roofline.h"
#include "bench/roofline_launches.h"
#include "kernels/conv2d_wgmma_plan.h"
#include "kernels/emulator/emulator.h"
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
  const Card card{"made up", 80, 100, 250e12, 200e12, 2e12, 4e12, 20e12};
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
  CHECK(p.products == Approx(2.0 * 128 * 128 * (8 * 2304 + 4 * 2 * 4 * 32) / (200e12 / 100)));
  CHECK(std::string(p.bound) == "products");
  CHECK(p.seconds > p.products);
  CHECK(p.issue == 0);

  // Two parts: twice the blocks, and partial results that are written and read.
  const Prediction split = predict(pass, {KernelKind::mma_128x128, 2}, card, resources);
  CHECK(split.blocks == 1600);
  CHECK(split.cache_bytes == Approx(p.cache_bytes));
  CHECK(split.bytes - p.bytes == Approx(2 * 2 * 4.0 * 12800 * 1024));
  CHECK(split.seconds > p.seconds);
}

TEST_CASE("a prediction of equal shares, at numbers worked out by hand", "[roofline]") {
  const Card card{"made up", 90, 10, 250e12, 200e12, 2e12, 4e12, 20e12};
  // 12800 pixels are 200 steps of 64. Two times 4 tiles of 128 x 256: 8 for 10 blocks, so none is whole, and each block
  // has 160 steps. The 9 boundaries cut a tile each but one, that at 800, and none of the tiles is left.
  const Conv2d conv{50, 16, 16, 256, 256, 1, 1, 1, 0, 0, 0, 0, DType::bf16, DType::bf16};
  Conv2d two = conv;
  two.c = 1024;
  const LayerPass pass{"layer", Pass::wgrad, two, 1e6};
  const Prediction p = predict(pass, {KernelKind::wgmma_128x256, 1, 0, 10}, card, {});
  const double tile = 2.0 * 128 * 256;
  CHECK(p.blocks == 10);
  CHECK(p.waves == 1);
  CHECK(p.products == Approx(tile * (160 * 64 + 2 * 4 * 32) / (200e12 / 10)));
  CHECK(p.cache_bytes == Approx(8 * 12800.0 * (128 + 256) * 2));
  CHECK(p.memory == Approx((1e6 + 16 * 128 * 256 * 4) / 2e12));
  CHECK(p.bytes == Approx(1e6 + 2 * 16 * 128 * 256 * 4));
  const double behind = (16 + 8) * 128 * 256 * 4 / 2e12 + kLaunch;
  CHECK(p.seconds == Approx(std::max({p.products, p.cache, p.memory}) + kLaunch + behind));
  // 4 blocks have two rounds of whole tiles, and nothing to add.
  const Prediction whole = predict(pass, {KernelKind::wgmma_128x256, 1, 0, 4}, card, {});
  CHECK(whole.blocks == 4);
  CHECK(whole.bytes == Approx(1e6));
  CHECK(whole.products == Approx(tile * (2 * 12800 + 2 * 4 * 32) / (200e12 / 10)));
}

TEST_CASE("a prediction of pairs of blocks, at numbers worked out by hand", "[roofline]") {
  const Card card{"made up", 90, 10, 250e12, 200e12, 2e12, 4e12, 20e12};
  // 12800 pixels are 100 tiles of 128, 50 pairs, and 300 are 3, for which two pairs take turns; 256 filters, 64 steps.
  Conv2d conv{50, 16, 16, 4096, 256, 1, 1, 1, 0, 0, 0, 0, DType::bf16, DType::bf16};
  const auto by = [&](KernelKind kernel) { return predict({"layer", Pass::fprop, conv, 1e6}, {kernel, 1}, card, {}); };
  const Prediction alone = by(KernelKind::wgmma_128x256), pair = by(KernelKind::wgmma_128x256_pair);
  CHECK(pair.blocks == 100);
  CHECK(pair.cache_bytes == Approx(100.0 * 4096 * (128 + 128) * 2));
  CHECK(alone.cache_bytes == Approx(100.0 * 4096 * (128 + 256) * 2));
  CHECK(pair.products == Approx(alone.products));
  CHECK(pair.cache == Approx(alone.cache * 256 / 384));
  conv.n = 3, conv.h = conv.w = 10;
  CHECK(by(KernelKind::wgmma_128x256).blocks == 3);
  CHECK(by(KernelKind::wgmma_128x256_pair).blocks == 4);
  // wgrad of 256 filters, 16 tiles of columns: 16 pairs for 5 of multiprocessors, so one is cut, of five steps.
  const Prediction dealt =
      predict({"layer", Pass::wgrad, conv, 1e6}, {KernelKind::wgmma_128x256_pair, 1, 0, 5}, card, {});
  CHECK(dealt.blocks == 10);
  CHECK(dealt.cache_bytes == Approx(32 * 5 * 64.0 * (128 + 128) * 2));
}

// 64 pictures of 64 x 64 pixels, 3 channels to 128, 5x5 / 2: a first layer. The last one: 64 channels to 3, 5x5.
Conv2d first_layer() {
  Conv2d v{64, 64, 64, 3, 128, 5, 5, 2, 1, 1, 2, 2, DType::bf16, DType::bf16};
  return v;
}
Conv2d last_layer() {
  Conv2d v{64, 64, 64, 64, 3, 5, 5, 1, 2, 2, 2, 2, DType::bf16, DType::f32};
  v.groups = 2;
  return v;
}

TEST_CASE("what the launchers of the ends and of fp32 arithmetic launch", "[roofline]") {
  const KernelChoice ends{KernelKind::ends, 1};
  const auto launched = [](const Conv2d& v, Pass pass, const KernelChoice& kernel) {
    return launches_of(v, pass, kernel).front();
  };
  // Two blocks for each of the emulator's two multiprocessors. 7 steps of 4 taps of 128 channels' 4, 16 pixels of each
  // of 8 warps, biases, places of taps, and 19 rows of 67 pixels and 49 zeros.
  const KernelLaunch fprop = launched(first_layer(), Pass::fprop, ends);
  CHECK(fprop.kernel == "few_inputs_fprop_kernel<2, 64>");
  CHECK(fprop.blocks == 4);
  CHECK(fprop.threads == 256);
  CHECK(fprop.shared == 7 * 4 * 128 * 8 + 8 * 16 * 144 + 128 * 4 + 7 * 32 + (19 * 67 + 49) * 8);
  // 512 rectangles of 8 x 16 pixels, four of them in a part, of two tiles of channels; dz of two rectangles and two
  // patches of 19 rows of 36 pixels, 5472 bytes in whole lines.
  const std::vector<KernelLaunch> wgrad = launches_of(first_layer(), Pass::wgrad, ends);
  REQUIRE(wgrad.size() == 2);
  CHECK(wgrad[0].kernel == "few_inputs_wgrad_kernel<2, 4>");
  CHECK(wgrad[0].blocks == 128 * 2);
  CHECK(wgrad[0].shared == 2 * 128 * 144 + 2 * 5504);
  // A picture's 64 columns are four strips of 16; one band of rows, since there are more pictures than multiprocessors.
  // 5 rows of parts, 16 each, of 64 + 8 columns and 14 so that they differ in banks.
  const KernelLaunch out = launched(last_layer(), Pass::fprop, ends);
  CHECK(out.kernel == "few_outputs_mma_kernel<5, 2>");
  CHECK(out.blocks == 2 * 64);
  CHECK(out.threads == 128);
  CHECK(out.shared == 5 * 16 * 86 * 4);
  // The other two as the mirror's: from 3 channels to 64.
  CHECK(launched(last_layer(), Pass::dgrad, ends).kernel == "few_inputs_fprop_kernel<1, 64>");
  CHECK(launched(last_layer(), Pass::dgrad, ends).blocks == 2 * 2);
  CHECK(launches_of(last_layer(), Pass::wgrad, ends).size() == 2);  // parts and their sum

  Conv2d fp32 = last_layer();
  fp32.type = DType::f32;
  CHECK(launched(fp32, Pass::fprop, ends).kernel == "few_outputs_kernel<float, 5>");
  CHECK(launched(fp32, Pass::fprop, {KernelKind::simt, 2}).kernel == "gather_kernel<float, true>");
  CHECK(launched(fp32, Pass::dgrad, {KernelKind::simt, 1}).kernel == "gather_kernel<float, false>");
  CHECK(launched(last_layer(), Pass::wgrad, {KernelKind::simt, 1}).kernel == "wgrad_kernel<Bf16>");
}

TEST_CASE("no launched kernel computes less than its layer", "[roofline]") {
  for (const DType type : {DType::bf16, DType::f32})
    for (const LayerPass& pass : layer_passes(df_ud256(8, type)))
      for (const Prediction& p : predictions(pass, *find_card("h200"), {})) {
        if (p.function.empty()) continue;
        INFO(pass.layer << ", " << name_of(pass.pass) << ", " << p.function << ", " << p.kernel.splits);
        const KernelLaunch launch = launches_of(pass.conv, pass.pass, p.kernel).front();
        const KernelWork work = work_of(pass.conv, pass.pass, p.kernel, launch);
        // Padding makes it more. A dgrad with stride 2 has no taps between the pixels, as flops() has none.
        CHECK(double(p.blocks) * work.flops >= p.flops * (1 - 1e-9));
        CHECK(work.instructions > 0);
        CHECK(p.resident.blocks > 0);
        CHECK(p.waves >= 1);
        CHECK(p.wave_efficiency <= 1 + 1e-12);
        CHECK(p.seconds > p.floor);
      }
}

TEST_CASE("a prediction of fp32 arithmetic, at numbers worked out by hand", "[roofline]") {
  const Card card{"made up", 90, 100, 250e12, 200e12, 2e12, 4e12, 25.6e12};  // 100 x 128 lanes at 1 GHz
  CHECK(clock_of(card) == Approx(1e9));
  CHECK(clock_of(*find_card("a100")) == Approx(1.41e9).epsilon(5e-3));
  CHECK(clock_of(*find_card("h200")) == Approx(1.98e9).epsilon(5e-3));
  CHECK(clock_of(*find_card("rtx4090")) == Approx(2.52e9).epsilon(5e-3));
  // 12800 pixels by 64 channels are 200 tiles of 64 x 64: two on a multiprocessor, 4 warps. The sum is 3 rows of 192
  // elements, 36 steps of 16.
  const Conv2d conv{50, 16, 16, 64, 64, 3, 3, 1, 1, 1, 1, 1, DType::f32, DType::f32};
  ResourceTable resources;
  resources[{"conv2d_simt: gather_kernel<float, true>", 90}] = {168, 18432};
  const Prediction p = predict({"layer", Pass::fprop, conv, 1e6}, {KernelKind::simt, 1}, card, resources);
  CHECK(p.function == "gather_kernel<float, true>");
  CHECK(p.blocks == 200);
  CHECK(p.threads == 64);
  CHECK(p.registers == 168);
  CHECK(p.shared == 18432);
  CHECK(p.resident.blocks == 6);
  CHECK(std::string(p.resident.limit) == "registers");
  CHECK(p.waves == 1);
  CHECK(p.floor == Approx(p.flops / 25.6e12));
  // 2 x 64 x 64 x 576 operations of each tile by 256 a cycle, and half as many warps as keep the lanes busy.
  CHECK(p.products == Approx(2 * 2.0 * 64 * 64 * 576 / 256 / 0.5 * 1e-9));
  CHECK(p.cache_bytes == Approx(200.0 * 576 * 128 * 4));
  // 1024 multiplications of a step and four tenths as many instructions beside them, on four schedulers.
  CHECK(p.issue == Approx(4 * (36 * (1136 + 280) + 1200) / (4 * 0.8) / 0.5 * 1e-9));
  CHECK(std::string(p.bound) == "instructions");
  // Three parts: partial results of all elements, written, read, and a second kernel.
  const Prediction split = predict({"layer", Pass::fprop, conv, 1e6}, {KernelKind::simt, 3}, card, resources);
  CHECK(split.blocks == 600);
  CHECK(split.cache_bytes == Approx(p.cache_bytes));
  CHECK(split.products == Approx(6 * 2.0 * 64 * 64 * 192 / 256 * 1e-9));  // enough warps now
  CHECK(split.bytes - p.bytes == Approx(2 * 3 * 4.0 * 12800 * 64));
  // The same on the first multiprocessors with 64 lanes: half as fast, and then the lanes are what is lacking.
  Card a100 = card;
  a100.sm = 80, a100.fp32 = 12.8e12;
  CHECK(std::string(predict({"layer", Pass::fprop, conv, 1e6}, {KernelKind::simt, 1}, a100, {}).bound) == "products");
}

TEST_CASE("the instructions of the ends are those of their loops", "[roofline]") {
  const KernelChoice ends{KernelKind::ends, 1};
  const auto instructions = [&](const Conv2d& v, Pass pass) {
    return work_of(v, pass, ends, launches_of(v, pass, ends).front()).instructions;
  };
  // 14 quads of weights of a thread; 64 rectangles, each 5 pixels of a thread and two rounds of 7 steps with 8 times 8
  // channels, of which two halves of a row are stored.
  CHECK(instructions(first_layer(), Pass::fprop) ==
        Approx(300 + 14 * 62 + 64 * (90 + 5 * 53 + 2 * (80 + 7 * (19 + 8 * 2.5) + 2 * (105 + 8 * 17)))));
  // The mirror's: half of the weights, and 512 rectangles of two pixels of a thread and one round, without activation.
  CHECK(instructions(last_layer(), Pass::dgrad) ==
        Approx(300 + 7 * 62 + 512 * (90 + 2 * 53 + 80 + 7 * (19 + 8 * 2.5) + 2 * (105 + 8 * 9))));
  // Four rectangles, each three pixels of a thread and, with half of the tiles, half of the rows of a warp.
  CHECK(instructions(first_layer(), Pass::wgrad) == Approx(900 + 4 * (185 + 3 * 48 + 4 * (14 + 4 * 6))));
  // 68 lines with 40 products, 14 batches, and 192 outputs of a line, 6 warps' on four warps.
  CHECK(instructions(last_layer(), Pass::fprop) ==
        Approx(670 + 68 * (40 + 40 + 2 * 8) + 14 * (20 + 1.5 * 88) + 64 * 1.5 * (50 + 15 + 5 * 2)));
  const Prediction p = predict({"layer", Pass::dgrad, last_layer(), 1e6}, ends, *find_card("h200"), {});
  CHECK(std::string(p.bound) == "instructions");
  CHECK_THROWS_AS(work_of(first_layer(), Pass::fprop, ends, {"no such kernel", 1, 1, 0}), std::invalid_argument);
}

TEST_CASE("the DF network's products are all there", "[roofline]") {
  const Layers layers = df_ud256(8, DType::bf16);
  const std::vector<LayerPass> passes = layer_passes(layers);
  CHECK(passes.size() == 3 * (layers.convs.size() + layers.denses.size()) - 1);  // no gradient goes to the pictures
  double fprop = 0;
  for (const LayerPass& pass : passes)
    if (pass.pass == Pass::fprop) fprop += pass.conv.flops();
  CHECK(fprop == Approx(forward_flops(layers, 8) * 16));
}

TEST_CASE("the kernels of a card are its architecture's", "[roofline]") {
  const Conv2d conv{64, 16, 16, 256, 512, 3, 3, 1, 1, 1, 1, 1, DType::bf16, DType::bf16};
  const auto wgmma_tiles = [&](const char* name) {
    std::set<KernelKind> tiles;
    for (const Prediction& p : predictions({"layer", Pass::fprop, conv, 1e6}, *find_card(name), {}))
      if (is_wgmma(p.kernel.kernel)) tiles.insert(p.kernel.kernel);
    return tiles.size();
  };
  CHECK(wgmma_tiles("h200") == 4);
  CHECK(wgmma_tiles("a100") == 0);
  CHECK(wgmma_tiles("rtx4090") == 0);
  // And as many equal shares as it has multiprocessors.
  int shares = 0;
  for (const Prediction& p : predictions({"layer", Pass::wgrad, conv, 1e6}, *find_card("h200"), {}))
    shares = std::max(shares, p.kernel.shares);
  CHECK(shares == 132);
  CHECK(emulator::options().multiprocessors != 132);
  CHECK(find_card("abacus") == nullptr);
}

TEST_CASE("the table of registers is read as the build writes it", "[roofline]") {
  const std::string path = "test_roofline.tsv";
  std::ofstream(path) << "conv2d_mma_fprop: fprop<Tile<64, 64, 32, 32, 4, 4> >\t80\t100\t0\t0\n"
                      << "conv2d_wgmma_fprop: fprop<WgmmaTile<128, 256, 4, 1> >\t90a\t168\t128\t0\n"
                      << "conv2d_wgmma_fprop: fprop<WgmmaTile<256, 128, 4, 1> >\t90a\t166\t128\t0\n"
                      << "conv2d_wgmma_fprop: fprop<WgmmaTile<128, 256, 4, 2> >\t90a\t164\t128\t0\n";
  const ResourceTable table = read_resources(path);
  std::remove(path.c_str());
  REQUIRE(table.size() == 4);
  CHECK(table.at({"conv2d_mma_fprop: fprop<Tile<64, 64, 32, 32, 4, 4> >", 80}).registers == 100);
  CHECK(table.at({"conv2d_wgmma_fprop: fprop<WgmmaTile<128, 256, 4, 1> >", 90}).static_shared == 128);
  const Conv2d conv{1, 8, 8, 64, 64, 1, 1, 1, 0, 0, 0, 0, DType::bf16, DType::bf16};
  for (const auto& [kernel, registers] : {std::pair{KernelKind::wgmma_128x256, 168},
                                          {KernelKind::wgmma_256x128, 166},
                                          {KernelKind::wgmma_128x256_pair, 164}})
    CHECK(predict({"layer", Pass::fprop, conv, 1e6}, {kernel, 1}, *find_card("h200"), table).registers == registers);
  CHECK(read_resources("no such file").empty());
}

}  // namespace
}  // namespace doppel::bench
