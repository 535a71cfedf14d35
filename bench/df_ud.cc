// The layers of a DF network with options u and d at 256 pixels, written from what it is:
//
//   encoder   5x5, stride 2, to 64, 128, 256, 512 channels; leaky ReLU 0.1; 16x16x512 then, divided by its RMS (u)
//   inter     dense to 256, dense to 8x8x256, Up 256
//   decoder   Up 512, Res, Up 256, Res, Up 128, Res; four convolutions to 3 (1x1, 3x3, 3x3, 3x3) at 128 pixels, whose
//             12 channels become depth-to-space the 3 of 256 pixels (d)
//   mask      Up 176, 88, 44, with d one more to 22; 1x1 to 1 at 256 pixels
//
// Up(k): 3x3 to 4k, leaky ReLU 0.1, pixel shuffle. Res: 3x3, leaky ReLU 0.2, 3x3, leaky ReLU 0.2 of the sum with its
// input. Zero padding on all sides. Encoder and inter are one for all people, decoder with mask one each.
#include "bench/layers.h"

namespace doppel::bench {
namespace {

constexpr int kSize = 256, kCode = 256, kEncoder = 64, kDecoder = 64, kMask = 22;
constexpr Epilogue kLeaky{Activation::leaky_relu, 0.1f, false}, kUp{Activation::leaky_relu, 0.1f, true},
    kRes{Activation::leaky_relu, 0.2f, false}, kSum{}, kPicture{Activation::sigmoid, 0, false};

// Follows a picture through the layers of one part of the network.
struct Part {
  Layers& layers;
  std::string name;
  int n, groups, size, channels;
  DType type;

  // `keep`: the next layer reads the same picture.
  void conv(const std::string& layer, int k, int filter, int stride, const Epilogue& epilogue, bool keep = false) {
    Conv2d c{};
    c.n = n;
    c.h = c.w = size;
    c.c = channels;
    c.k = k;
    c.r = c.s = filter;
    c.stride = stride;
    c.type = type;
    c.out_type = epilogue.activation == Activation::sigmoid ? DType::f32 : type;
    pad_symmetric(c);
    c.groups = groups;
    if (groups > 1) c.weight_stride = c.weights(), c.bias_stride = c.k;
    const bool first = layers.convs.empty();
    layers.convs.push_back({name + layer, c, epilogue, !first});
    if (keep) return;
    size = c.out_h() * (epilogue.shuffle ? 2 : 1);
    channels = epilogue.shuffle ? k / 4 : k;
  }
  void up(const std::string& layer, int k) { conv(layer, 4 * k, 3, 1, kUp); }
  void res(const std::string& layer) {
    conv(layer + ".conv0", channels, 3, 1, kRes);
    conv(layer + ".conv1", channels, 3, 1, kSum);
  }
};

}  // namespace

Layers df_ud256(int batch, DType type) {
  Layers layers;
  const int all = kPeople * batch;
  Part encoder{layers, "encoder.", all, 1, kSize, 3, type};
  for (int i = 0; i < 4; ++i) encoder.conv("conv" + std::to_string(i), kEncoder << i, 5, 2, kLeaky);
  constexpr int kLatent = kSize / 32;
  layers.denses.push_back({"inter.dense0", {all, encoder.size * encoder.size * encoder.channels, kCode, type}});
  layers.denses.push_back({"inter.dense1", {all, kCode, kLatent * kLatent * kCode, type}});
  Part inter{layers, "inter.", all, 1, kLatent, kCode, type};
  inter.up("up", kCode);

  const std::string people = std::to_string(kPeople) + " x ";
  Part decoder{layers, people + "decoder.", batch, kPeople, inter.size, inter.channels, type};
  for (int i = 0; i < 3; ++i) {
    decoder.up("up" + std::to_string(i), kDecoder * 8 >> i);
    decoder.res("res" + std::to_string(i));
  }
  for (int i = 0; i < 4; ++i) decoder.conv("out" + std::to_string(i), 3, i == 0 ? 1 : 3, 1, kPicture, true);

  Part mask{layers, people + "mask.", batch, kPeople, inter.size, inter.channels, type};
  for (int i = 0; i < 4; ++i) mask.up("up" + std::to_string(i), kMask * 8 >> i);
  mask.conv("out", 1, 1, 1, kPicture);
  return layers;
}

}  // namespace doppel::bench
