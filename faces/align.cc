#include "faces/align.h"

// GCC 12 sees uninitialised values in Eigen's small vectorised matrices (GCC bug 105593); matrices of this size gain
// nothing from vectors.
#define EIGEN_DONT_VECTORIZE
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <Eigen/Dense>
#pragma GCC diagnostic pop
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "faces/canonical.h"
#include "kernels/frame.h"

namespace doppel {
namespace {

// The jaw's points 0..5 and 11..16 are the face's outline at its sides. When the head turns the outline's middle moves
// away from the inner points' middle; the crop follows it half of the way, so that the near cheek stays in the picture
// and only half of the jaw's uncertainty comes with it.
constexpr size_t kSidePoints = 6;
constexpr float kSlide = 0.5f;

}  // namespace

const Landmarks& canonical_face() {
  return kCanonicalFace;
}

Affine umeyama(std::span<const Point> from, std::span<const Point> to, std::span<const float> weights) {
  if (from.size() != to.size() || from.size() < 2 || (!weights.empty() && weights.size() != from.size())) {
    throw std::invalid_argument("umeyama: lists of different lengths, or fewer than 2 points");
  }
  const auto weight = [&](size_t i) { return weights.empty() ? 1.0 : double(weights[i]); };
  const auto vec = [](Point p) { return Eigen::Vector2d(p.x, p.y); };
  double total = 0;
  Eigen::Vector2d mean_from = Eigen::Vector2d::Zero(), mean_to = Eigen::Vector2d::Zero();
  for (size_t i = 0; i < from.size(); ++i) {
    total += weight(i);
    mean_from += weight(i) * vec(from[i]);
    mean_to += weight(i) * vec(to[i]);
  }
  mean_from /= total;
  mean_to /= total;
  double variance = 0;  // of `from`, equation 36
  Eigen::Matrix2d covariance = Eigen::Matrix2d::Zero();
  for (size_t i = 0; i < from.size(); ++i) {
    const Eigen::Vector2d f = vec(from[i]) - mean_from, t = vec(to[i]) - mean_to;
    variance += weight(i) * f.squaredNorm() / total;
    covariance += weight(i) * t * f.transpose() / total;
  }
  if (!(variance > 0) || !covariance.allFinite()) throw std::invalid_argument("umeyama: the points coincide");
  const Eigen::JacobiSVD<Eigen::Matrix2d> svd(covariance, Eigen::ComputeFullU | Eigen::ComputeFullV);
  Eigen::Vector2d sign(1, 1);  // keeps the rotation proper (equations 39 and 43)
  if (svd.matrixU().determinant() * svd.matrixV().determinant() < 0) sign[1] = -1;
  const Eigen::Matrix2d rotation = svd.matrixU() * sign.asDiagonal() * svd.matrixV().transpose();
  const double scale = svd.singularValues().dot(sign) / variance;
  const Eigen::Matrix2d m = scale * rotation;
  const Eigen::Vector2d t = mean_to - m * mean_from;
  return {float(m(0, 0)), float(m(0, 1)), float(t[0]), float(m(1, 0)), float(m(1, 1)), float(t[1])};
}

Affine canonical_fit(const Landmarks& landmarks) {
  const std::span<const Point> from(landmarks), to(kCanonicalFace);
  return umeyama(from.subspan(kFirstInner), to.subspan(kFirstInner), kInnerWeights);
}

Affine align(const Landmarks& landmarks, int size, float coverage) {
  Affine to_canonical = canonical_fit(landmarks);
  float sides = 0;
  for (size_t i = 0; i < kSidePoints; ++i) sides += to_canonical(landmarks[i]).x + to_canonical(landmarks[16 - i]).x;
  to_canonical.tx -= kSlide * sides / (2 * kSidePoints);
  return canonical_to_crop(size, coverage).after(to_canonical);
}

Affine centre_part(const Affine& frame_to_crop, int crop_size, float part, int new_size) {
  const float k = float(new_size) / (float(crop_size) * part);
  // Both squares have the same centre: (size - 1) / 2 in their own pixels.
  const float shift = 0.5f * float(new_size - 1) - k * 0.5f * float(crop_size - 1);
  return Affine{k, 0, shift, 0, k, shift}.after(frame_to_crop);
}

Landmarks moved(const Landmarks& landmarks, const Affine& map) {
  Landmarks out;
  for (size_t i = 0; i < out.size(); ++i) out[i] = map(landmarks[i]);
  return out;
}

Affine canonical_to_crop(int size, float coverage) {
  const float k = float(size) / coverage;
  const float centre = 0.5f * float(size - 1);
  return {k, 0, centre, 0, k, centre};
}

Pose estimate_pose(const Landmarks& landmarks) {
  // x = A X + t in the least-squares sense, A [2, 3]; X: canonical x and y, and a depth.
  Eigen::Matrix<double, kLandmarkCount, 4> shape;
  Eigen::Matrix<double, kLandmarkCount, 2> image;
  for (int i = 0; i < kLandmarkCount; ++i) {
    const Point c = kCanonicalFace[size_t(i)], p = landmarks[size_t(i)];
    const double w = i < kFirstInner ? 0.5 : 1.0;  // the jaw's points slide along the outline when the head turns
    shape.row(i) << w * c.x, w * c.y, w * kCanonicalDepth[size_t(i)], w;
    image.row(i) << w * p.x, w * p.y;
  }
  const Eigen::Matrix<double, 4, 2> solution = shape.colPivHouseholderQr().solve(image);
  const Eigen::Matrix<double, 2, 3> camera = solution.topRows<3>().transpose();
  // The nearest orthonormal rows: polar decomposition, r = (A A')^-1/2 A.
  const Eigen::Matrix2d gram = camera * camera.transpose();
  const Eigen::Matrix<double, 2, 3> r =
      Eigen::SelfAdjointEigenSolver<Eigen::Matrix2d>(gram).operatorInverseSqrt() * camera;
  const Eigen::Vector3d right = r.row(0), down = r.row(1);
  const Eigen::Vector3d forward = right.cross(down);
  // r = Rz(roll) Rx(pitch) Ry(yaw) with x right, y down, z away from the camera; depth grows away from it.
  constexpr double kDegrees = 57.29577951308232;
  Pose pose;
  pose.pitch = float(kDegrees * std::asin(std::clamp(-forward.y(), -1.0, 1.0)));
  pose.yaw = float(kDegrees * std::atan2(forward.x(), forward.z()));
  pose.roll = float(kDegrees * std::atan2(-right.y(), down.y()));
  return pose;
}

float face_sharpness(ConstImageView frame, const Landmarks& landmarks, float coverage) {
  constexpr int kSize = 160;
  std::vector<uint8_t> luma(size_t(kSize) * kSize);
  // Upright is enough here: sharpness does not depend on the roll, and an upright box is cheap.
  const Affine back = align(landmarks, kSize, coverage * kNetworkPart).inverse();
  const float step = std::hypot(back.a, back.c);
  const float half = 0.5f * float(kSize - 1);
  const Point c = back({half, half});
  crop_luma(frame, c.x - half * step, c.y - half * step, step, kSize, kSize, luma.data(), kSize);
  return float(laplacian_variance(luma.data(), kSize, kSize, kSize));
}

}  // namespace doppel
