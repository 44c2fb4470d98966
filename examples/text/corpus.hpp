// Sentences with labels, and their words.
//
// A file holds one sentence a line: the label, a whole number, one space, the text (the form in which TREC
// and SST-2 are distributed).
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <tl/core/file.hpp>
#include <tl/core/shape.hpp>

namespace text {

using Words = std::vector<std::string>;

struct Sentence {
  Words words;
  tl::Index label = 0;
};

/// What is learned from and what is measured on.
struct Task {
  std::string name;
  std::vector<std::string> classes;
  std::vector<Sentence> train, valid, test;
  std::vector<Words> unlabelled;   ///< none of it from valid or test
  std::vector<std::string> notes;  ///< where the texts come from, what was left out
};

/// Words in lower case: runs of letters, digits, apostrophes and bytes beyond ASCII; everything else
/// separates them. A run of digits becomes "0": one number says as much as another.
inline Words words_of(std::string_view line) {
  Words words;
  std::string word;
  bool number = true;
  const auto end = [&] {
    if (!word.empty()) words.push_back(number ? "0" : word);
    word.clear();
    number = true;
  };
  for (const char c : line) {
    const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z';
    if (digit || upper || (c >= 'a' && c <= 'z') || c == '\'' || (static_cast<unsigned char>(c) & 0x80u)) {
      word += upper ? static_cast<char>(c - 'A' + 'a') : c;
      number = number && digit;
    } else {
      end();
    }
  }
  end();
  return words;
}

/// Calls f(line, number) for every line, the first being 1, without its line ending.
template <class F>
void for_each_line(std::string_view text, F f) {
  for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    f(line, number);
    begin = end + 1;
  }
}

/// Reads "LABEL TEXT" lines with labels in [0, classes). Lines without a text are an error, as are other
/// labels.
inline std::vector<Sentence> read_labelled(const std::filesystem::path& file, tl::Index classes) {
  std::vector<Sentence> sentences;
  const std::string text = tl::read_file(file);
  for_each_line(text, [&](std::string_view line, std::size_t number) {
    if (line.empty()) return;
    Sentence s;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), s.label);
    const auto used = static_cast<std::size_t>(rest - line.data());
    TL_CHECK(error == std::errc{} && used + 1 < line.size() && line[used] == ' ' && s.label >= 0 &&
                 s.label < classes,
             "'", file.string(), "', line ", number, ": expected a label in [0, ", classes,
             "), a space and a sentence, got '", line.substr(0, 40), "'");
    s.words = words_of(line.substr(used + 1));
    sentences.push_back(std::move(s));
  });
  TL_CHECK(!sentences.empty(), "'", file.string(), "': expected sentences, got none");
  return sentences;
}

}  // namespace text
