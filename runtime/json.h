// The little JSON that checkpoints need (RFC 8259), so that the engine rooms depend on no library for it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel {

class Json {
 public:
  enum class Kind { null, boolean, number, string, array, object };

  Json() = default;
  Json(bool v) : kind_(Kind::boolean), number_(v) {}
  Json(double v) : kind_(Kind::number), number_(v) {}
  Json(int v) : Json(double(v)) {}
  Json(unsigned v) : Json(double(v)) {}
  Json(size_t v) : Json(double(v)) {}
  Json(std::string v) : kind_(Kind::string), string_(std::move(v)) {}
  Json(const char* v) : Json(std::string(v)) {}
  static Json array() { return Json(Kind::array); }
  static Json object() { return Json(Kind::object); }

  // Throws Error "<name>: not valid JSON at byte N" for anything but one whole value.
  static Json parse(std::string_view text, const std::string& name);
  // One line for indent < 0, else indented by that many spaces a level. Doubles are written so that they read back
  // equal.
  std::string dump(int indent = -1) const;

  Kind kind() const { return kind_; }
  bool has(std::string_view key) const;
  // The member or element; throws Error naming the key when it is missing or of another kind than asked for.
  const Json& at(std::string_view key) const;
  const std::vector<Json>& elements() const;
  const std::vector<std::pair<std::string, Json>>& members() const;
  double number() const;
  bool boolean() const;
  const std::string& text() const;

  Json& set(std::string key, Json value);
  Json& push(Json value);

 private:
  explicit Json(Kind kind) : kind_(kind) {}
  void dump_to(std::string& out, int indent, int level) const;

  Kind kind_ = Kind::null;
  double number_ = 0;
  std::string string_;
  std::vector<Json> array_;
  std::vector<std::pair<std::string, Json>> object_;

  friend class JsonParser;
};

}  // namespace doppel
