// Swapping the faces of clips, pictures and folders of them.
#pragma once

#include <string>
#include <vector>

#include "media/media_list.h"
#include "tools/frame_pipeline.h"

namespace doppel {

// One file to make.
struct ConvertJob {
  std::string input, output;
  MediaKind kind = MediaKind::clip;
};

// What is to be made of `inputs` (clips, pictures, folders) under `output`: a file's name for a single clip or picture,
// a folder for anything else, or when it is a folder or ends in "/". Names stay; kinds of file that doppel cannot write
// get ".mkv" or ".png" appended. Throws UsageError for names that cannot be written or that two inputs share, Error for
// an output that is not ours, is its own input, or whose folder cannot be written, and for a folder without media.
std::vector<ConvertJob> plan_conversion(const std::vector<std::string>& inputs, const std::string& output);

struct ConvertSettings {
  SwapOptions swap;
  int crf = 16;          // of clips
  bool progress = true;  // a progress line on stderr
};

// Writes job.output and returns its counts. Throws Error when nothing can be read or no frame has a face (nothing is
// kept), Interrupted on Ctrl-C (nothing is kept). A damaged clip is converted as far as it goes and kept, and `damage`
// says what is wrong with it.
struct ConvertResult {
  SwapCounts counts;
  double seconds = 0;
  std::string damage;
};
ConvertResult convert_file(const ConvertJob& job, const FaceNet& net, const ConvertSettings& settings);

// All jobs; a line for each finished one on stdout. What is wrong with one is said on stderr and the others are still
// done. Afterwards throws Error that counts the bad ones; with a single job, its own error.
void convert_files(const std::vector<ConvertJob>& jobs, const FaceNet& net, const ConvertSettings& settings);

}  // namespace doppel
