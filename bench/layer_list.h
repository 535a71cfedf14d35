// The layers of bench/layers.h as JSON, so that a peer measures the very shapes that bench_kernels does.
#pragma once

#include <string>

#include "bench/layers.h"
#include "runtime/json.h"

namespace doppel::bench {

// One object. Of all: arch, batch, precision, layer ("2 x decoder.up0"), kind ("conv" or "dense"), groups, n (of one
// group), and passes: of each kernel its name in bench_kernels' rows ("fprop", "dense fprop"), flops and least bytes,
// all groups together. A convolution has h, w, c, k, r, s, stride, pad_top, pad_left, pad_bottom, pad_right; a dense
// layer c and k.
Json json_of(const ConvLayer& layer, const std::string& arch, int batch);
Json json_of(const DenseLayer& layer, const std::string& arch, int batch);

// "bf16" or "fp32".
std::string precision_of(DType type);

}  // namespace doppel::bench
