#include "runtime/json.h"

#include <charconv>
#include <cmath>

#include "runtime/error.h"

namespace doppel {

class JsonParser {
 public:
  JsonParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Json document() {
    Json value = parse(0);
    skip();
    if (at_ != text_.size()) fail();
    return value;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(name_ + ": not valid JSON at byte " + std::to_string(at_) + ": the file is damaged or not doppel's");
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  char peek() {
    skip();
    if (at_ >= text_.size()) fail();
    return text_[at_];
  }
  void expect(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) fail();
    at_ += word.size();
  }

  Json parse(int depth) {
    if (depth > 64) fail();
    switch (peek()) {
      case '{': {
        Json object = Json::object();
        ++at_;
        if (peek() == '}') return ++at_, object;
        for (;;) {
          if (peek() != '"') fail();
          std::string key = string();
          if (peek() != ':') fail();
          ++at_;
          object.object_.emplace_back(std::move(key), parse(depth + 1));
          const char c = peek();
          ++at_;
          if (c == '}') return object;
          if (c != ',') fail();
        }
      }
      case '[': {
        Json array = Json::array();
        ++at_;
        if (peek() == ']') return ++at_, array;
        for (;;) {
          array.array_.push_back(parse(depth + 1));
          const char c = peek();
          ++at_;
          if (c == ']') return array;
          if (c != ',') fail();
        }
      }
      case '"':
        return Json(string());
      case 't':
        return expect("true"), Json(true);
      case 'f':
        return expect("false"), Json(false);
      case 'n':
        return expect("null"), Json();
      default: {
        double value = 0;
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
        if (error != std::errc() || !std::isfinite(value)) fail();
        at_ = size_t(end - text_.data());
        return Json(value);
      }
    }
  }

  unsigned hex4() {
    unsigned value = 0;
    if (at_ + 4 > text_.size()) fail();
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, value, 16);
    if (error != std::errc() || end != text_.data() + at_ + 4) fail();
    at_ += 4;
    return value;
  }

  void append_utf8(std::string& out, unsigned code) {
    if (code < 0x80) {
      out += char(code);
    } else if (code < 0x800) {
      out += char(0xC0 | code >> 6);
      out += char(0x80 | (code & 63));
    } else if (code < 0x10000) {
      out += char(0xE0 | code >> 12);
      out += char(0x80 | (code >> 6 & 63));
      out += char(0x80 | (code & 63));
    } else {
      out += char(0xF0 | code >> 18);
      out += char(0x80 | (code >> 12 & 63));
      out += char(0x80 | (code >> 6 & 63));
      out += char(0x80 | (code & 63));
    }
  }

  std::string string() {
    std::string out;
    for (++at_;;) {
      if (at_ >= text_.size()) fail();
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) fail();
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ >= text_.size()) fail();
      const char escape = text_[at_++];
      const std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
      if (const size_t i = from.find(escape); i != std::string_view::npos) {
        out += to[i];
      } else if (escape == 'u') {
        unsigned code = hex4();
        if (code >= 0xD800 && code < 0xDC00) {
          expect("\\u");
          const unsigned low = hex4();
          if (low < 0xDC00 || low > 0xDFFF) fail();
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        append_utf8(out, code);
      } else {
        fail();
      }
    }
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

namespace {

void dump_string(std::string& out, const std::string& s) {
  out += '"';
  for (char c : s) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      static const char* digits = "0123456789abcdef";
      out += "\\u00";
      out += digits[c >> 4];
      out += digits[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

Json Json::parse(std::string_view text, const std::string& name) {
  return JsonParser(text, name).document();
}

void Json::dump_to(std::string& out, int indent, int level) const {
  const auto newline = [&](int l) {
    if (indent < 0) return;
    out += '\n';
    out.append(size_t(indent) * size_t(l), ' ');
  };
  switch (kind_) {
    case Kind::null:
      out += "null";
      break;
    case Kind::boolean:
      out += number_ != 0 ? "true" : "false";
      break;
    case Kind::number: {
      char digits[32];
      const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number_);
      out.append(digits, error == std::errc() ? size_t(end - digits) : 0);
      break;
    }
    case Kind::string:
      dump_string(out, string_);
      break;
    case Kind::array:
      out += '[';
      for (size_t i = 0; i < array_.size(); ++i) {
        if (i) out += indent < 0 ? "," : ", ";
        array_[i].dump_to(out, -1, level + 1);
      }
      out += ']';
      break;
    case Kind::object:
      out += '{';
      for (size_t i = 0; i < object_.size(); ++i) {
        if (i) out += ',';
        newline(level + 1);
        dump_string(out, object_[i].first);
        out += indent < 0 ? ":" : ": ";
        object_[i].second.dump_to(out, indent, level + 1);
      }
      if (!object_.empty()) newline(level);
      out += '}';
      break;
  }
}

std::string Json::dump(int indent) const {
  std::string out;
  dump_to(out, indent, 0);
  return out;
}

bool Json::has(std::string_view key) const {
  for (const auto& member : object_)
    if (member.first == key) return true;
  return false;
}

const Json& Json::at(std::string_view key) const {
  for (const auto& member : object_)
    if (member.first == key) return member.second;
  throw Error("the entry \"" + std::string(key) + "\" is missing");
}

const std::vector<Json>& Json::elements() const {
  if (kind_ != Kind::array) throw Error("a list is expected");
  return array_;
}

const std::vector<std::pair<std::string, Json>>& Json::members() const {
  if (kind_ != Kind::object) throw Error("an object is expected");
  return object_;
}

double Json::number() const {
  if (kind_ != Kind::number) throw Error("a number is expected");
  return number_;
}

bool Json::boolean() const {
  if (kind_ != Kind::boolean) throw Error("true or false is expected");
  return number_ != 0;
}

const std::string& Json::text() const {
  if (kind_ != Kind::string) throw Error("a text is expected");
  return string_;
}

Json& Json::set(std::string key, Json value) {
  object_.emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  array_.push_back(std::move(value));
  return *this;
}

}  // namespace doppel
