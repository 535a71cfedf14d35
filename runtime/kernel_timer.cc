#include "runtime/kernel_timer.h"

#include <algorithm>
#include <chrono>

#include "kernels/activation.h"
#include "kernels/philox.h"

namespace doppel {
namespace {

// More than the L2 cache of any card yet; the emulator has none.
size_t flush_bytes(Device device) {
  return device == Device::cuda ? size_t(192) << 20 : size_t(1) << 10;
}
constexpr int64_t kRandom = int64_t(1) << 20;  // elements; longer operands repeat them
constexpr int kRuns = 5;
constexpr double kSpinUp = 0.2;  // seconds

// Products of zeros are faster than those of numbers.
void fill(const Buffer& buffer, DType type, const std::vector<float>& random, Stream stream) {
  std::vector<Bf16> narrow;
  if (type == DType::bf16)
    for (const float v : random) narrow.push_back(to_bf16(v));
  const void* const from = type == DType::bf16 ? static_cast<const void*>(narrow.data()) : random.data();
  const size_t bytes = random.size() * size_of(type);
  for (size_t at = 0; at < buffer.bytes(); at += bytes)
    upload(buffer.as<char>() + at, from, std::min(bytes, buffer.bytes() - at), stream);
}

}  // namespace

KernelTimer::KernelTimer(Stream stream) : stream_(stream), flush_(flush_bytes(stream.device), stream.device) {
  Random random(1, 0, 0);
  for (int64_t i = 0; i < kRandom; ++i) random_.push_back(random.uniform(-1, 1));
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kSpinUp) {
    overwrite_caches();
    wait(stream_);
  }
}

void KernelTimer::overwrite_caches() {
  float* const half = flush_.as<float>();
  const int64_t count = int64_t(flush_.bytes() / sizeof(float) / 2);
  accumulate(half, half + count, count, DType::f32, stream_);
}

void KernelTimer::set_node(const Graph& graph, const Node& node) {
  operands_.clear();
  arguments_ = {};
  arguments_.stream = stream_;
  for (const ValueId v : node.in) {
    operands_.emplace_back(graph[v].bytes(), stream_.device);
    fill(operands_.back(), graph[v].type, random_, stream_);
    arguments_.in.push_back(operands_.back().data());
  }
  for (const ValueId v : node.out) {
    operands_.emplace_back(graph[v].bytes(), stream_.device);
    arguments_.out.push_back(operands_.back().data());
  }
}

double KernelTimer::seconds(const Operator& op) {
  const size_t bytes = op.workspace(stream_);
  if (bytes > workspace_.bytes()) {
    workspace_ = {};
    workspace_ = Buffer(bytes, stream_.device);
  }
  arguments_.workspace = workspace_.data();
  op.run(arguments_);  // loads what it needs
  DeviceEvent start(stream_.device), end(stream_.device);
  std::vector<double> seconds;
  for (int run = 0; run < kRuns; ++run) {
    overwrite_caches();
    start.record(stream_);
    op.run(arguments_);
    end.record(stream_);
    seconds.push_back(end.seconds_since(start));
  }
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return seconds[kRuns / 2];
}

}  // namespace doppel
