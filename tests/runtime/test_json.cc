#include <catch2/catch.hpp>

#include "runtime/error.h"
#include "runtime/json.h"

using namespace doppel;

TEST_CASE("what is written reads back equal", "[json]") {
  Json j = Json::object();
  j.set("name", "quote \" backslash \\ newline \n").set("pi", 3.141592653589793).set("on", true).set("none", Json());
  j.set("list", Json::array().push(1).push(-2.5e-9).push("x"));
  for (int indent : {-1, 1, 2}) {
    const Json back = Json::parse(j.dump(indent), "test");
    REQUIRE(back.dump() == j.dump());
    REQUIRE(back.at("pi").number() == 3.141592653589793);
  }
}

TEST_CASE("escapes and unicode", "[json]") {
  REQUIRE(Json::parse(R"("a\u00e9\ud83d\ude00\t")", "t").text() == "a\xC3\xA9\xF0\x9F\x98\x80\t");
}

TEST_CASE("anything but one whole value is refused", "[json]") {
  for (const char* bad : {"", "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "nul", "1 2", "\"abc", "{\"a\":1}x", "\"\\u12g4\"",
                          "[1e999]", "\"\\ud83d\""}) {
    INFO(bad);
    REQUIRE_THROWS_AS(Json::parse(bad, "t"), Error);
  }
  REQUIRE_THROWS_AS(Json::parse(std::string(1000, '['), "t"), Error);
}

TEST_CASE("a missing member and a wrong kind are errors", "[json]") {
  const Json j = Json::parse("{\"a\":1}", "t");
  REQUIRE_THROWS_WITH(j.at("b"), Catch::Contains("\"b\""));
  REQUIRE_THROWS_AS(j.at("a").text(), Error);
}
