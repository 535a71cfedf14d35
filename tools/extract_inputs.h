// Which files a list of paths on the command line means.
#pragma once

#include <string>
#include <vector>

namespace doppel {

struct Input {
  std::string path;
  bool picture = false;  // a still picture by its extension; else a clip
};

// Files as they are; a folder stands for the pictures and clips in it, by extension, in order of their names (not those
// in its subfolders). What is missing, or a folder with neither, adds a line to `failures` that names it.
std::vector<Input> expand_inputs(const std::vector<std::string>& paths, std::vector<std::string>& failures);

// By extension: something decode_picture() reads.
bool is_picture_name(const std::string& path);

}  // namespace doppel
