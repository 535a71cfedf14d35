// Which files are pictures and clips.
#pragma once

#include <string>
#include <vector>

namespace doppel {

enum class MediaKind { picture, clip };

// By the file's first bytes where these are a known picture's, else by the name. Says nothing about whether it can be
// read: a file that is missing or of no known kind counts as a clip, and opening it gives the error.
MediaKind media_kind(const std::string& path);

// The name ends like that of a picture or clip that doppel reads.
bool has_picture_name(const std::string& path);
bool has_clip_name(const std::string& path);

// The pictures and clips directly in a folder, sorted by name; hidden files are left out. Throws Error when the folder
// cannot be read or holds none.
std::vector<std::string> list_media(const std::string& folder);

}  // namespace doppel
