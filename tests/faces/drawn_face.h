// A face drawn from ellipses, plain enough to read and enough of a face for the detector.
#pragma once

#include <algorithm>
#include <cmath>

#include "runtime/image.h"

namespace doppel {

// Centre and width of the head in pixels; roll in degrees. Lit from the left.
inline void draw_face(Image& image, float cx, float cy, float width, float roll = 0) {
  const float r = roll * 0.01745329f, cosine = std::cos(r), sine = std::sin(r);
  // 1 inside an ellipse in face units, fading over a few percent of its radius.
  const auto ellipse = [](float x, float y, float ex, float ey, float rx, float ry, float soft = 0.15f) {
    const float d = std::hypot((x - ex) / rx, (y - ey) / ry);
    return std::clamp((1 + soft - d) / (2 * soft), 0.0f, 1.0f);
  };
  for (int py = 0; py < image.height(); ++py) {
    for (int px = 0; px < image.width(); ++px) {
      const float dx = (float(px) - cx) / width, dy = (float(py) - cy) / width;
      const float x = cosine * dx + sine * dy, y = -sine * dx + cosine * dy;
      const float side = std::abs(x);
      float light = 0, weight = 0;
      const auto blend = [&](float value, float m) {
        light += m * (value - light);
        weight = std::max(weight, m);
      };
      blend(60, ellipse(x, y, 0, -0.12f, 0.56f, 0.72f, 0.03f));                        // hair
      blend(150, ellipse(x, y, 0, 0.42f, 0.22f, 0.5f, 0.1f));                          // neck
      blend(205 - 60 * x - 90 * x * x, ellipse(x, y, 0, 0.02f, 0.48f, 0.66f, 0.04f));  // head
      blend(150, 0.6f * ellipse(side, y, 0.2f, -0.14f, 0.15f, 0.09f, 0.4f));           // sockets
      blend(70, ellipse(side, y + 0.15f * side, 0.21f, -0.2f, 0.13f, 0.022f, 0.4f));   // brows
      blend(230, ellipse(side, y, 0.2f, -0.11f, 0.085f, 0.035f));                      // eyes
      blend(40, ellipse(side, y, 0.2f, -0.11f, 0.035f, 0.035f));                       // irises
      blend(60, 0.8f * ellipse(side, y, 0.2f, -0.145f, 0.09f, 0.012f, 0.5f));          // lids
      blend(235, 0.5f * ellipse(x, y, 0, 0.0f, 0.035f, 0.14f, 0.6f));                  // nose
      blend(90, 0.8f * ellipse(side, y, 0.045f, 0.15f, 0.03f, 0.016f, 0.5f));          // nostrils
      blend(130, 0.5f * ellipse(x, y, 0, 0.18f, 0.08f, 0.02f, 0.6f));                  // under the nose
      blend(120, ellipse(x, y, 0, 0.32f, 0.15f, 0.05f, 0.25f));                        // lips
      blend(60, ellipse(x, y, 0, 0.315f, 0.14f, 0.008f, 0.6f));                        // between them
      blend(150, 0.5f * ellipse(x, y, 0, 0.41f, 0.1f, 0.02f, 0.6f));                   // under the lips
      uint8_t* p = image.row(py) + 3 * px;
      const float tint[3] = {1.05f, 0.9f, 0.8f};
      for (int c = 0; c < 3; ++c) {
        const float to = std::clamp(light * tint[c], 0.0f, 255.0f);
        p[c] = uint8_t(float(p[c]) + weight * (to - float(p[c])) + 0.5f);
      }
    }
  }
}

}  // namespace doppel
