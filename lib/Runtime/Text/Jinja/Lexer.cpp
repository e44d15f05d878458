//===- Lexer.cpp - A template's tokens ---===//
//
// Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lexer.h"

#include "../Utf8.h"
#include "Characters.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace weir::jinja {
namespace {

/// "\r\n" and "\r" become "\n"; one newline at the end is dropped.
std::string normalize(StringRef source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n')
      ++i;
  }
  if (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

class Lexer {
public:
  explicit Lexer(std::string text) : source(std::move(text)), rest(source) {}
  std::vector<LexedToken> run();

private:
  [[noreturn]] void fail(const Twine &message) const {
    throw Error{message.str(), line};
  }
  /// Moves on, counting lines.
  void skip(size_t bytes) {
    line += rest.take_front(bytes).count('\n');
    if (bytes > 0)
      lineStarting = rest[bytes - 1] == '\n';
    rest = rest.drop_front(bytes);
  }
  static size_t spaces(StringRef text) {
    return text.size() - strip(text, Left).size();
  }
  void emit(Token type, StringRef text = "") {
    tokens.push_back({type, text.str(), line});
  }

  bool data();
  void tag(Token begin, Token end, StringRef closing);
  void comment();
  void raw(size_t begin);
  size_t rawBegin(StringRef text, StringRef word, char &sign) const;
  size_t tagEnd(StringRef text, StringRef closing, bool block) const;
  void string();
  bool number();
  void balance(StringRef op);

  std::string source;
  StringRef rest;
  int line = 1;
  bool lineStarting = true;
  std::string open; ///< brackets that wait for their partners
  std::vector<LexedToken> tokens;
};

/// The size of the end of a tag with the blanks that it takes, or 0.
size_t Lexer::tagEnd(StringRef text, StringRef closing, bool block) const {
  if (text.starts_with("-") && text.drop_front().starts_with(closing))
    return 3 + spaces(text.drop_front(3));
  if (block && text.starts_with("+") && text.drop_front().starts_with(closing))
    return 3;
  if (!text.starts_with(closing))
    return 0;
  return 2 + (block && text.drop_front(2).starts_with("\n"));
}

/// The size of "{% raw" or "{% endraw" up to its "%}", or 0.
size_t Lexer::rawBegin(StringRef text, StringRef word, char &sign) const {
  StringRef left = text;
  if (!left.consume_front("{%"))
    return 0;
  sign = 0;
  if (!left.empty() && (left[0] == '-' || left[0] == '+')) {
    sign = left[0];
    left = left.drop_front();
  }
  left = strip(left, Left);
  if (!left.consume_front(word))
    return 0;
  return text.size() - strip(left, Left).size();
}

/// What is before the next tag, and the tag; false at the end.
bool Lexer::data() {
  size_t at = 0, size = 2;
  char sign = 0;
  bool isRaw = false;
  for (;; ++at) {
    at = rest.find('{', at);
    if (at == StringRef::npos || at + 1 == rest.size()) {
      if (!rest.empty())
        emit(Token::Data, rest);
      skip(rest.size());
      return false;
    }
    char kind = rest[at + 1];
    if (kind != '{' && kind != '%' && kind != '#')
      continue;
    StringRef tag = rest.drop_front(at);
    sign = 0;
    if (size_t begin = rawBegin(tag, "raw", sign)) {
      // "+%}" doesn't end the tag of raw.
      if (size_t end = tagEnd(tag.drop_front(begin), "%}", false)) {
        size = begin + end;
        isRaw = true;
        break;
      }
    }
    sign = tag.size() > 2 && (tag[2] == '-' || tag[2] == '+') ? tag[2] : 0;
    size = 2 + (sign != 0);
    break;
  }
  char kind = rest[at + 1];
  StringRef text = rest.take_front(at);
  if (sign == '-') {
    text = strip(text, Right);
  } else if (sign != '+' && kind != '{') {
    size_t lineBegin = text.rfind('\n') + 1;
    StringRef blanks = text.drop_front(lineBegin);
    if ((lineBegin > 0 || lineStarting) && !blanks.empty() &&
        strip(blanks, Left).empty())
      text = text.take_front(lineBegin);
  }
  if (!text.empty())
    emit(Token::Data, text);
  skip(at);
  if (isRaw) {
    raw(size);
  } else {
    skip(size);
    if (kind == '{')
      tag(Token::VariableBegin, Token::VariableEnd, "}}");
    else if (kind == '%')
      tag(Token::BlockBegin, Token::BlockEnd, "%}");
    else
      comment();
  }
  return true;
}

void Lexer::comment() {
  if (rest.empty()) // Jinja2 misses the end of one with a content only
    return;
  for (size_t at = 0; at < rest.size(); ++at)
    if (size_t end = tagEnd(rest.drop_front(at), "#}", true)) {
      skip(at + end);
      return;
    }
  fail("Missing end of comment tag");
}

void Lexer::raw(size_t begin) {
  skip(begin);
  if (rest.empty())
    return;
  for (size_t at = rest.find("{%"); at != StringRef::npos;
       at = rest.find("{%", at + 1)) {
    char sign;
    StringRef tag = rest.drop_front(at);
    size_t size = rawBegin(tag, "endraw", sign);
    size_t end = size ? tagEnd(tag.drop_front(size), "%}", true) : 0;
    if (!end)
      continue;
    StringRef text = rest.take_front(at);
    if (sign == '-') {
      text = strip(text, Right);
    } else if (sign != '+') {
      size_t lineBegin = text.rfind('\n') + 1;
      StringRef blanks = text.drop_front(lineBegin);
      if ((lineBegin > 0 || lineStarting) && !blanks.empty() &&
          strip(blanks, Left).empty())
        text = text.take_front(lineBegin);
    }
    if (!text.empty())
      emit(Token::Data, text);
    skip(at + size + end);
    return;
  }
  fail("Missing end of raw directive");
}

/// Two characters before one.
constexpr StringLiteral operators[] = {"//", "**", "==", "!=", ">=", "<=", "+",
                                       "-",  "/",  "*",  "%",  "~",  "[",  "]",
                                       "(",  ")",  "{",  "}",  ">",  "<",  "=",
                                       ".",  ":",  "|",  ",",  ";"};

void Lexer::balance(StringRef op) {
  if (op == "(" || op == "[" || op == "{") {
    open += op == "(" ? ')' : op == "[" ? ']' : '}';
    if (open.size() > 100)
      fail("more than 100 brackets are inside of each other");
  } else if (op == ")" || op == "]" || op == "}") {
    if (open.empty())
      fail("unexpected '" + op + "'");
    if (open.back() != op[0])
      fail("unexpected '" + op + "', expected '" + Twine(open.back()) + "'");
    open.pop_back();
  }
}

void Lexer::tag(Token begin, Token end, StringRef closing) {
  emit(begin);
  open.clear();
  for (;;) {
    if (open.empty())
      if (size_t size = tagEnd(rest, closing, closing == "%}")) {
        emit(end);
        skip(size);
        return;
      }
    if (rest.empty())
      fail("the template ends inside of a tag");
    if (size_t blanks = spaces(rest)) {
      skip(blanks);
      continue;
    }
    if (number())
      continue;
    Character first = firstCharacter(rest);
    if (isWordCharacter(first.codePoint)) {
      size_t size = 0;
      while (size < rest.size()) {
        Character c = firstCharacter(rest.drop_front(size));
        if (!isWordCharacter(c.codePoint))
          break;
        size += c.length;
      }
      StringRef name = rest.take_front(size);
      if (!isIdentifier(name))
        fail("Invalid character in identifier");
      emit(Token::Name, name);
      skip(size);
      continue;
    }
    if (rest[0] == '\'' || rest[0] == '"') {
      string();
      continue;
    }
    const StringLiteral *op = llvm::find_if(
        operators, [&](StringRef candidate) { return rest.starts_with(candidate); });
    if (op == std::end(operators))
      fail("unexpected char '" + rest.take_front(std::max(first.length, 1u)) +
           "'");
    balance(*op);
    emit(Token::Operator, *op);
    skip(op->size());
  }
}

/// Digits with single underscores between them; their size.
template <typename Accepts> size_t digits(StringRef text, Accepts accepts) {
  size_t size = 0;
  while (size < text.size()) {
    if (accepts(text[size]))
      ++size;
    else if (text[size] == '_' && size > 0 && size + 1 < text.size() &&
             accepts(text[size + 1]))
      size += 2;
    else
      break;
  }
  return size;
}

bool Lexer::number() {
  auto decimal = [](char c) { return llvm::isDigit(c); };
  size_t whole = digits(rest, decimal);
  if (whole == 0)
    return false;
  // A number isn't a float after a dot: `a.0.1`.
  bool afterDot = !tokens.empty() && tokens.back().text == "." &&
                  tokens.back().type == Token::Operator &&
                  rest.data() > source.data() && rest.data()[-1] == '.';
  StringRef tail = rest.drop_front(whole);
  size_t fraction = 0, exponent = 0;
  if (tail.starts_with("."))
    if (size_t size = digits(tail.drop_front(), decimal))
      fraction = size + 1;
  StringRef power = tail.drop_front(fraction);
  if (power.starts_with_insensitive("e")) {
    size_t sign = power.size() > 1 && (power[1] == '+' || power[1] == '-');
    if (size_t size = digits(power.drop_front(1 + sign), decimal))
      exponent = 1 + sign + size;
  }
  std::string plain;
  auto withoutUnderscores = [&](StringRef text) {
    plain = text.str();
    llvm::erase(plain, '_');
    return StringRef(plain);
  };
  if (!afterDot && fraction + exponent > 0) {
    size_t size = whole + fraction + exponent;
    double value = 0;
    withoutUnderscores(rest.take_front(size)).getAsDouble(value);
    emit(Token::Float, rest.take_front(size));
    tokens.back().number = Value::floating(value);
    skip(size);
    return true;
  }
  unsigned radix = 10;
  size_t size = whole;
  if (rest[0] == '0' && rest.size() > 2) {
    char mark = llvm::toLower(rest[1]);
    unsigned other = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    auto accepts = [&](char c) { return llvm::hexDigitValue(c) < other; };
    StringRef after = rest.drop_front(2);
    size_t underscore = after.starts_with("_");
    if (size_t count = other ? digits(after.drop_front(underscore), accepts) : 0) {
      radix = other;
      size = 2 + underscore + count;
    }
  }
  // "0", "00": nothing but zeros may begin with one.
  if (radix == 10 && rest[0] == '0')
    size = digits(rest, [](char c) { return c == '0'; });
  int64_t value;
  if (withoutUnderscores(rest.slice(radix == 10 ? 0 : 2, size))
          .getAsInteger(radix, value))
    fail("the number " + rest.take_front(size) + " is beyond 64 bits");
  emit(Token::Integer, rest.take_front(size));
  tokens.back().number = Value::integerOf(value);
  skip(size);
  return true;
}

void Lexer::string() {
  char quote = rest[0];
  size_t end = 1;
  while (end < rest.size() && rest[end] != quote)
    end += rest[end] == '\\' ? 2 : 1;
  if (end >= rest.size())
    fail(std::string("unexpected char '") + quote + "'");
  StringRef body = rest.slice(1, end);
  std::string out;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    char c = body[++i];
    static constexpr StringLiteral simple = "abfnrtv\\'\"",
                                   values = "\a\b\f\n\r\t\v\\'\"";
    size_t known = simple.find(c);
    unsigned width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (known != StringRef::npos) {
      out += values[known];
    } else if (width) {
      uint32_t point;
      StringRef hex = body.substr(i + 1, width);
      if (hex.size() != width || !llvm::all_of(hex, llvm::isHexDigit) ||
          hex.getAsInteger(16, point) || point > 0x10FFFF)
        fail(std::string("truncated or illegal \\") + c + " escape");
      if (point >= 0xD800 && point < 0xE000)
        fail("half of a surrogate pair, which no text can hold");
      appendUtf8(out, point);
      i += width;
    } else if (c >= '0' && c <= '7') {
      unsigned point = 0, count = 0;
      while (count < 3 && i < body.size() && body[i] >= '0' && body[i] <= '7') {
        point = point * 8 + (body[i++] - '0');
        ++count;
      }
      --i;
      appendUtf8(out, point);
    } else if (c == 'N') {
      fail("characters by name (\\N) are not supported");
    } else if (c != '\n') { // that one continues the line
      out += '\\';
      --i;
      out += body[++i];
    }
  }
  emit(Token::String);
  tokens.back().text = std::move(out);
  skip(end + 1);
}

std::vector<LexedToken> Lexer::run() {
  while (data()) {
  }
  emit(Token::End);
  return std::move(tokens);
}

} // namespace

std::vector<LexedToken> lex(StringRef source) {
  return Lexer(normalize(source)).run();
}

} // namespace weir::jinja
