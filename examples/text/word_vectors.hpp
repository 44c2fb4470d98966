// Word vectors from text without labels: skip-gram with negative sampling (Mikolov et al. 2013,
// https://arxiv.org/abs/1310.4546).
//
// A word is to tell the words around it from random ones: with vectors v of centres and u of contexts,
//
//   loss = -log sigmoid(v_c . u_o) - sum over K random words n of log sigmoid(-v_c . u_n)
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <tl/nn/init.hpp>
#include <tl/nn/table_rows.hpp>
#include <tl/optim/row_adagrad.hpp>
#include <tl/tensor/math.hpp>

#include "vocabulary.hpp"

namespace text {

struct SkipGramOptions {
  tl::Index width = 64;     ///< of a vector
  tl::Index window = 10;    ///< words on each side, at most; the nearer are drawn more often
  tl::Index negatives = 5;  ///< random words for each true one
  double subsample = 1e-3;  ///< words more frequent than this are left out now and then
  tl::Index epochs = 5;
  tl::Index batch = 1024;  ///< pairs of centre and context a step
  double lr = 0.2;         ///< of RowAdagrad; falls to 0 linearly
  std::uint64_t seed = 1;
  /// (epoch, mean loss), after every epoch
  std::function<void(tl::Index, double)> on_epoch{};
};

class SkipGram {
 public:
  SkipGram(const Vocabulary& vocabulary, const SkipGramOptions& options)
      : vocabulary_(vocabulary),
        o_(options),
        centres_(tl::nn::random_uniform<float>({vocabulary.size(), o_.width},
                                               0.5 / static_cast<double>(o_.width), tl::Rng(o_.seed, 1)),
                 true),
        contexts_(tl::Tensor<float>::zeros({vocabulary.size(), o_.width}), true),
        centre_steps_(centres_, o_.lr),
        context_steps_(contexts_, o_.lr) {
    TL_CHECK(vocabulary.size() >= 2, "[skip_gram] expected at least 2 different words, got ",
             vocabulary.size());
    double sum = 0;
    for (tl::Index i = 0; i < vocabulary.size(); ++i) {
      sum += std::pow(static_cast<double>(vocabulary.count(i)), 0.75);
      noise_.push_back(sum);
    }
  }

  /// Learns from sentences given as numbers of the vocabulary; returns the vectors (V,width).
  tl::Tensor<float> train(std::vector<std::vector<tl::Index>> sentences) {
    for (tl::Index epoch = 0; epoch < o_.epochs; ++epoch) {
      tl::Rng rng(o_.seed, 2, static_cast<std::uint64_t>(epoch));
      rng.shuffle(sentences);
      double loss_sum = 0;
      tl::Index steps = 0;
      for (std::size_t s = 0; s < sentences.size(); ++s) {
        add_pairs(sentences[s], rng);
        if (static_cast<tl::Index>(pairs_.size()) < o_.batch && s + 1 < sentences.size()) continue;
        const double done =
            (static_cast<double>(epoch) + static_cast<double>(s) / static_cast<double>(sentences.size())) /
            static_cast<double>(o_.epochs);
        if (pairs_.empty()) continue;
        loss_sum += step(1 - done, rng);
        ++steps;
      }
      if (o_.on_epoch) o_.on_epoch(epoch, loss_sum / static_cast<double>(std::max<tl::Index>(1, steps)));
    }
    return centres_.value();
  }

 private:
  struct Pair {
    tl::Index centre, context;
  };

  void add_pairs(const std::vector<tl::Index>& sentence, tl::Rng& rng) {
    std::vector<tl::Index> kept;
    for (const tl::Index word : sentence) {
      const double share = o_.subsample / vocabulary_.frequency(word);
      if (share >= 1 || rng.chance(std::sqrt(share))) kept.push_back(word);
    }
    const auto size = static_cast<tl::Index>(kept.size());
    for (tl::Index i = 0; i < size; ++i) {
      const auto reach = 1 + static_cast<tl::Index>(rng.below(static_cast<std::uint64_t>(o_.window)));
      for (tl::Index j = std::max<tl::Index>(0, i - reach); j <= std::min(size - 1, i + reach); ++j) {
        if (j != i) pairs_.push_back({kept[static_cast<std::size_t>(i)], kept[static_cast<std::size_t>(j)]});
      }
    }
  }

  /// A word drawn with a probability proportional to its count^0.75.
  tl::Index random_word(tl::Rng& rng) const {
    const double drawn = rng.uniform() * noise_.back();
    const auto place = std::upper_bound(noise_.begin(), noise_.end() - 1, drawn);
    return place - noise_.begin();
  }

  // One step on the pairs collected; `factor` scales the rate. Returns the loss of a pair.
  double step(double factor, tl::Rng& rng) {
    const auto n = static_cast<tl::Index>(pairs_.size());
    auto centre = tl::Tensor<std::int64_t>::empty({n, 1});
    auto word = tl::Tensor<std::int64_t>::empty({n, 1 + o_.negatives});
    auto truth = tl::Tensor<float>::zeros({n, 1 + o_.negatives});
    std::int64_t *c = centre.mutable_data(), *w = word.mutable_data();
    float* t = truth.mutable_data();
    for (const Pair& pair : pairs_) {
      *c++ = pair.centre;
      *w++ = pair.context;
      for (tl::Index k = 0; k < o_.negatives; ++k) *w++ = random_word(rng);
      *t = 1;
      t += 1 + o_.negatives;
    }
    pairs_.clear();

    // [step]
    tl::nn::TableRows<float> v(centres_, centre), u(contexts_, word);
    const auto scores = tl::sum(v.look_up() * u.look_up(), {2});  // (n,1,D) x (n,1+K,D) -> (n,1+K)
    const auto loss = tl::binary_cross_entropy(scores, tl::Var<float>(truth));
    loss.backward();
    centre_steps_.step(v, factor);
    context_steps_.step(u, factor);
    // [/step]
    return static_cast<double>(loss.item()) * static_cast<double>(1 + o_.negatives);
  }

  const Vocabulary& vocabulary_;
  SkipGramOptions o_;
  tl::Var<float> centres_, contexts_;
  tl::optim::RowAdagrad<float> centre_steps_, context_steps_;
  std::vector<double> noise_;  ///< cumulated
  std::vector<Pair> pairs_;
};

/// Vectors (V,D) with a mean of 0 and a mean square of `size`^2, which is what a rate of learning depends on.
inline void standardise(tl::Tensor<float>& vectors, double size) {
  const tl::Tensor<float> centred = tl::sub(
      vectors, tl::reduce<float>(tl::kernels::Reduce::mean, vectors, std::vector<tl::Index>{0}, true));
  const float squares =
      tl::kernels::reduce_all(tl::kernels::Reduce::sum_squares, centred.size(), centred.data());
  const float norm = std::sqrt(squares / static_cast<float>(centred.size()));
  vectors = tl::scale(centred, norm > 0 ? static_cast<float>(size) / norm : 0.0f);
}

/// The `count` words whose vectors have the smallest angle to that of a word.
inline std::vector<std::string> neighbours(const tl::Tensor<float>& vectors, const Vocabulary& vocabulary,
                                           tl::Index word, std::size_t count) {
  const tl::Index width = vectors.shape(1);
  const auto dot = [&](tl::Index a, tl::Index b) {
    return tl::kernels::dot(width, vectors.data() + a * width, vectors.data() + b * width);
  };
  std::vector<std::pair<float, tl::Index>> order;
  for (tl::Index i = 0; i < vocabulary.size(); ++i) {
    if (i != word) order.emplace_back(-dot(i, word) / std::sqrt(dot(i, i) + 1e-12f), i);
  }
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
  std::vector<std::string> words;
  for (std::size_t i = 0; i < count; ++i) words.push_back(vocabulary.word(order[i].second));
  return words;
}

}  // namespace text
