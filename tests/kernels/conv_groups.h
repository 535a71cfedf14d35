// Groups of convolutions, together and one by one.
#pragma once

#include <memory>

#include "kernels/conv_checks.h"

namespace doppel::testing {

inline constexpr int kGroups = 3;

// A tensor of all groups, each `stride` elements behind the one before. What lies between them stays as it is made:
// NaN.
struct Joined {
  Buffer all;
  int64_t stride;

  Joined(DType type, int64_t count, int64_t stride_) : all(type, (kGroups - 1) * stride_ + count), stride(stride_) {}

  char* part(int g) { return static_cast<char*>(all.data()) + g * stride * int64_t(size_of(all.type())); }
  void put(int g, const Buffer& from) { std::memcpy(part(g), from.data(), size_t(from.bytes())); }
  void spoil(int g, int64_t count) {
    const size_t bytes = size_t(count) * size_of(all.type());
    std::memset(part(g), 0xFF, bytes);
    emulator::written_by_host(part(g), bytes);
  }
  bool holds(int g, const Buffer& want) {
    settle();
    return std::memcmp(part(g), want.data(), size_t(want.bytes())) == 0;
  }
  // Nothing was written outside the groups' `count` elements each.
  bool gaps_intact(int64_t count) {
    settle();
    const int64_t size = int64_t(size_of(all.type()));
    for (int g = 0; g + 1 < kGroups; ++g)
      for (const char* at = part(g) + count * size; at < part(g + 1); ++at)
        if (uint8_t(*at) != 0xFF) return false;
    return all.guards_intact();
  }
};

inline constexpr int kNone = -1;

// The groups one by one, checked against the reference, and together. Together, all operands of group `spoiled` are
// NaN.
struct GroupsRun {
  Conv2d conv;
  Epilogue epilogue;
  Stream stream;
  std::vector<std::unique_ptr<ConvRun>> parts;
  Joined x, w, b, y, z, dy, dz, db, dx, dw;

  GroupsRun(const Conv2d& v, const Epilogue& e, uint64_t seed, Stream on, int spoiled = kNone)
      : conv(v),
        epilogue(e),
        stream(on),
        x(v.type, v.in_elements(), v.in_elements()),
        w(v.type, v.weights(), v.weight_stride),
        b(DType::f32, v.k, v.bias_stride),
        y(v.out_type, v.out_elements(), v.out_elements()),
        z(v.out_type, v.out_elements(), v.out_elements()),
        dy(v.out_type, v.out_elements(), v.out_elements()),
        dz(v.type, v.out_elements(), v.out_elements()),
        db(DType::f32, v.k, v.bias_stride),
        dx(v.type, v.in_elements(), v.in_elements()),
        dw(DType::f32, v.weights(), v.weight_stride) {
    for (int g = 0; g < kGroups; ++g) {
      parts.push_back(std::make_unique<ConvRun>(one_group(conv), epilogue, seed + 10 * uint64_t(g), stream));
      ConvRun& part = *parts.back();
      check_fprop(part);
      check_backward_epilogue(part);
      check_gradients(part);
      x.put(g, part.x), w.put(g, part.w), b.put(g, part.b), dy.put(g, part.dy);
    }
    if (spoiled != kNone)
      x.spoil(spoiled, v.in_elements()), w.spoil(spoiled, v.weights()), b.spoil(spoiled, v.k),
          dy.spoil(spoiled, v.out_elements());
    const ConvWorkspace sizes = conv2d_workspace(conv, epilogue, stream);
    const bool saves = saves_input(epilogue.activation);
    const auto with_workspace = [](size_t bytes, auto&& body) {
      Buffer workspace(DType::u8, int64_t(bytes));
      body(workspace.data());
      CHECK(workspace.guards_intact());
    };
    with_workspace(sizes.fprop, [&](void* p) {
      conv2d_fprop(y.all.data(), x.all.data(), w.all.data(), b.all.f32(), conv, epilogue, p, stream,
                   saves ? z.all.data() : nullptr);
    });
    const void* const saved = epilogue.activation == Activation::none ? nullptr : (saves ? z : y).all.data();
    with_workspace(sizes.backward_epilogue, [&](void* p) {
      conv2d_backward_epilogue(dz.all.data(), db.all.f32(), dy.all.data(), saved, conv, epilogue, p, stream);
    });
    with_workspace(sizes.dgrad,
                   [&](void* p) { conv2d_dgrad(dx.all.data(), dz.all.data(), w.all.data(), conv, p, stream); });
    with_workspace(sizes.wgrad,
                   [&](void* p) { conv2d_wgrad(dw.all.f32(), x.all.data(), dz.all.data(), conv, p, stream); });
    CHECK(y.all.guards_intact());
    CHECK(z.all.guards_intact());
    CHECK(dz.all.guards_intact());
    CHECK(dx.all.guards_intact());
    CHECK(db.gaps_intact(conv.k));
    CHECK(dw.gaps_intact(conv.weights()));
  }

  void check_same(int but = kNone) {
    for (int g = 0; g < kGroups; ++g) {
      if (g == but) continue;
      INFO("group " << g);
      CHECK(y.holds(g, parts[size_t(g)]->y));
      if (saves_input(epilogue.activation)) CHECK(z.holds(g, parts[size_t(g)]->z));
      CHECK(dz.holds(g, parts[size_t(g)]->dz));
      CHECK(db.holds(g, parts[size_t(g)]->db));
      CHECK(dx.holds(g, parts[size_t(g)]->dx));
      CHECK(dw.holds(g, parts[size_t(g)]->dw));
    }
  }
};

// `between`: elements from the end of a group's weights, and biases, to the next group's.
inline Conv2d grouped(Conv2d conv, int between) {
  conv.groups = kGroups;
  conv.weight_stride = conv.weights() + between;
  conv.bias_stride = conv.k + between + 1;
  return conv;
}

inline Conv2d by(Conv2d conv, KernelKind kernel, int splits) {
  conv.kernels.fprop = conv.kernels.dgrad = conv.kernels.wgrad = {kernel, splits};
  return conv;
}

inline Conv2d in_bf16(Conv2d conv, DType out_type = DType::bf16) {
  conv.type = DType::bf16, conv.out_type = out_type;
  return conv;
}

inline void check_groups(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed, Stream stream) {
  INFO(describe(conv, epilogue));
  GroupsRun(conv, epilogue, seed, stream).check_same();
}

// What is not finite in the middle one stays there.
inline void check_spoiled(const Conv2d& conv, const Epilogue& epilogue, uint64_t seed, Stream stream) {
  INFO(describe(conv, epilogue) << ", a group of NaN");
  GroupsRun(conv, epilogue, seed, stream, 1).check_same(1);
}

}  // namespace doppel::testing
