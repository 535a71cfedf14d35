#include "runtime/kernel_timer.h"

#include <algorithm>
#include <cmath>

#include "kernels/activation.h"
#include "kernels/philox.h"
#include "runtime/clock.h"
#include "runtime/relative_distance.h"

namespace doppel {
namespace {

// More than the L2 cache of any card yet; the emulator has none.
size_t flush_bytes(Device device) {
  return device == Device::cuda ? size_t(192) << 20 : size_t(1) << 10;
}
constexpr int64_t kRandom = int64_t(1) << 20;  // elements; longer operands repeat them
constexpr int kRuns = 5;
constexpr double kSpinUp = 0.2;  // seconds
// Of an output that is compared: few enough that this takes no longer than timing.
constexpr size_t kPieces = 64, kPieceBytes = size_t(64) << 10;

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

template <typename T>
double distance_of(const std::vector<char>& results, const std::vector<char>& wanted) {
  return relative_distance(reinterpret_cast<const T*>(results.data()), reinterpret_cast<const T*>(wanted.data()),
                           wanted.size() / sizeof(T));
}

}  // namespace

KernelTimer::KernelTimer(Stream stream) : stream_(stream), flush_(flush_bytes(stream.device), stream) {
  Random random(1, 0, 0);
  for (int64_t i = 0; i < kRandom; ++i) random_.push_back(random.uniform(-1, 1));
  const Clock::time_point start = Clock::now();
  while (since(start) < kSpinUp) {
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
  pieces_.clear();
  workspace_ = {};
  arguments_ = {};
  arguments_.stream = stream_;
  std::vector<ValueId> values = node.in;
  values.insert(values.end(), node.out.begin(), node.out.end());
  const auto offset_of = [&](ValueId v) {
    size_t offset = 0;
    for (; graph[v].base != kNoValue; v = graph[v].base) offset += graph[v].offset;
    return offset;
  };
  const auto span_of = [&](ValueId v) {
    return std::find_if(operands_.begin(), operands_.end(), [&](const Span& s) { return s.owner == graph.owner(v); });
  };
  for (const ValueId v : values) {
    const size_t begin = offset_of(v), end = begin + graph[v].bytes();
    if (const auto span = span_of(v); span != operands_.end()) {
      span->begin = std::min(span->begin, begin);
      span->end = std::max(span->end, end);
    } else {
      operands_.push_back({graph.owner(v), begin, end, graph[v].type, {}});
    }
  }
  for (Span& span : operands_) {
    span.memory = Buffer(span.end - span.begin, stream_);
    fill(span.memory, span.type, random_, stream_);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const auto span = span_of(values[i]);
    void* const at = span->memory.as<char>() + (offset_of(values[i]) - span->begin);
    (i < node.in.size() ? arguments_.in : arguments_.out).push_back(at);
    if (i >= node.in.size()) cut_into_pieces(static_cast<char*>(at), graph[values[i]].bytes(), graph[values[i]].type);
  }
  narrow_ = std::any_of(operands_.begin(), operands_.end(), [](const Span& s) { return s.type == DType::bf16; });
}

// Pieces of equal length, the first and the last at the ends; they overlap where they cover the output.
void KernelTimer::cut_into_pieces(char* output, size_t bytes, DType type) {
  const size_t count = std::min(kPieces, (bytes + kPieceBytes - 1) / kPieceBytes),
               length = std::min(bytes, kPieceBytes);
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i == 0 ? 0 : i * (bytes - length) / (count - 1) / size_of(type) * size_of(type);
    pieces_.push_back({output + begin, type, std::vector<char>(length)});
  }
}

void KernelTimer::run(const Operator& op) {
  const size_t bytes = op.workspace(stream_);
  if (bytes > workspace_.bytes()) {
    workspace_ = {};
    workspace_ = Buffer(bytes, stream_, Fresh::anything);
  }
  arguments_.workspace = workspace_.data();
  op.run(arguments_);
}

void KernelTimer::keep_results(const Operator& op) {
  run(op);
  for (Piece& piece : pieces_) download(piece.kept.data(), piece.at, piece.kept.size(), stream_);
  wait(stream_);
}

double KernelTimer::distance(const Operator& op) {
  // What the kernel before has written must not pass for the results of one that writes nothing.
  const std::vector<char> nan(kPieceBytes, char(0xFF));
  for (const Piece& piece : pieces_) upload(piece.at, nan.data(), piece.kept.size(), stream_);
  run(op);
  double most = 0;
  std::vector<char> results;
  for (const Piece& piece : pieces_) {
    results.resize(piece.kept.size());
    download(results.data(), piece.at, results.size(), stream_);
    wait(stream_);
    const double d =
        piece.type == DType::bf16 ? distance_of<Bf16>(results, piece.kept) : distance_of<float>(results, piece.kept);
    if (std::isnan(d)) return d;
    most = std::max(most, d);
  }
  return most;
}

double KernelTimer::most_distance() const {
  return narrow_ ? 1e-2 : 1e-4;
}

double KernelTimer::seconds(const Operator& op) {
  run(op);  // loads what it needs
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
