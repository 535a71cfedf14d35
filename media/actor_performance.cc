#include "media/actors.h"

#include <algorithm>
#include <cmath>

namespace doppel {
namespace {

constexpr double kTwoPi = 6.283185307179586;

double wave(double seconds, double period, double phase) {
  return std::sin(kTwoPi * (seconds / period + phase));
}

// Near a sine, but it lingers at both ends, so that the extremes are seen for more than a frame.
double dwell(double s) {
  return std::sin(s * 1.5707963) * 0.85 + s * 0.15;
}

double smooth(double t) {
  t = std::clamp(t, 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

// A blink every `period` seconds: shut in 0.1 s, open in 0.17 s.
double blink_at(double seconds, double period, double phase) {
  const double t = std::fmod(seconds + phase, period);
  return t < 0.1 ? smooth(t / 0.1) : 1 - smooth((t - 0.13) / 0.17);
}

}  // namespace

Performance performance(Actor who, double seconds) {
  const bool a = who == Actor::a;
  // Both play the same scene, B at another pace and from another moment on: the same ranges, and the same combinations
  // of pose, expression and light in other frames.
  const double t = a ? seconds : 0.92 * seconds + 1.1;
  const auto by = [&](double period, double phase) { return wave(t, period, phase); };
  Performance p;
  p.place = who;
  p.yaw = float(30 * dwell(by(7.3, 0.02)));
  p.pitch = float(15 * dwell(by(4.9, 0.3) * 0.8 + by(2.3, 0.1) * 0.2));
  p.roll = float(4 * by(5.9, 0.6) + 2 * by(3.1, 0.2));
  p.x = float(0.022 * by(6.7, 0.1));
  p.y = float(0.014 * by(4.3, 0.5));
  p.scale = float(1 + 0.05 * by(9.1, 0.4));

  // Speech: syllables at about four a second in phrases with rests; each vowel has its own lips.
  const double phrase = smooth(1.5 + 2.2 * by(3.7, 0.15));
  const double syllable = 0.5 - 0.5 * std::cos(kTwoPi * (t * 3.7 + 0.6 * by(1.9, 0.3)));
  p.jaw = float(0.75 * std::clamp(phrase * syllable * (0.5 + 0.5 * by(1.3, 0.4)), 0.0, 1.0));
  p.pucker = float(0.55 * phrase * std::max(0.0, by(0.83, 0.2)) * std::max(0.0, by(2.7, 0.7)));
  p.wide = float(0.65 * phrase * std::max(0.0, by(0.71, 0.6)) * (0.4 + 0.6 * syllable) * (1 - p.pucker));
  p.smile = float(smooth(0.2 + 0.9 * by(5.3, 0.8)) * (1 - 0.7 * p.pucker));
  p.brow = float(std::clamp(0.35 * by(3.3, 0.1) + 0.7 * by(4.7, 0.55), -0.5, 1.0));
  p.blink = float(std::max(blink_at(t, 2.7, 0.9), blink_at(t, 7.1, 4.0)));
  // Eyes hold the camera, then look elsewhere; each look lasts a while.
  const auto look = [&](double period, double phase) { return std::tanh(3 * by(period, phase)); };
  p.gaze_x = float(std::clamp(-0.45 * p.yaw + 9 * look(2.9, 0.35), -25.0, 25.0));
  p.gaze_y = float(std::clamp(-0.40 * p.pitch + 5 * look(3.7, 0.75), -12.0, 12.0));

  p.light_azimuth = float(45 * dwell(by(6.1, 0.55)));
  p.light_elevation = float(37.5 + 15 * by(8.3, 0.2));
  p.light_warmth = float(0.7 * by(5.1, 0.9));
  p.light_intensity = float(0.95 + 0.18 * by(4.1, 0.45));
  p.fill = float(0.95 + 0.18 * by(6.9, 0.7));
  p.pan = float(0.30 * by(13.0, 0.05));
  return p;
}

}  // namespace doppel
