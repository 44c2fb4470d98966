// Accuracy against the number of labelled sentences, for three ways to begin.
//
// Every way gets the same classifier and the same choice: the rate and the number of steps whose accuracy on
// the validation sentences, a mean over the seeds, is best. The accuracy on the test sentences with these is
// what counts.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
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
  double mean = 0, deviation = 0;  ///< of the accuracy on the test sentences, over the seeds
  double lr = 0;
  tl::Index steps = 0;
};

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
      std::vector<std::vector<Accuracies>> runs;
      std::vector<tl::Index> steps;
      for (tl::Index seed = 0; seed < seeds_; ++seed)
        runs.push_back(run(method, a_class, lr, static_cast<std::uint64_t>(seed), steps));
      for (std::size_t at = 0; at < steps.size(); ++at) {
        double valid = 0, test = 0, squares = 0;
        for (const auto& r : runs) {
          valid += r[at].valid / static_cast<double>(seeds_);
          test += r[at].test / static_cast<double>(seeds_);
        }
        for (const auto& r : runs) squares += (r[at].test - test) * (r[at].test - test);
        if (valid <= best_valid) continue;
        best_valid = valid;
        const double deviation = seeds_ > 1 ? std::sqrt(squares / static_cast<double>(seeds_ - 1)) : 0;
        best = {test, deviation, lr, steps[at]};
      }
    }
    return best;
  }

 private:
  /// Values of random vectors; those of 1 that embedding layers usually begin with did worse.
  static constexpr double random_size = 0.03;

  std::vector<Accuracies> run(const Method& method, tl::Index a_class, double lr, std::uint64_t seed,
                              std::vector<tl::Index>& steps) const {
    const auto classes = static_cast<tl::Index>(task_.classes.size());
    const Bags train = make_bags(labelled_part(task_.train, classes, a_class, seed), vocabulary_);
    FitOptions fit_options;
    fit_options.classes = classes;
    fit_options.train_vectors = method.train_vectors;
    fit_options.lr = lr;
    fit_options.seed = seed;
    const tl::Index most = std::clamp<tl::Index>(8 * train.size() / fit_options.batch, 400, 1600);
    steps = fit_options.steps = {most / 8, most / 4, most / 2, most};
    return fit(method.pretrained
                   ? vectors_
                   : tl::nn::random_normal<float>(vectors_.shape(), random_size, tl::Rng(seed, 4)),
               train, valid_, test_, fit_options);
  }

  const Task& task_;
  const Vocabulary& vocabulary_;
  tl::Tensor<float> vectors_;
  tl::Index seeds_;
  Bags valid_, test_;
};

}  // namespace text
