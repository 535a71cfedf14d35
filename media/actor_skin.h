// The colours of the skin at a place of the head.
#pragma once

#include "media/actor_model.h"

namespace doppel {

// Sets colour, gloss and detail of a face vertex from its place at rest and its hair.
void paint_skin(const ActorTraits& t, Vertex& v);

// How thick the hair lies on the head at a place (where it grows).
float hair_depth(const ActorTraits& t, Vec3 p);

}  // namespace doppel
