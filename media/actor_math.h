// Small vectors, smooth blends and value noise for the synthetic actors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace doppel {

struct Vec3 {
  float x = 0, y = 0, z = 0;
};

inline Vec3 operator+(Vec3 a, Vec3 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
inline Vec3 operator-(Vec3 a, Vec3 b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
inline Vec3 operator*(Vec3 a, float s) {
  return {a.x * s, a.y * s, a.z * s};
}
inline Vec3 operator*(Vec3 a, Vec3 b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z};
}
inline float dot(Vec3 a, Vec3 b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
inline Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline float length(Vec3 a) {
  return std::sqrt(dot(a, a));
}
inline Vec3 normalize(Vec3 a) {
  return a * (1 / std::sqrt(std::max(dot(a, a), 1e-20f)));
}
inline float mix(float a, float b, float t) {
  return a + (b - a) * t;
}
inline Vec3 mix(Vec3 a, Vec3 b, float t) {
  return a + (b - a) * t;
}
inline float saturate(float x) {
  return std::clamp(x, 0.0f, 1.0f);
}
// 0 at `a`, 1 at `b`, flat at both; also falls when b < a.
inline float smooth_step(float a, float b, float x) {
  const float t = saturate((x - a) / (b - a));
  return t * t * (3 - 2 * t);
}
// exp(-(x / width)^2)
inline float bell(float x, float width) {
  return std::exp(-(x / width) * (x / width));
}
// Minimum with a rounded seam about k wide (quadratic blend); never above min(a, b).
inline float smooth_min(float a, float b, float k) {
  const float h = std::max(k - std::abs(a - b), 0.0f) / k;
  return std::min(a, b) - h * h * k * 0.25f;
}
inline float smooth_max(float a, float b, float k) {
  return -smooth_min(-a, -b, k);
}

// Rotation, rows are the images' coordinates: (m * v).x = dot(m.x, v).
struct Mat3 {
  Vec3 x{1, 0, 0}, y{0, 1, 0}, z{0, 0, 1};
};
inline Vec3 operator*(const Mat3& m, Vec3 v) {
  return {dot(m.x, v), dot(m.y, v), dot(m.z, v)};
}
inline Vec3 transposed_times(const Mat3& m, Vec3 v) {
  return m.x * v.x + m.y * v.y + m.z * v.z;
}
inline Mat3 operator*(const Mat3& a, const Mat3& b) {
  return {transposed_times(b, a.x), transposed_times(b, a.y), transposed_times(b, a.z)};
}
// Turn the head to the viewer's right (yaw > 0), down (pitch > 0), tilt clockwise on the picture (roll > 0); radians.
inline Mat3 head_rotation(float yaw, float pitch, float roll) {
  const float cy = std::cos(yaw), sy = std::sin(yaw), cp = std::cos(pitch), sp = std::sin(pitch);
  const float cr = std::cos(roll), sr = std::sin(roll);
  const Mat3 turn{{cy, 0, sy}, {0, 1, 0}, {-sy, 0, cy}};
  const Mat3 nod{{1, 0, 0}, {0, cp, -sp}, {0, sp, cp}};
  const Mat3 tilt{{cr, sr, 0}, {-sr, cr, 0}, {0, 0, 1}};
  return tilt * (turn * nod);
}

// [0, 1) from three integers; a multiply-xor mix, the same on every machine.
inline float hash01(int x, int y, int z) {
  uint32_t h = uint32_t(x) * 0x8DA6B343u ^ uint32_t(y) * 0xD8163841u ^ uint32_t(z) * 0xCB1AB31Fu;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return float((h ^ (h >> 15)) >> 8) * 0x1p-24f;
}

// Value noise on the unit lattice, in [0, 1].
inline float noise3(Vec3 p) {
  const float fx = std::floor(p.x), fy = std::floor(p.y), fz = std::floor(p.z);
  const int ix = int(fx), iy = int(fy), iz = int(fz);
  const auto fade = [](float t) { return t * t * (3 - 2 * t); };
  const float tx = fade(p.x - fx), ty = fade(p.y - fy), tz = fade(p.z - fz);
  const auto edge = [&](int y, int z) { return mix(hash01(ix, y, z), hash01(ix + 1, y, z), tx); };
  return mix(mix(edge(iy, iz), edge(iy + 1, iz), ty), mix(edge(iy, iz + 1), edge(iy + 1, iz + 1), ty), tz);
}

}  // namespace doppel
