// The face sets of a training run, decoded, as its network is to see them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "media/face_set.h"
#include "runtime/buffer.h"
#include "runtime/file_memory.h"

namespace doppel {

struct DecodedFaces {
  Buffer memory;              // either this
  FileMemory file;            // or this holds
  uint8_t* pixels = nullptr;  // [faces, S, S, 3]
};

struct DecodeOptions {
  std::vector<std::string> names;  // of the sets, for messages
  bool face_only = false;          // clear what is around the faces
  std::string file_folder;         // hold the pixels in files in this folder; "": in memory
};

// [sets]. The room of all sets is taken before the first is decoded. Shows progress on stderr, and a line for each set.
// Throws Error for a damaged crop, no memory and no room on the disk, and Interrupted.
std::vector<DecodedFaces> decode_faces(const std::vector<FaceSet>& sets, const DecodeOptions& options);

// Gives back the sets of which `device` has a copy of its own by now: those that do not stream (FacePlacement). On the
// CPU, where the steps read them where they are, none.
void release_copied(std::vector<DecodedFaces>& sets, const std::vector<bool>& streams, Device device);

}  // namespace doppel
