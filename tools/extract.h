// From clips and pictures to a face set.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "faces/align.h"

namespace doppel {

struct ExtractOptions {
  std::vector<std::string> inputs;  // clips, pictures, folders of them
  std::string output;               // the face set's folder
  int size = 256;                   // of a crop, 32..1024
  int every = 1;                    // of a clip, only every n-th frame
  int min_face = 40;                // narrower faces are ignored, frame pixels
  float coverage = kDefaultCoverage;
};

struct ExtractReport {
  int64_t frames = 0;        // looked at in this run
  int64_t faces = 0;         // found in this run
  int64_t without_face = 0;  // frames of this run
  int64_t already_done = 0;  // sources that an earlier run had read to their end
  int64_t total_faces = 0;   // in the set now
  double seconds = 0;
  std::vector<std::string> failures;  // one line for each input that could not be read (to its end)
};

// Called from one thread a few times a second or more: the source, its frames looked at so far (from an earlier run
// too), how many it has (0: unknown), those with a face.
using ExtractProgress = std::function<void(const std::string& source, int64_t frames, int64_t total, int64_t faces)>;

// One face a frame: the largest at first, then the one nearest to the last, because a set is one person's. Unreadable
// inputs are skipped and reported; the set is finished with what there is. Throws Error for an output that cannot be
// used or written, when no input could be opened, and when there is no face in any frame; Interrupted after Ctrl-C:
// what was found is kept and the same call goes on from there.
ExtractReport extract_faces(const ExtractOptions& options, const ExtractProgress& progress = {});

}  // namespace doppel
