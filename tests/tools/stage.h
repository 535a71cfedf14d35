// What the tests of the program share: two small rendered clips, their face sets and a barely trained model, made once
// by the program itself.
#pragma once

#include <string>

#include "runtime/image.h"
#include "tools/program.h"

struct Stage {
  std::string a_clip, b_clip, truth_clip;  // kFrames frames of kSize x kSize, a face in each
  std::string a_faces, b_faces;
  std::string model;    // lite, knows "a" and "b", kIterations iterations
  std::string picture;  // one frame of a_clip, PNG
};

constexpr int kStageSize = 256;
constexpr int kStageFrames = 12;
constexpr int kStageIterations = 2;

// Made at the first call; a step that fails there fails the calling test.
const Stage& stage();

// A copy that a test may spoil.
void copy_folder(const std::string& from, const std::string& to);

// A picture without a face: a smooth slope of grey.
doppel::Image blank_picture(int width, int height);

// The program must refuse with exit code 1 and one line that starts with "doppel: " and names `named`; nothing on
// stdout. Returns what it said.
std::string check_refused(const std::vector<std::string>& arguments, const std::string& named,
                          const RunOptions& options = {});
