// Small training runs on two people who are blobs.
#pragma once

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "kernels/philox.h"
#include "nn/trainer.h"

namespace doppel::testing {

// A folder of its own for a model, gone at the end.
struct Folder {
  std::string path;
  Folder() {
    static int count = 0;
    path = (std::filesystem::temp_directory_path() /
            ("doppel-nn-" + std::to_string(getpid()) + "-" + std::to_string(count++)))
               .string();
    std::filesystem::remove_all(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

// The one that a model's folder holds.
inline std::string weights_file(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") return entry.path().string();
  return "";
}

constexpr int kFaceSize = 64;
constexpr uint32_t kFaces = 8;

// Smooth blobs in a colour of the person's own.
inline std::vector<uint8_t> make_faces(uint32_t person) {
  std::vector<uint8_t> pixels(size_t(kFaces) * kFaceSize * kFaceSize * 3);
  for (uint32_t f = 0; f < kFaces; ++f) {
    Random random(11, person, f);
    const float cx = random.uniform(20, 44), cy = random.uniform(20, 44);
    for (int y = 0; y < kFaceSize; ++y)
      for (int x = 0; x < kFaceSize; ++x)
        for (int c = 0; c < 3; ++c) {
          const float d = ((x - cx) * (x - cx) + (y - cy) * (y - cy)) / 200;
          pixels[((size_t(f) * kFaceSize + y) * kFaceSize + x) * 3 + c] =
              uint8_t(40 + 60 * (c == int(person)) + 120 * std::exp(-d));
        }
  }
  return pixels;
}

struct Run {
  std::vector<uint8_t> a = make_faces(0), b = make_faces(1);
  bool a_streams = false, b_streams = false;

  Trainer trainer(ModelDescription model, TrainingEnd end = {}, Device device = Device::cpu) {
    return Trainer(std::move(model), {{"a", kFaces, a.data(), a_streams}, {"b", kFaces, b.data(), b_streams}}, end,
                   device);
  }
};

inline ModelDescription lite(const std::string& precision) {
  ModelDescription m;
  m.architecture = "lite";
  m.people = {"a", "b"};
  m.face_size = kFaceSize;
  m.coverage = 2;
  m.batch = 2;
  m.lr = 1e-3f;
  m.seed = 5;
  m.precision = precision;
  return m;
}

}  // namespace doppel::testing
