// Faces to train on where there is no program to cut faces out, in one file: the face sets of two people, a and b, and
// some frames of a that are in neither set, with what a perfect swap to b would show of them.
//
// A file of tensors (nn/tensor_file.h), all of them U8:
//
//   faces.a, faces.b   [faces, S, S, 3]  crops as the trainer takes them (nn/trainer.h)
//   held_out.input     [n, T, T, 3]      a's face as a swap's network sees it
//   held_out.source    [n, T, T, 3]      the same square of the frame, whatever the network may see
//   held_out.truth     [n, T, T, 3]      the same square of the frame in which b does what a does, where a is
//   held_out.region    [n, T, T]         not 0 where that face is: the hull of its 68 landmarks
//
// with this metadata: format "doppel training faces", version "1", coverage (of the crops), face_only ("1" or "0": what
// is around the faces is grey in faces and input), crc32 of the data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/image.h"

namespace doppel::bench {

struct FacePack {
  int face_size = 0;       // S
  int size = 0;            // T
  float coverage = 0;      // side of a face set's crop, faces/align.h
  bool face_only = false;  // made for architectures that see nothing around a face
  std::vector<uint8_t> people[2];
  std::vector<uint8_t> input, source, truth;
  std::vector<uint8_t> region;
  unsigned crc = 0;  // of the data; set by reading and writing

  uint32_t faces(int person) const { return uint32_t(people[person].size() / face_bytes(face_size)); }
  int held_out() const { return int(truth.size() / face_bytes(size)); }
  // One of `pictures` [n, T, T, 3].
  ConstImageView view(const std::vector<uint8_t>& pictures, int i) const {
    return {pictures.data() + size_t(i) * face_bytes(size), size, size, 3 * size};
  }
  const uint8_t* region_of(int i) const { return region.data() + size_t(i) * size_t(size) * size_t(size); }

  static size_t face_bytes(int side) { return size_t(side) * size_t(side) * 3; }
};

// Throws Error naming the path.
void write_face_pack(const std::string& path, FacePack& pack);

// Throws Error naming the file when it is missing, another program's, of another version, altered or cut short, or when
// its tensors do not fit each other.
FacePack read_face_pack(const std::string& path);

}  // namespace doppel::bench
