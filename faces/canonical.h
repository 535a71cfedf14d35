// The numbers behind faces/align.h: points 0..67 as in kernels/landmarks.h, units as in faces/align.h.
#pragma once

#include "kernels/landmarks.h"

namespace doppel {

// Mean of 318 frontal faces (nose tip within 5 % of the jaw's middle, mouth no more open than the median) of four
// people, aligned by their inner points, every person with the same weight; made symmetric.
inline constexpr Landmarks kCanonicalFace{{
    // jaw
    {-0.5f, -0.282f},
    {-0.495f, -0.149f},
    {-0.475f, -0.015f},
    {-0.447f, 0.115f},
    {-0.406f, 0.238f},
    {-0.336f, 0.348f},
    {-0.243f, 0.437f},
    {-0.132f, 0.507f},
    {0.0f, 0.529f},
    {0.132f, 0.507f},
    {0.243f, 0.437f},
    {0.336f, 0.348f},
    {0.406f, 0.238f},
    {0.447f, 0.115f},
    {0.475f, -0.015f},
    {0.495f, -0.149f},
    {0.5f, -0.282f},
    // brows
    {-0.429f, -0.43f},
    {-0.37f, -0.501f},
    {-0.277f, -0.529f},
    {-0.181f, -0.521f},
    {-0.091f, -0.482f},
    {0.091f, -0.482f},
    {0.181f, -0.521f},
    {0.277f, -0.529f},
    {0.37f, -0.501f},
    {0.429f, -0.43f},
    // nose
    {0.0f, -0.349f},
    {0.0f, -0.26f},
    {0.0f, -0.174f},
    {0.0f, -0.086f},
    {-0.107f, 0.002f},
    {-0.054f, 0.017f},
    {0.0f, 0.03f},
    {0.054f, 0.017f},
    {0.107f, 0.002f},
    // eyes
    {-0.33f, -0.317f},
    {-0.273f, -0.352f},
    {-0.204f, -0.351f},
    {-0.144f, -0.306f},
    {-0.207f, -0.293f},
    {-0.277f, -0.292f},
    {0.144f, -0.306f},
    {0.204f, -0.351f},
    {0.273f, -0.352f},
    {0.33f, -0.317f},
    {0.277f, -0.292f},
    {0.207f, -0.293f},
    // mouth, outer
    {-0.189f, 0.198f},
    {-0.121f, 0.15f},
    {-0.051f, 0.123f},
    {0.0f, 0.138f},
    {0.051f, 0.123f},
    {0.121f, 0.15f},
    {0.189f, 0.198f},
    {0.124f, 0.263f},
    {0.056f, 0.291f},
    {0.0f, 0.296f},
    {-0.056f, 0.291f},
    {-0.124f, 0.263f},
    // mouth, inner
    {-0.157f, 0.199f},
    {-0.052f, 0.182f},
    {0.0f, 0.187f},
    {0.052f, 0.182f},
    {0.157f, 0.199f},
    {0.053f, 0.213f},
    {0.0f, 0.219f},
    {-0.053f, 0.213f},
}};

// Depth of the same points, away from the camera; only for estimate_pose(). Rounded by hand from common proportions of
// a head: the nose tip stands 0.2 jaw widths before the eyes, the ears half a width behind them.
inline constexpr std::array<float, kLandmarkCount> kCanonicalDepth{
    0.48f,  0.46f,  0.44f,  0.4f,   0.33f,   0.22f,  0.1f,   0.01f,  -0.02f, 0.01f,  0.1f,   0.22f,
    0.33f,  0.4f,   0.44f,  0.46f,  0.48f,                                                             // jaw
    0.1f,   0.03f,  -0.02f, -0.04f, -0.05f,  -0.05f, -0.04f, -0.02f, 0.03f,  0.1f,                     // brows
    -0.06f, -0.11f, -0.17f, -0.22f, -0.07f,  -0.1f,  -0.12f, -0.1f,  -0.07f,                           // nose
    0.04f,  0.01f,  -0.01f, 0.0f,   -0.005f, 0.01f,  0.0f,   -0.01f, 0.01f,  0.04f,  0.01f,  -0.005f,  // eyes
    0.0f,   -0.05f, -0.09f, -0.1f,  -0.09f,  -0.05f, 0.0f,   -0.05f, -0.07f, -0.08f, -0.07f, -0.05f,   // mouth, outer
    0.0f,   -0.06f, -0.08f, -0.06f, 0.0f,    -0.06f, -0.07f, -0.06f,                                   // mouth, inner
};

// Points 17..67 and how much each counts in canonical_fit(). Chosen so that two people who do the same, as the two
// actors do in a.mp4 and truth.mp4, come to lie the same in their crops. The nose's bridge, the upper lip and the
// mouth's corners lie far apart and keep their places. Brows and lids move with expression, the lower lip with speech,
// and where the nose's tip is seen depends on its length.
inline constexpr int kFirstInner = 17;
inline constexpr std::array<float, kLandmarkCount - kFirstInner> kInnerWeights{
    0.2f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f,              // brows
    1.5f, 1.5f, 1.5f, 1.5f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f,                    // nose
    0.8f, 0.5f, 0.5f, 0.8f, 0.5f, 0.5f, 0.8f, 0.5f, 0.5f, 0.8f, 0.5f, 0.5f,  // eyes
    3.0f, 2.0f, 2.0f, 2.0f, 2.0f, 2.0f, 3.0f, 0.2f, 0.2f, 0.2f, 0.2f, 0.2f,  // mouth, outer
    3.0f, 2.0f, 2.0f, 2.0f, 3.0f, 0.2f, 0.2f, 0.2f,                          // mouth, inner
};

}  // namespace doppel
