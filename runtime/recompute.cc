#include "runtime/recompute.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace doppel {
namespace {

// The nodes that write each value or a view of it, in order. [values]
std::vector<std::vector<size_t>> writers_of(const Graph& g) {
  std::vector<std::vector<size_t>> writers(g.values.size());
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (ValueId v : g.nodes[i].out) writers[size_t(g.owner(v))].push_back(i);
  return writers;
}

// Copies a graph node by node and puts second runs in between.
class Rewriter {
 public:
  Rewriter(const Graph& g, const std::vector<ValueId>& values)
      : from_(g), to_(g), writers_(writers_of(g)), given_up_(values.begin(), values.end()) {
    to_.nodes.clear();
  }

  Graph rewrite() {
    for (size_t i = 0; i < from_.nodes.size(); ++i) i < from_.forward ? to_.nodes.push_back(from_.nodes[i]) : add(i);
    return std::move(to_);
  }

 private:
  void add(size_t i) {
    Node node = from_.nodes[i];
    for (ValueId& v : node.in) v = again(v);
    to_.nodes.push_back(std::move(node));
  }

  // What the backward pass reads instead of `v`. Appends the second run of v's nodes when it is the first to ask.
  ValueId again(ValueId v) {
    const ValueId owner = from_.owner(v);
    if (given_up_.count(owner) == 0) return v;
    if (copies_.count(owner) == 0) {
      for (size_t writer : writers_[size_t(owner)]) {
        Node node = from_.nodes[writer];
        for (ValueId& in : node.in) in = again(in);
        for (ValueId& out : node.out) out = copy(out);
        to_.nodes.push_back(std::move(node));
      }
    }
    return copy(v);
  }

  // The value, or view, in the memory of the second run.
  ValueId copy(ValueId v) {
    if (const auto found = copies_.find(v); found != copies_.end()) return found->second;
    Value value = from_[v];
    value.name = "recomputed " + value.name;
    if (value.base != kNoValue) value.base = copy(value.base);
    to_.values.push_back(value);
    return copies_[v] = ValueId(to_.values.size()) - 1;
  }

  const Graph& from_;
  Graph to_;
  std::vector<std::vector<size_t>> writers_;
  std::set<ValueId> given_up_;
  std::map<ValueId, ValueId> copies_;  // of owners and of views
};

// A set of given-up values and what it costs.
class Trial {
 public:
  Trial(const Graph& g, const std::vector<ValueId>& values, const ArenaBytes& bytes)
      : g_(g), values_(values), arena_bytes_(bytes), given_up_(values.size(), false) {
    std::vector<std::vector<size_t>> writers = writers_of(g);
    for (ValueId v : values) {
      double sum = 0;
      for (size_t i : writers[size_t(v)]) sum += g.nodes[i].op->flops();
      cost_.push_back(sum);
      by_cost_.push_back(by_cost_.size());
    }
    std::stable_sort(by_cost_.begin(), by_cost_.end(), [&](size_t a, size_t b) { return cost_[a] > cost_[b]; });
    measure();
  }

  // Gives everything up but the value that ends a segment of `segment` bytes.
  void cut(size_t segment) {
    size_t since = 0;
    for (size_t i = 0; i < values_.size(); ++i) {
      since += g_[values_[i]].bytes();
      given_up_[i] = since <= segment;
      if (!given_up_[i]) since = 0;
    }
    measure();
  }

  // Changes single values as long as that brings the arena nearer to the limit.
  void shrink(size_t limit) {
    for (bool changed = true; changed && bytes_ > limit;) {
      changed = false;
      for (size_t i = 0; i < values_.size() && bytes_ > limit; ++i) {
        const size_t before = bytes_;
        turn(i);
        if (bytes_ < before)
          changed = true;
        else
          turn(i, before);
      }
    }
  }

  // Keeps what need not be given up.
  void give_back(size_t limit) {
    const size_t most = std::max(limit, bytes_);
    for (size_t i : by_cost_) {
      if (!given_up_[i]) continue;
      const size_t before = bytes_;
      turn(i);
      if (bytes_ > most) turn(i, before);
    }
  }

  Recomputation result() const {
    Recomputation r{chosen(), bytes_, 0};
    for (size_t i = 0; i < values_.size(); ++i)
      if (given_up_[i]) r.flops += cost_[i];
    return r;
  }

 private:
  std::vector<ValueId> chosen() const {
    std::vector<ValueId> some;
    for (size_t i = 0; i < values_.size(); ++i)
      if (given_up_[i]) some.push_back(values_[i]);
    return some;
  }
  void measure() { bytes_ = arena_bytes_(recompute(g_, chosen())); }
  void turn(size_t i) {
    given_up_[i] = !given_up_[i];
    measure();
  }
  void turn(size_t i, size_t bytes) {
    given_up_[i] = !given_up_[i];
    bytes_ = bytes;
  }

  const Graph& g_;
  const std::vector<ValueId>& values_;
  const ArenaBytes& arena_bytes_;
  std::vector<bool> given_up_;
  std::vector<double> cost_;     // FLOPs of each value
  std::vector<size_t> by_cost_;  // the dearest first
  size_t bytes_ = 0;
};

}  // namespace

std::vector<ValueId> recomputable(const Graph& g) {
  const std::vector<std::vector<size_t>> writers = writers_of(g);
  std::vector<size_t> last_read(g.values.size(), 0);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (ValueId v : g.nodes[i].in) last_read[size_t(g.owner(v))] = i;
  // The backward pass ends where something that the forward pass reads is written: the optimiser.
  std::set<ValueId> read;
  for (size_t i = 0; i < g.forward; ++i)
    for (ValueId v : g.nodes[i].in) read.insert(g.owner(v));
  size_t end = g.nodes.size();
  for (ValueId v : read)
    for (size_t i : writers[size_t(v)])
      if (i >= g.forward) end = std::min(end, i);

  std::vector<ValueId> found;
  std::set<ValueId> seen;
  for (size_t i = 0; i < g.forward; ++i)
    for (ValueId out : g.nodes[i].out) {
      const ValueId v = g.owner(out);
      if (!seen.insert(v).second) continue;
      const bool read_back = last_read[size_t(v)] >= g.forward && last_read[size_t(v)] < end;
      if (g[v].role != Role::activation || !read_back) continue;
      const bool repeats = std::all_of(writers[size_t(v)].begin(), writers[size_t(v)].end(), [&](size_t writer) {
        const Node& node = g.nodes[writer];
        const auto written_later = [&](ValueId in) {
          const std::vector<size_t>& w = writers[size_t(g.owner(in))];
          return !w.empty() && w.back() >= writer && w.front() < end;
        };
        return writer < g.forward && node.op->repeatable() && node.out.size() == 1 &&
               std::none_of(node.in.begin(), node.in.end(), written_later);
      });
      if (repeats) found.push_back(v);
    }
  return found;
}

Graph recompute(const Graph& g, const std::vector<ValueId>& values) {
  return Rewriter(g, values).rewrite();
}

double flops(const Graph& g) {
  double sum = 0;
  for (const Node& node : g.nodes) sum += node.op->flops();
  return sum;
}

Recomputation choose_recomputation(const Graph& g, size_t limit, const ArenaBytes& bytes) {
  const std::vector<ValueId> values = recomputable(g);
  Trial trial(g, values, bytes);
  Recomputation best = trial.result();
  if (best.bytes <= limit) return best;
  size_t all = 0;
  for (ValueId v : values) all += g[v].bytes();
  const int most_segments = int(2 * std::ceil(std::sqrt(double(values.size()))));
  for (int segments = 1; segments <= most_segments; ++segments) {
    trial.cut(all / size_t(segments));
    trial.shrink(limit);
    trial.give_back(limit);
    const Recomputation now = trial.result();
    const bool better = now.bytes <= limit && best.bytes <= limit
                            ? now.flops < best.flops
                            : now.bytes < best.bytes || (now.bytes == best.bytes && now.flops < best.flops);
    if (better) best = now;
  }
  return best;
}

}  // namespace doppel
