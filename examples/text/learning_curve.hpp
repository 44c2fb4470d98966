// Accuracy against the number of labelled sentences, for three ways to begin.
//
// Every way gets the same classifier and the same choice: the rate and the number of steps whose accuracy on
// the validation sentences, a mean over the seeds, is best. The accuracy on the test sentences with these is
// what counts.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <tl/nn/init.hpp>

#include "classifier.hpp"
#include "corpus.hpp"
#include "vocabulary.hpp"

namespace text {

struct Method {
  std::string name;
  bool pretrained = false;
  bool train_vectors = false;
};

inline const std::vector<Method> methods{
    {"random", false, true}, {"frozen", true, false}, {"fine-tuned", true, true}};
inline const std::vector<double> rates{0.03, 0.1, 0.3, 1, 3};

/// What one method reaches.
struct Result {
  std::vector<double> accuracies;  ///< on the test sentences, one a seed
  double lr = 0;
  tl::Index steps = 0;
};

inline double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// The standard deviation; 0 for a single value.
inline double deviation(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += (value - mean(values)) * (value - mean(values));
  return values.size() > 1 ? std::sqrt(squares / static_cast<double>(values.size() - 1)) : 0;
}

/// The training sentences in another order for each seed, `a_class` of each class at most; 0: all.
inline std::vector<Sentence> labelled_part(std::vector<Sentence> train, tl::Index classes, tl::Index a_class,
                                           std::uint64_t seed) {
  tl::Rng(seed, 3).shuffle(train);
  if (a_class == 0) return train;
  std::vector<tl::Index> taken(static_cast<std::size_t>(classes));
  std::erase_if(train,
                [&](const Sentence& s) { return ++taken[static_cast<std::size_t>(s.label)] > a_class; });
  return train;
}

class LearningCurve {
 public:
  /// `vectors`: the pretrained ones, (V,D).
  LearningCurve(const Task& task, const Vocabulary& vocabulary, tl::Tensor<float> vectors, tl::Index seeds)
      : task_(task),
        vocabulary_(vocabulary),
        vectors_(std::move(vectors)),
        seeds_(seeds),
        valid_(make_bags(task.valid, vocabulary)),
        test_(make_bags(task.test, vocabulary)) {}

  /// The best rate and number of steps of a method with `a_class` labelled sentences a class, 0: all.
  Result measure(const Method& method, tl::Index a_class) const {
    Result best;
    double best_valid = -1;
    for (const double lr : rates) {
      for (const bool longer : {false, true}) {
        std::vector<double> valid, test;
        FitOptions options;
        options.classes = static_cast<tl::Index>(task_.classes.size());
        options.train_vectors = method.train_vectors;
        options.lr = lr;
        for (tl::Index seed = 0; seed < seeds_; ++seed) {
          options.seed = static_cast<std::uint64_t>(seed);
          const Accuracies a = run(method, a_class, longer, options);
          valid.push_back(a.valid);
          test.push_back(a.test);
        }
        if (mean(valid) <= best_valid) continue;
        best_valid = mean(valid);
        best = {std::move(test), lr, options.steps};
      }
    }
    return best;
  }

 private:
  /// Values of random vectors; those of 1 that embedding layers usually begin with did worse.
  static constexpr double random_size = 0.03;

  Accuracies run(const Method& method, tl::Index a_class, bool longer, FitOptions& options) const {
    const Bags train =
        make_bags(labelled_part(task_.train, options.classes, a_class, options.seed), vocabulary_);
    options.steps = std::clamp<tl::Index>(8 * train.size() / options.batch, 400, 1600) / (longer ? 1 : 4);
    return fit(method.pretrained
                   ? vectors_
                   : tl::nn::random_normal<float>(vectors_.shape(), random_size, tl::Rng(options.seed, 4)),
               train, valid_, test_, options);
  }

  const Task& task_;
  const Vocabulary& vocabulary_;
  tl::Tensor<float> vectors_;
  tl::Index seeds_;
  Bags valid_, test_;
};

}  // namespace text
