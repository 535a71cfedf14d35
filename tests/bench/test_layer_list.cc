// What peers read of the layers (bench_kernels --layers).
#include "bench/layer_list.h"

#include <catch2/catch.hpp>

using namespace doppel;
using namespace doppel::bench;

TEST_CASE("bench layer list: a peer reads the same shapes", "[bench]") {
  Conv2d conv{3, 8, 6, 4, 5, 5, 3, 2, 1, 0, 2, 1, DType::bf16, DType::f32};
  conv.groups = 2;
  conv.weight_stride = conv.weights(), conv.bias_stride = conv.k;
  const Json j = Json::parse(json_of(ConvLayer{"2 x up", conv, {}, true}, "some", 3).dump(), "a layer");
  for (const auto& [key, value] : {std::pair{"batch", 3},
                                   {"groups", 2},
                                   {"n", 3},
                                   {"h", 8},
                                   {"w", 6},
                                   {"c", 4},
                                   {"k", 5},
                                   {"r", 5},
                                   {"s", 3},
                                   {"stride", 2},
                                   {"pad_top", 1},
                                   {"pad_left", 0},
                                   {"pad_bottom", 2},
                                   {"pad_right", 1}}) {
    INFO(key);
    CHECK(j.at(key).number() == value);
  }
  CHECK(j.at("arch").text() == "some");
  CHECK(j.at("layer").text() == "2 x up");
  CHECK(j.at("kind").text() == "conv");
  CHECK(j.at("precision").text() == "bf16");
  REQUIRE(j.at("passes").elements().size() == 3);
  for (const Pass pass : kPasses) {
    const Json& p = j.at("passes").elements()[size_t(pass)];
    CHECK(p.at("kernel").text() == name_of(pass));
    // 4 x 3 outputs of each of 3 pictures, 5 channels of 5 x 3 x 4 products, of two groups.
    CHECK(p.at("flops").number() == 2.0 * 2 * (4 * 3 * 3) * 5 * (5 * 3 * 4));
    CHECK(p.at("bytes").number() == pass_bytes(conv, pass));
  }
  // No gradient of pictures.
  CHECK(json_of(ConvLayer{"picture", conv, {}, false}, "some", 3).at("passes").elements().size() == 2);

  const Json dense = json_of(DenseLayer{"dense", {7, 16, 8, DType::f32}}, "some", 3);
  CHECK(dense.at("kind").text() == "dense");
  CHECK(dense.at("precision").text() == "fp32");
  CHECK(dense.at("n").number() == 7);
  CHECK(dense.at("c").number() == 16);
  CHECK(dense.at("k").number() == 8);
  CHECK(dense.at("passes").elements()[2].at("kernel").text() == "dense wgrad");
  CHECK(dense.at("passes").elements()[2].at("flops").number() == 2.0 * 7 * 16 * 8);
}
