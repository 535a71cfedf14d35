// What the oneDNN-backed operators share. Private to kernels/*_cpu.cc: no other header includes it.
#pragma once

#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <vector>

#include "kernels/carver.h"
#include "kernels/conv2d.h"

namespace doppel::onednn {

using dnnl::memory;

inline const dnnl::engine& engine() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

inline dnnl::stream& stream() {
  static thread_local dnnl::stream s(engine());
  return s;
}

inline memory::data_type type_of(DType t) {
  return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// Scratch memory is ours to plan, so that a step's bytes are known before it runs.
inline dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// The activation that rides on a product.
inline dnnl::primitive_attr with_activation(const Epilogue& e) {
  auto attr = user_scratchpad();
  if (e.activation == Activation::none) return attr;
  dnnl::post_ops ops;
  if (e.activation == Activation::leaky_relu)
    ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, e.slope, 0);
  else if (e.activation == Activation::sigmoid)
    ops.append_eltwise(1, dnnl::algorithm::eltwise_logistic, 0, 0);
  else
    throw std::logic_error("this activation does not ride on a product of oneDNN");
  attr.set_post_ops(ops);
  return attr;
}

inline memory wrap(const memory::desc& desc, const void* data) {
  return memory(desc, engine(), const_cast<void*>(data));
}

// Built primitives by their shape: a step asks for the same few dozen again and again. Entries are never removed.
template <typename Key, typename Value>
class Cache {
 public:
  template <typename Build>
  const Value& get(const Key& key, Build&& build) {
    std::lock_guard lock(mutex_);
    for (const auto& entry : entries_)
      if (entry->first == key) return entry->second;
    entries_.push_back(std::make_unique<std::pair<Key, Value>>(key, build()));
    return entries_.back()->second;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::pair<Key, Value>>> entries_;
};

// A reorder between two layouts of the same tensor, or nothing when they are equal.
struct Reorder {
  dnnl::reorder primitive;
  memory::desc from, to;
  size_t scratch = 0;
  bool needed = false;

  Reorder() = default;
  Reorder(const memory::desc& f, const memory::desc& t) : from(f), to(t), needed(f != t) {
    if (!needed) return;
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, user_scratchpad());
    primitive = dnnl::reorder(pd);
    scratch = pd.scratchpad_desc().get_size();
  }

  // The tensor in layout `to`: at `target` when a reorder is needed, else where it was.
  const void* run(const void* source, void* target, void* scratchpad) const {
    if (!needed) return source;
    memory src = wrap(from, source), dst = wrap(to, target);
    primitive.execute(
        stream(), {{DNNL_ARG_FROM, src},
                   {DNNL_ARG_TO, dst},
                   {DNNL_ARG_SCRATCHPAD,
                    wrap(memory::desc({int64_t(scratch)}, memory::data_type::u8, memory::format_tag::a), scratchpad)}});
    return target;
  }
};

}  // namespace doppel::onednn
