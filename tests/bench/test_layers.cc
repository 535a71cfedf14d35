// The layers that bench_kernels times are those of the networks.
#include "bench/layers.h"

#include <catch2/catch.hpp>
#include <set>

using namespace doppel;
using namespace doppel::bench;

namespace {

const ConvLayer& named(const Layers& layers, const std::string& name) {
  for (const ConvLayer& layer : layers.convs)
    if (layer.name == name) return layer;
  throw std::runtime_error("there is no layer " + name);
}

// Of x; of y after the pixel shuffle.
int64_t read(const ConvLayer& layer) {
  return layer.conv.groups * layer.conv.in_elements();
}
int64_t written(const ConvLayer& layer) {
  return layer.conv.groups * layer.conv.out_elements();
}

// What every list must be: the launchers take each layer, names say which.
void check_layers(const Layers& layers, int batch, DType type) {
  std::set<std::string> names;
  for (const ConvLayer& layer : layers.convs) {
    INFO(layer.name);
    CHECK_NOTHROW(check(layer.conv, layer.epilogue));
    CHECK(names.insert(layer.name).second);
    CHECK(layer.conv.n * layer.conv.groups == kPeople * batch);
    CHECK(layer.conv.type == type);
    CHECK(layer.conv.groups == (layer.name.starts_with("2 x ") ? kPeople : 1));
    CHECK(layer.dgrad == (&layer != layers.convs.data()));
  }
  for (const DenseLayer& layer : layers.denses) {
    CHECK(names.insert(layer.name).second);
    CHECK(layer.dense.n == kPeople * batch);
    CHECK(layer.dense.type == type);
  }
}

}  // namespace

TEST_CASE("bench layers: those of our architectures are what training runs", "[bench]") {
  for (const std::string& name : architecture_names()) {
    INFO(name);
    const Architecture a = architecture(name);
    const Layers layers = layers_of(a, 3, DType::bf16);
    check_layers(layers, 3, DType::bf16);
    CHECK(layers.denses.size() == 2);
    CHECK(forward_flops(layers, 3) == Approx(forward_flops(a)));
    CHECK(layers.convs.front().conv.c == 3);
    CHECK(named(layers, "2 x decoder.out").conv.k == 3);
    CHECK(named(layers, "2 x decoder.out").conv.out_type == DType::f32);
  }
}

TEST_CASE("bench layers: the DF network is the one that is known", "[bench]") {
  const Layers layers = df_ud256(8, DType::bf16);
  check_layers(layers, 8, DType::bf16);
  // What is known of this network: 60.9 GFLOP forward per sample, of which the mask's last Up makes 1.14.
  CHECK(forward_flops(layers, 8) * 1e-9 == Approx(60.9).margin(0.05));
  CHECK(named(layers, "2 x mask.up3").conv.flops() / 16 * 1e-9 == Approx(1.14).margin(0.005));
  // What one layer writes the next one reads.
  for (const auto& [from, to] : {std::pair{"encoder.conv0", "encoder.conv1"},
                                 {"encoder.conv2", "encoder.conv3"},
                                 {"inter.up", "2 x decoder.up0"},
                                 {"inter.up", "2 x mask.up0"},
                                 {"2 x decoder.up0", "2 x decoder.res0.conv0"},
                                 {"2 x decoder.res0.conv0", "2 x decoder.res0.conv1"},
                                 {"2 x decoder.res0.conv1", "2 x decoder.up1"},
                                 {"2 x decoder.res2.conv1", "2 x decoder.out0"},
                                 {"2 x decoder.res2.conv1", "2 x decoder.out3"},
                                 {"2 x mask.up3", "2 x mask.out"}}) {
    INFO(from << ", " << to);
    CHECK(written(named(layers, from)) == read(named(layers, to)));
  }
  REQUIRE(layers.denses.size() == 2);
  CHECK(written(named(layers, "encoder.conv3")) == int64_t(16) * layers.denses[0].dense.c);
  CHECK(int64_t(16) * layers.denses[1].dense.k == read(named(layers, "inter.up")));
  // The picture is 256 x 256 x 3 by depth-to-space of the four outputs' channels; the mask 256 x 256.
  CHECK(4 * written(named(layers, "2 x decoder.out3")) == int64_t(16) * 256 * 256 * 3);
  CHECK(written(named(layers, "2 x mask.out")) == int64_t(16) * 256 * 256);
}
