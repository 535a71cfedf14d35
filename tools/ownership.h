// Files that may be replaced: those that are not there, and those that doppel wrote.
#pragma once

#include <string>

namespace doppel {

// Throws Error, naming the file and what to do, when something is at `path` that is not a picture or clip made by
// doppel (which its provenance mark says).
void refuse_foreign_output(const std::string& path);

// A clip or picture at `path` carries doppel's mark. False when nothing is there.
bool made_by_doppel(const std::string& path);

}  // namespace doppel
