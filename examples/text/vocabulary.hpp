// The words that occur often enough, numbered from the most frequent down.
#pragma once

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "corpus.hpp"

namespace text {

class Vocabulary {
 public:
  Vocabulary(const std::vector<Words>& sentences, tl::Index min_count) {
    std::unordered_map<std::string, tl::Index> counts;
    for (const Words& words : sentences) {
      for (const std::string& word : words) ++counts[word];
    }
    std::vector<std::pair<tl::Index, std::string>> order;
    for (const auto& [word, count] : counts) {
      if (count >= min_count) order.emplace_back(-count, word);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [negative, word] : order) {
      index_[word] = size();
      words_.push_back(word);
      counts_.push_back(-negative);
      total_ -= negative;
    }
  }

  tl::Index size() const { return static_cast<tl::Index>(words_.size()); }
  const std::string& word(tl::Index i) const { return words_[static_cast<std::size_t>(i)]; }
  tl::Index count(tl::Index i) const { return counts_[static_cast<std::size_t>(i)]; }
  /// Occurrences of all its words.
  tl::Index total() const { return total_; }
  /// The share of the text that a word makes up.
  double frequency(tl::Index i) const { return static_cast<double>(count(i)) / static_cast<double>(total_); }

  /// The number of a word, or -1.
  tl::Index find(const std::string& word) const {
    const auto found = index_.find(word);
    return found == index_.end() ? -1 : found->second;
  }
  /// The numbers of the words it has; the others are left out.
  std::vector<tl::Index> numbers(const Words& words) const {
    std::vector<tl::Index> result;
    for (const std::string& word : words) {
      if (const tl::Index i = find(word); i >= 0) result.push_back(i);
    }
    return result;
  }

 private:
  std::vector<std::string> words_;
  std::vector<tl::Index> counts_;
  std::unordered_map<std::string, tl::Index> index_;
  tl::Index total_ = 0;
};

}  // namespace text
