// A sentence as the mean of its words' vectors, and a dense layer that names its class.
//
//   words:(n,L), padded; weights:(n,L), 1 / length or 0 where padded
//   y = W sum_l weights[l] table[words[l]] + b        (n,classes)
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <tl/nn/layers.hpp>
#include <tl/nn/table_rows.hpp>
#include <tl/optim/schedule.hpp>
#include <tl/optim/sgd.hpp>

#include "corpus.hpp"
#include "vocabulary.hpp"

namespace text {

/// Sentences as numbers of words, one after the other: sentence i is words[begin[i]] up to words[begin[i +
/// 1]].
struct Bags {
  std::vector<std::int64_t> words;
  std::vector<std::size_t> begin{0};
  std::vector<std::int64_t> labels;

  tl::Index size() const { return static_cast<tl::Index>(labels.size()); }
};

inline Bags make_bags(std::span<const Sentence> sentences, const Vocabulary& vocabulary) {
  Bags bags;
  for (const Sentence& s : sentences) {
    for (const tl::Index word : vocabulary.numbers(s.words)) bags.words.push_back(word);
    bags.begin.push_back(bags.words.size());
    bags.labels.push_back(s.label);
  }
  return bags;
}

/// Some sentences side by side. A sentence without known words has weights of 0: its mean is 0.
struct Batch {
  tl::Tensor<std::int64_t> words;   ///< (n,L)
  tl::Tensor<float> weights;        ///< (n,L,1)
  tl::Tensor<std::int64_t> labels;  ///< (n)
};

inline Batch make_batch(const Bags& bags, std::span<const tl::Index> chosen) {
  const auto length = [&](tl::Index i) {
    const auto at = static_cast<std::size_t>(i);
    return static_cast<tl::Index>(bags.begin[at + 1] - bags.begin[at]);
  };
  tl::Index longest = 1;
  for (const tl::Index i : chosen) longest = std::max(longest, length(i));
  const auto n = static_cast<tl::Index>(chosen.size());
  Batch batch{tl::Tensor<std::int64_t>::zeros({n, longest}), tl::Tensor<float>::zeros({n, longest, 1}),
              tl::Tensor<std::int64_t>::empty({n})};
  std::int64_t *words = batch.words.mutable_data(), *labels = batch.labels.mutable_data();
  float* weights = batch.weights.mutable_data();
  for (const tl::Index i : chosen) {
    std::copy_n(bags.words.data() + bags.begin[static_cast<std::size_t>(i)], length(i), words);
    std::fill_n(weights, length(i), 1.0f / static_cast<float>(std::max<tl::Index>(1, length(i))));
    *labels++ = bags.labels[static_cast<std::size_t>(i)];
    words += longest;
    weights += longest;
  }
  return batch;
}

struct FitOptions {
  tl::Index classes = 2;
  bool train_vectors = false;  ///< the words' vectors too, not the dense layer alone
  double lr = 0.1;             ///< falls to 0 by half a cosine
  tl::Index steps = 100;
  tl::Index batch = 32;
  std::uint64_t seed = 1;
};

// [mean]
/// (n,D): the mean of the vectors of each sentence's words.
inline tl::Var<float> sentence_vectors(const tl::Var<float>& table, const Batch& batch) {
  return tl::sum(tl::embedding(table, batch.words) * tl::Var<float>(batch.weights), {1});
}
// [/mean]

struct Accuracies {
  double valid = 0, test = 0;
};

namespace classifier_impl {

inline double accuracy(const tl::Var<float>& table, tl::nn::Dense<float>& head, const Bags& bags) {
  const tl::NoGrad no_tape;
  tl::Index right = 0;
  std::vector<tl::Index> part;
  for (tl::Index i = 0; i < bags.size(); ++i) {
    part.push_back(i);
    if (part.size() < 64 && i + 1 < bags.size()) continue;
    const Batch b = make_batch(bags, part);
    const auto y = head.forward(sentence_vectors(table, b)).value();
    for (tl::Index row = 0; row < y.shape(0); ++row) {
      const float* logits = y.data() + row * y.shape(1);
      right += std::max_element(logits, logits + y.shape(1)) - logits == b.labels.data()[row];
    }
    part.clear();
  }
  return static_cast<double>(right) / static_cast<double>(std::max<tl::Index>(1, bags.size()));
}

}  // namespace classifier_impl

/// Trains on sentences from the words' vectors (V,D), and gives the accuracy on others.
inline Accuracies fit(const tl::Tensor<float>& vectors, Bags train, const Bags& valid, const Bags& test,
                      const FitOptions& o) {
  TL_CHECK(!train.words.empty(), "[fit] expected sentences with known words, got ", train.size(), " without");
  const tl::RandomScope weights(o.seed, 0);
  tl::nn::Dense<float> head({.in = vectors.shape(1), .out = o.classes});
  tl::Var<float> table(vectors.clone(), o.train_vectors);
  // Only the words of the training sentences have a gradient: they alone are what the steps work on.
  tl::nn::TableRows<float> rows(
      table, tl::Tensor<std::int64_t>::from(train.words, {static_cast<tl::Index>(train.words.size())}));
  train.words.assign(rows.local().span().begin(), rows.local().span().end());
  std::vector<tl::nn::Named<float>> params = head.parameters();
  params.push_back({"words", rows.rows()});
  tl::optim::Sgd<float> sgd({{.params = params, .lr = o.lr}}, {.momentum = 0.9});
  const tl::optim::Schedule schedule{.kind = tl::optim::ScheduleKind::cosine, .total = o.steps};

  std::vector<tl::Index> order(static_cast<std::size_t>(train.size()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<tl::Index>(i);
  tl::Rng rng(o.seed, 1);
  std::size_t at = order.size();
  for (tl::Index step = 0; step < o.steps; ++step) {
    if (at >= order.size()) {
      rng.shuffle(order);
      at = 0;
    }
    const std::size_t count = std::min(static_cast<std::size_t>(o.batch), order.size() - at);
    const Batch b = make_batch(train, std::span<const tl::Index>(order).subspan(at, count));
    at += count;
    tl::cross_entropy(head.forward(sentence_vectors(rows.rows(), b)), b.labels).backward();
    sgd.step(schedule(step));
    sgd.zero_grad();
  }
  if (o.train_vectors) rows.store();
  return {classifier_impl::accuracy(table, head, valid), classifier_impl::accuracy(table, head, test)};
}

}  // namespace text
