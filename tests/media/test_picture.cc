#include "media/picture.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "clips.h"
#include "media/media_list.h"
#include "media/orientation.h"
#include "runtime/atomic_file.h"
#include "runtime/error.h"

using namespace doppel;
using Catch::Contains;

namespace {

// An EXIF segment with nothing but the orientation, in either byte order.
std::string exif(int orientation, bool big) {
  const std::string value(1, char(orientation));
  const std::string tiff = big ? std::string("MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + value +
                                     std::string("\0\0\0\0\0\0", 6)
                               : std::string("II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + value +
                                     std::string("\0\0\0\0\0\0\0", 7);
  const std::string body = std::string("Exif\0\0", 6) + tiff;
  return std::string("\xFF\xE1\0", 3) + char(body.size() + 2) + body;
}

}  // namespace

TEST_CASE("PNG is lossless, for views with gaps too") {
  const Image picture = test_picture(37, 23);
  CHECK(psnr(decode_picture(encode_png(picture), "p"), picture) == 99);
  const ConstImageView part(picture.row(5) + 3 * 4, 20, 10, 3 * 37);
  const Image cut = decode_picture(encode_png(part), "p");
  REQUIRE(cut.width() == 20);
  for (int y = 0; y < 10; ++y) CHECK(std::equal(cut.row(y), cut.row(y) + 60, picture.row(y + 5) + 12));
}

TEST_CASE("JPEG is close, in full colour resolution, for views with gaps too") {
  const Image picture = test_picture(40, 24);
  CHECK(psnr(decode_picture(encode_jpeg(picture, 97), "p"), picture) > 38);
  CHECK(encode_jpeg(picture, 97).size() > encode_jpeg(picture, 50).size());
  const ConstImageView part(picture.row(2) + 3 * 8, 16, 16, 3 * 40);
  const Image cut = decode_picture(encode_jpeg(part, 97), "p");
  Image wanted(16, 16);
  for (int y = 0; y < 16; ++y) std::copy_n(part.row(y), 48, wanted.row(y));
  CHECK(psnr(cut, wanted) > 36);
  // One-pixel stripes of red and blue of equal luma would be grey purple if colour were halved.
  Image stripes(32, 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x) stripes.row(y)[3 * x + (x % 2 ? 0 : 2)] = 200;
  const Image back = decode_picture(encode_jpeg(stripes, kJpegQuality), "p");
  CHECK(int(back.row(9)[3 * 9]) - int(back.row(9)[3 * 10]) > 150);
}

TEST_CASE("A JPEG's orientation is applied") {
  const Image stored = test_picture(48, 32);
  const std::string jpeg = encode_jpeg(stored, 97);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big : {false, true}) {
      CAPTURE(orientation, big);
      const std::string tagged = jpeg.substr(0, 2) + exif(orientation, big) + jpeg.substr(2);
      CHECK(jpeg_orientation(tagged) == orientation);
      CHECK(psnr(decode_picture(tagged, "p"), upright(stored, orientation)) > 38);
    }
  }
  // Where the first stored pixel is shown, as EXIF 2.32 says for tag 274 (0th row, 0th column).
  Image corner(3, 2);
  corner.row(0)[0] = 255;
  const auto at = [&](int orientation, int x, int y) { return upright(corner, orientation).row(y)[3 * x] == 255; };
  CHECK(at(2, 2, 0));
  CHECK(at(3, 2, 1));
  CHECK(at(4, 0, 1));
  CHECK(at(5, 0, 0));
  CHECK(at(6, 1, 0));
  CHECK(at(7, 1, 2));
  CHECK(at(8, 0, 2));
  for (int o = 1; o <= 8; ++o) CHECK(psnr(upright(upright(stored, o), inverse_orientation(o)), stored) == 99);
}

TEST_CASE("Rectangles turn like pictures") {
  const Rect shown{2, 3, 4, 1};
  for (int o = 1; o <= 8; ++o) {
    CAPTURE(o);
    Image picture(swaps_sides(o) ? 7 : 9, swaps_sides(o) ? 9 : 7);
    for (int x = 0; x < shown.width; ++x) picture.row(shown.y)[3 * (shown.x + x)] = 255;
    const Image stored = upright(picture, inverse_orientation(o));
    const Rect r = stored_rect(shown, o, stored.width(), stored.height());
    int inside = 0;
    for (int y = r.y; y < r.y + r.height; ++y)
      for (int x = r.x; x < r.x + r.width; ++x) inside += stored.row(y)[3 * x] == 255;
    CHECK(inside == 4);
    CHECK(r.width * r.height == 4);
  }
}

TEST_CASE("Pictures that cannot be read are named") {
  const TemporaryFolder folder;
  const std::string png = encode_png(test_picture(64, 64)), jpeg = encode_jpeg(test_picture(64, 64), 95);
  const auto said = [](const std::string& bytes) { return message_of([&] { decode_picture(bytes, "the file"); }); };
  CHECK_THAT(said(""), Contains("the file: the file is empty"));
  CHECK_THAT(said("no picture"), Contains("the file: not a picture"));
  CHECK_THAT(said(png.substr(0, png.size() / 2)), Contains("the file: the picture is damaged"));
  CHECK_THAT(said(jpeg.substr(0, 300)), Contains("the file"));
  std::string huge = png;
  huge.replace(16, 8, std::string("\0\xFF\xFF\xFF\0\xFF\xFF\xFF", 8));
  CHECK_THAT(said(huge), Contains("the file"));
  CHECK_THAT(message_of([&] { read_picture(folder / "missing.png"); }), Contains("missing.png"));
  CHECK_THROWS_AS(write_picture(folder / "a.webp", test_picture(8, 8)), UsageError);
  CHECK_THROWS_AS(write_picture(folder / "none/a.png", test_picture(8, 8)), Error);
  write_picture(folder / "a.png", test_picture(8, 8));
  CHECK(psnr(read_picture(folder / "a.png"), test_picture(8, 8)) == 99);
}

TEST_CASE("Any cut of a picture is read or refused, never worse") {
  const std::string png = encode_png(test_picture(24, 16)), jpeg = encode_jpeg(test_picture(24, 16), 95);
  for (const std::string& whole : {png, jpeg}) {
    for (size_t length = 0; length < whole.size(); ++length) {
      try {
        const Image image = decode_picture(std::string_view(whole).substr(0, length), "cut");
        CHECK(image.width() == 24);
      } catch (const Error& error) {
        CHECK(std::string(error.what()).find("cut") == 0);
      }
    }
  }
}

TEST_CASE("Folders are listed in order, pictures and clips only") {
  const TemporaryFolder folder;
  CHECK_THAT(message_of([&] { list_media(folder.path()); }), Contains("holds no picture and no clip"));
  CHECK_THAT(message_of([&] { list_media(folder / "none"); }), Contains("none: cannot read"));
  for (const char* name : {"b.PNG", "a.mp4", "notes.txt", ".hidden.png", "c.mkv", "a.mp4.new-17"})
    write_file(folder / name, "x");
  std::filesystem::create_directory(folder / "d.png");
  CHECK(list_media(folder.path()) == std::vector<std::string>{folder / "a.mp4", folder / "b.PNG", folder / "c.mkv"});
  write_file(folder / "looks_like.mp4", encode_png(test_picture(4, 4)));
  CHECK(media_kind(folder / "looks_like.mp4") == MediaKind::picture);
  CHECK(media_kind(folder / "c.mkv") == MediaKind::clip);
  CHECK(media_kind(folder / "b.PNG") == MediaKind::picture);
}
