// How light meets skin, hair, teeth, eyes and cloth.
#pragma once

#include "media/actor_model.h"

namespace doppel {

// A key light, a weaker one from behind on the other side, and the room.
struct Light {
  Vec3 to_key, key;  // unit vector; linear RGB
  Vec3 to_rim, rim;
  Vec3 sky, ground;  // from above and below
};

// The light of a performance; the room's own colours depend on the place.
Light make_light(const Performance& p);

// `lit` is 0 in the key's shadow .. 1; `view` points to the camera; all unit vectors.
Vec3 shade_skin(const Light& light, const Vertex& v, Vec3 normal, Vec3 view, float lit);
Vec3 shade_plain(const Light& light, const Vertex& v, Vec3 normal, Vec3 view, float lit);
Vec3 shade_hair(const Light& light, Vec3 colour, Vec3 tangent, Vec3 normal, Vec3 view, float open, float lit);
// at: the place on the eye round its own axis (unit vector, z out of the pupil); lid: 0 under the upper lid .. 1 free.
Vec3 shade_eye(const Light& light, const ActorTraits& t, Vec3 at, Vec3 normal, Vec3 view, float lid, float lit);

// Linear light to sRGB bytes by way of a soft shoulder.
uint8_t to_srgb(float linear);

}  // namespace doppel
