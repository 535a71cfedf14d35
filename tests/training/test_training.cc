// The long training: in pieces, stopped, measured, and everything that can be wrong with its files.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "bench/swap_quality.h"
#include "bench/training_state.h"
#include "runtime/json.h"
#include "tools/program.h"
#include "training/small_pack.h"

using namespace doppel;
using namespace doppel::bench;

namespace {

Outcome run_bench(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  return run_program(DOPPEL_BUILD "/bench_training", arguments, options);
}

std::vector<std::string> training(const std::string& faces, const std::string& out,
                                  const std::vector<std::string>& more = {}) {
  std::vector<std::string> all{"--faces", faces,  "--out",        out,  "--device", "cpu",
                               "--arch",  "tiny", "--iterations", "12", "--points", "4"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Exit code, nothing on stdout, one line that names `named`.
void check_refused(const std::vector<std::string>& arguments, int code, const std::string& named) {
  const Outcome outcome = run_bench(arguments);
  CAPTURE(arguments, outcome.err, outcome.out);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  const auto said = lines(outcome.err);
  REQUIRE(said.size() == 1);
  CHECK(said.front().starts_with("bench_training: "));
  CHECK(contains(said.front(), named));
  CHECK((code == 2) == contains(said.front(), "(bench_training --help)"));
}

Json report(const std::string& out) {
  return Json::parse(read_bytes(out + "/training.json"), "training.json");
}

// Three points with everything but times the same.
void check_same_points(const Json& a, const Json& b) {
  const auto &points = a.at("points").elements(), &others = b.at("points").elements();
  REQUIRE(points.size() == 3);
  REQUIRE(others.size() == 3);
  for (size_t i = 0; i < points.size(); ++i)
    for (const char* key : {"iterations", "samples", "loss_a", "loss_b", "psnr", "ssim"})
      CHECK(points[i].at(key).number() == others[i].at(key).number());
}

}  // namespace

TEST_CASE("measuring points") {
  CHECK(measuring_points(115000, 8) == std::vector<uint64_t>{1200, 2200, 4300, 8300, 16000, 31000, 60000, 115000});
  CHECK(measuring_points(12, 4) == std::vector<uint64_t>{1, 3, 12});
  CHECK(measuring_points(1, 8) == std::vector<uint64_t>{1});
  CHECK(measuring_points(115000, 1) == std::vector<uint64_t>{115000});
}

TEST_CASE("a long training in pieces is one in one piece") {
  const TemporaryFolder folder;
  FacePack pack = small_pack();
  write_face_pack(folder / "faces", pack);
  const Outcome whole = run_bench(training(folder / "faces", folder / "whole"));
  CAPTURE(whole.err);
  REQUIRE(whole.code == 0);
  CHECK(whole.out == read_bytes(folder / "whole/training.md"));
  CHECK(contains(whole.out, "| unswapped |"));
  CHECK(contains(whole.out, "\n| 12 |"));
  CHECK(read_bytes(folder / "whole/training.png").substr(1, 3) == "PNG");

  // One iteration a command at least, and then a stop.
  Outcome piece;
  int pieces = 0;
  do {
    piece = run_bench(training(folder / "faces", folder / "pieces", {"--minutes", "1e-9"}));
    CAPTURE(piece.err);
    REQUIRE(piece.code == 0);
    ++pieces;
  } while (contains(piece.err, "the same command goes on") && pieces < 13);
  CHECK(pieces == 12);
  const Json a = report(folder / "whole"), b = report(folder / "pieces");
  CHECK(a.at("settings").dump() == b.at("settings").dump());
  check_same_points(a, b);
  const auto& points = a.at("points").elements();
  CHECK(points[2].at("iterations").number() == 12);
  CHECK(points[2].at("samples").number() == 24);
  CHECK(points[2].at("training_seconds").number() < points[2].at("total_seconds").number());
  CHECK(read_bytes(folder / "whole/training.png") == read_bytes(folder / "pieces/training.png"));
  const std::string weights = "/state/model/weights-12.safetensors";
  const bool same = read_bytes(folder / "whole" + weights) == read_bytes(folder / "pieces" + weights);
  CHECK(same);

  // It has come to its end: the same is said again, nothing is trained.
  const Outcome again = run_bench(training(folder / "faces", folder / "whole"));
  CHECK(again.code == 0);
  CHECK(again.out == whole.out);
}

TEST_CASE("a long training goes on after it was killed behind its checkpoint") {
  const TemporaryFolder folder;
  FacePack pack = small_pack();
  write_face_pack(folder / "faces", pack);
  const std::string state = folder / "run/state";
  REQUIRE(run_bench(training(folder / "faces", folder / "run", {"--minutes", "1e-9"})).code == 0);
  std::filesystem::copy(state + "/model", folder / "model");  // of iteration 1
  REQUIRE(run_bench(training(folder / "faces", folder / "run")).code == 0);
  const std::string table = read_bytes(folder / "run/training.json");
  const std::string weights = read_bytes(state + "/model/weights-12.safetensors");
  std::filesystem::remove_all(state + "/model");
  std::filesystem::copy(folder / "model", state + "/model");
  const Outcome on = run_bench(training(folder / "faces", folder / "run"));
  CAPTURE(on.err);
  CHECK(on.code == 0);
  CHECK(contains(on.err, "from iteration 1\n"));
  const bool same = weights == read_bytes(state + "/model/weights-12.safetensors");
  CHECK(same);
  const Json before = Json::parse(table, "before"), after = report(folder / "run");
  check_same_points(before, after);
  CHECK(after.at("total_seconds").number() > before.at("total_seconds").number());
}

TEST_CASE("Ctrl-C keeps what a long training has done") {
  const TemporaryFolder folder;
  FacePack pack = small_pack();
  write_face_pack(folder / "faces", pack);
  RunOptions soon;
  soon.interrupt_after = 0.5;
  soon.interrupt_on = "from iteration";
  const std::vector<std::string> long_run{"--faces",      folder / "faces", "--out", folder / "run", "--device",
                                          "cpu",          "--arch",         "tiny",  "--seed",       "3",
                                          "--iterations", "900000000"};
  const Outcome stopped = run_bench(long_run, soon);
  CAPTURE(stopped.err);
  CHECK(stopped.code == 130);
  CHECK(stopped.out.empty());
  REQUIRE_FALSE(stopped.err.empty());
  CHECK(contains(lines(stopped.err).back(), "the same command goes on"));
  const Outcome on = run_bench(long_run, soon);
  CHECK(on.code == 130);
  CHECK_FALSE(contains(on.err, "from iteration 0\n"));
}

TEST_CASE("a long training that cannot be says why in one line") {
  const TemporaryFolder folder;
  FacePack pack = small_pack(1);
  write_face_pack(folder / "faces", pack);
  check_refused({}, 2, "give --faces FILE and --out DIR");
  check_refused({"--what"}, 2, "--what");
  check_refused({"--what", "1"}, 2, "--what");
  check_refused(training(folder / "faces", folder / "o", {"--batch", "none"}), 2, "--batch none");
  check_refused(training(folder / "faces", folder / "o", {"--warp", "nan"}), 2, "--warp nan");
  check_refused(training(folder / "faces", folder / "o", {"--precision", "int8"}), 2, "--precision int8");
  check_refused(training(folder / "faces", folder / "o", {"--arch", "huge"}), 2, "--arch huge");
  check_refused(training(folder / "faces", folder / "o", {"--device", "abacus"}), 2, "--device abacus");
  check_refused(training(folder / "none", folder / "o"), 1, folder / "none");
  check_refused(training(folder / "faces", folder / "o", {"--arch", "original"}), 1,
                "pack_actors with --arch original");
  write_bytes(folder / "a file", "");
  check_refused(training(folder / "faces", folder / "a file"), 1, folder / "a file");
  write_bytes(folder / "text", "these are no faces, but a text that is long enough to be read as a header");
  check_refused(training(folder / "text", folder / "o"), 1, folder / "text");
  CHECK_FALSE(std::filesystem::exists(folder / "o"));

  REQUIRE(run_bench(training(folder / "faces", folder / "run")).code == 0);
  check_refused(training(folder / "faces", folder / "run", {"--seed", "2"}), 2, "begun with other faces or settings");
  const std::string points = folder / "run/state/points.safetensors", whole = read_bytes(points);
  std::string altered = whole;
  altered[whole.find("total_seconds") + 18] ^= 1;
  write_bytes(points, altered);
  check_refused(training(folder / "faces", folder / "run"), 1, points);
  std::filesystem::remove(points);
  check_refused(training(folder / "faces", folder / "run"), 1, "a model without what was measured of it");
}

#if defined(DOPPEL_ALL_ROOMS)
TEST_CASE("actors are packed, trained on and measured") {
  const TemporaryFolder folder;
  const auto pack = [](const std::vector<std::string>& arguments) {
    return run_program(DOPPEL_BUILD "/pack_actors", arguments);
  };
  const Outcome packed = pack(
      {"-o", folder / "faces", "--arch", "tiny", "--faces", "2", "--held-out", "1", "--size", "64", "--frame", "192"});
  CAPTURE(packed.err);
  REQUIRE(packed.code == 0);
  CHECK(contains(packed.out, "2 faces of a, 2 of b, 64 x 64; 1 held out, 32 x 32"));
  const FacePack faces = read_face_pack(folder / "faces");
  CHECK(faces.face_only);
  CHECK(faces.people[0] != faces.people[1]);
  CHECK(faces.source != faces.input);  // grey around the face
  const size_t inside = size_t(std::count(faces.region.begin(), faces.region.end(), uint8_t(1)));
  CHECK(inside > faces.region.size() / 4);
  CHECK(inside < faces.region.size());
  // Two people in one pose and place: neither the same picture nor unlike ones.
  const double unswapped = psnr_of(unswapped_error(faces));
  CHECK(unswapped > 10);
  CHECK(unswapped < 30);
  const Outcome trained = run_bench(training(folder / "faces", folder / "run"));
  CAPTURE(trained.err);
  CHECK(trained.code == 0);
  CHECK(contains(trained.out, "on 2+2 faces of 64 x 64"));
  CHECK(contains(run_doppel({"info", folder / "run/training.png"}).out, "digitalsourcetype/algorithmicMedia"));
  CHECK(run_doppel({"info", folder / "run/state/model"}).code == 0);

  CHECK(pack({}).code == 2);
  CHECK(pack({"-o", folder / "x", "--arch", "huge"}).code == 2);
  const Outcome nowhere = pack({"-o", folder / "none/faces"});
  CHECK(nowhere.code == 1);
  CHECK(contains(lines(nowhere.err).back(), folder / "none/faces"));
}
#endif
