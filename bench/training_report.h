// What a long training leaves for people: a table, the same as JSON, and a sheet of pictures.
#pragma once

#include <string>

#include "bench/face_pack.h"
#include "bench/training_state.h"

namespace doppel::bench {

// The points as a table of Markdown, after what was trained and before what the columns mean.
std::string training_table(const TrainingState& state, const FacePack& pack);

// training.md, training.json and training.png into the folder, each whole or not there. The sheet has some held-out
// faces side by side: the source, the swap at each point, the truth. Throws Error naming the file.
void write_training_report(const std::string& folder, const TrainingState& state, const FacePack& pack);

}  // namespace doppel::bench
