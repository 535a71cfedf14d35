#include "bench/layer_list.h"

namespace doppel::bench {
namespace {

Json json_of(const std::string& kernel, double flops, double bytes) {
  return Json::object().set("kernel", kernel).set("flops", flops).set("bytes", bytes);
}

Json base(const std::string& name, const char* kind, DType type, const std::string& arch, int batch) {
  Json j = Json::object();
  j.set("arch", arch).set("batch", batch).set("precision", precision_of(type)).set("layer", name);
  return j.set("kind", kind);
}

}  // namespace

std::string precision_of(DType type) {
  return type == DType::bf16 ? "bf16" : "fp32";
}

Json json_of(const ConvLayer& layer, const std::string& arch, int batch) {
  const Conv2d& c = layer.conv;
  Json j = base(layer.name, "conv", c.type, arch, batch);
  j.set("groups", c.groups).set("n", c.n).set("h", c.h).set("w", c.w).set("c", c.c).set("k", c.k);
  j.set("r", c.r).set("s", c.s).set("stride", c.stride).set("pad_top", c.pad_top).set("pad_left", c.pad_left);
  j.set("pad_bottom", c.pad_bottom).set("pad_right", c.pad_right);
  Json passes = Json::array();
  for (const Pass pass : kPasses)
    if (pass != Pass::dgrad || layer.dgrad) passes.push(json_of(name_of(pass), c.flops(), pass_bytes(c, pass)));
  return j.set("passes", std::move(passes));
}

Json json_of(const DenseLayer& layer, const std::string& arch, int batch) {
  const Dense& d = layer.dense;
  Json j = base(layer.name, "dense", d.type, arch, batch);
  j.set("groups", 1).set("n", d.n).set("c", d.c).set("k", d.k);
  Json passes = Json::array();
  for (const Pass pass : kPasses)
    passes.push(json_of(std::string("dense ") + name_of(pass), d.flops(), pass_bytes(conv_of(d), pass)));
  return j.set("passes", std::move(passes));
}

}  // namespace doppel::bench
