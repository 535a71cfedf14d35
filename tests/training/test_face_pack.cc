// The faces of a long training in their file: what is measured of them, and everything that can be wrong with it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "bench/swap_quality.h"
#include "nn/tensor_file.h"
#include "runtime/error.h"
#include "runtime/json.h"
#include "tools/program.h"
#include "training/small_pack.h"

using namespace doppel;
using namespace doppel::bench;

TEST_CASE("a pack of faces reads back as it was written") {
  const TemporaryFolder folder;
  FacePack pack = small_pack();
  write_face_pack(folder / "faces", pack);
  const FacePack read = read_face_pack(folder / "faces");
  CHECK(read.face_size == kFaceSize);
  CHECK(read.size == kSize);
  CHECK(read.coverage == 2.25f);
  CHECK(read.face_only);
  CHECK(read.faces(0) == 3);
  CHECK(read.faces(1) == 4);
  CHECK(read.held_out() == 10);
  CHECK(read.crc == pack.crc);
  for (int p = 0; p < 2; ++p) CHECK(read.people[p] == pack.people[p]);
  CHECK(read.input == pack.input);
  CHECK(read.source == pack.source);
  CHECK(read.truth == pack.truth);
  CHECK(read.region == pack.region);
  // Evenly spread, none twice.
  CHECK(shown_faces(read) == std::vector<int>{0, 1, 3, 4, 5, 6, 8, 9});
}

TEST_CASE("what a pack measures is the face against the truth, inside the region") {
  FacePack pack = small_pack();
  pack.source = pack.truth;
  CHECK(psnr_of(unswapped_error(pack)) == 100);
  for (size_t i = 0; i < pack.source.size(); ++i)
    pack.source[i] = uint8_t(pack.source[i] + (pack.region[i / 3] != 0 ? 10 : 90));
  CHECK(psnr_of(unswapped_error(pack)) == Approx(20 * std::log10(25.5)));
}

TEST_CASE("packs that are altered, cut short, foreign or do not fit together are refused") {
  const TemporaryFolder folder;
  FacePack pack = small_pack();
  write_face_pack(folder / "good", pack);
  const std::string good = read_bytes(folder / "good");
  const auto refuses = [&](const std::string& why) {
    try {
      read_face_pack(folder / "bad");
      FAIL("it was read; expected: " << why);
    } catch (const Error& e) {
      CAPTURE(e.what());
      CHECK(contains(e.what(), folder / "bad"));
      CHECK(contains(e.what(), why));
    }
  };
  refuses("cannot read it");
  for (const size_t length : {size_t(0), size_t(5), size_t(100), good.size() - 1}) {
    write_bytes(folder / "bad", good.substr(0, length));
    refuses("damaged training faces");
  }
  std::string altered = good;
  altered[good.size() - 1000] = char(altered[good.size() - 1000] ^ 1);
  write_bytes(folder / "bad", altered);
  refuses("checksum");
  write_bytes(folder / "bad", std::string(1000, 'x'));
  refuses("damaged");

  const auto with = [&](const Json& metadata, const std::vector<HostTensor>& tensors, const std::string& why) {
    write_tensor_file(folder / "bad", metadata, tensors);
    refuses(why);
  };
  with(Json::object().set("format", "another program's"), {}, "not training faces");
  const auto metadata = [](const char* version) {
    Json m = Json::object();
    m.set("format", "doppel training faces").set("version", version).set("crc32", "0");
    return m.set("coverage", "2").set("face_only", "1");
  };
  with(metadata("2"), {}, "another version");
  with(metadata("1"), {}, "faces.a is missing");

  const auto changed = [&](const auto& change, const std::string& why) {
    FacePack other = small_pack();
    change(other);
    write_face_pack(folder / "bad", other);
    refuses(why);
  };
  changed([](FacePack& p) { p.input.resize(p.input.size() / 2); }, "held_out.input has another type or shape");
  changed([](FacePack& p) { p.region.pop_back(); }, "held_out.region has another type or shape");
  changed([](FacePack& p) { p.people[1].clear(); }, "faces.b has another type or shape");
  changed([](FacePack& p) { std::fill(p.region.begin(), p.region.end(), uint8_t(0)); }, "no picture has a face in it");
  changed([](FacePack& p) { p.coverage = -1; }, "coverage");
}
