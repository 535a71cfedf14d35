// An actor baked once: meshes, expression shapes, hair. Frames only pose, draw and light it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "media/actor_shape.h"

namespace doppel {

// 16 floats: one cache line, and one register when interpolated.
struct alignas(64) Vertex {
  Vec3 position;   // head space at rest in a model, camera space in a frame
  float open = 1;  // ambient occlusion: 1 sees everything, 0 nothing
  Vec3 normal;
  float gloss = 0.4f;  // strength of the highlight, 0..1
  Vec3 rest;           // head space at rest: where on the head this is
  float hair = 0;      // 1 where hair hides the skin
  Vec3 colour;         // albedo, linear light
  float detail = 0;    // stubble density 0..1
};

constexpr Vec3 kMouthLining = {0.085f, 0.018f, 0.016f};

enum class Part : uint8_t { skin, eye, teeth, mouth, cloth };

struct Surface {
  Part part = Part::skin;
  std::vector<Vertex> vertices;
  std::vector<uint32_t> triangles;         // 3 a triangle
  std::vector<uint32_t> shadow_triangles;  // coarser, what the light sees; empty: casts none
  size_t mouth_begin = SIZE_MAX;  // first index in `triangles` of those whose inside shows when the mouth is open
  size_t lid_begin = SIZE_MAX;    // first index in `triangles` of those that the eyes may open
};

enum Expression { kJaw, kSmile, kPucker, kWide, kBrow, kExpressions };

// A hair, eyebrow hair: `count` points from `first`.
struct Strand {
  uint32_t first = 0;
  uint16_t count = 0;
  float width = 1;      // of the root, 1 is the usual
  uint32_t anchor = 0;  // face vertex that carries it (eyebrows)
  Vec3 colour;
};

struct HairPoint {
  Vec3 position;  // head space
  float open = 1;
};

struct Strands {
  std::vector<Strand> strands;
  std::vector<HairPoint> points;
};

struct HeadModel {
  const ActorTraits* traits = nullptr;
  int rows = 0, columns = 0;
  Surface face;                                        // [rows, columns], rows downwards, columns round the head
  std::vector<float> neck;                             // [rows * columns] 0 moves with the head .. 1 with the body
  int lip_row = 0;                                     // the last row of the upper lip
  std::array<std::vector<Vec3>, kExpressions> shapes;  // [rows * columns] movement at expression = 1
  Surface ears, eye, upper_teeth, lower_teeth, tongue, bag, eye_bed, curtain;  // eye: round the origin, looking along z
  Strands hair, brows;
};

// Built at the first call, about half a second on two cores.
const HeadModel& head_model(Actor who);
const Surface& body_model(Actor who);

// The pieces that head_model puts together.
void build_face(HeadModel& model);
void build_parts(HeadModel& model);
void build_hair(HeadModel& model);
Surface build_body(Actor who);
// Sets Vertex::open of all `lit` surfaces from what `casters` hide of the sky, at rest.
void bake_occlusion(const std::vector<Surface*>& lit, const std::vector<const Surface*>& casters);

// How far p lies outside the long hair's curtain, as a share of its half width: 1 is on it.
float curtain_share(Vec3 p);

// Distance of the mouth's red edge above (side > 0) or below the line of the lips at x.
float lip_edge(const ActorTraits& t, float x, float side);

}  // namespace doppel
