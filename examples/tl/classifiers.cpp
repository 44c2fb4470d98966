// The classifiers of tl finetune: the last layer without training by steps, and what features are worth.
#include "classifiers.hpp"

#include <algorithm>
#include <set>

#include <tl/transfer/classifiers/neighbours.hpp>
#include <tl/transfer/classifiers/ridge.hpp>
#include <tl/transfer/classifiers/softmax.hpp>
#include <tl/transfer/classifiers/svm.hpp>

#include "common.hpp"

namespace program {

using tl::transfer::Features;
using tl::transfer::LinearClassifier;
using tl::transfer::StoredFeatures;

std::function<LinearClassifier(const Features&, Index)> head_classifier(const std::string& name) {
  TL_CHECK(
      name != "knn",
      "--classifier knn compares with all training photos and is no layer of a network: use softmax, svm "
      "or ridge (the linear probe of the other methods tells what knn reaches)");
  if (name == "ridge") {
    return [](const Features& f, Index classes) {
      return tl::transfer::fit_ridge(f.values, f.labels, classes).classifier;
    };
  }
  TL_CHECK(name == "softmax" || name == "svm", "unknown classifier '", name,
           "': expected softmax, svm or ridge");
  const auto fit = name == "svm" ? tl::transfer::fit_svm : tl::transfer::fit_softmax;
  return [fit](const Features& f, Index classes) { return fit(f.values, f.labels, classes, {}).classifier; };
}

std::optional<LinearProbe> linear_probe(const StoredFeatures& stored_train,
                                        const StoredFeatures& stored_valid, Index classes) {
  constexpr Index most_cubed = 2048, most_squared = 20'000;  // what ridge and nearest neighbours take
  const Index n = stored_train.rows->count(), width = stored_train.rows->format().size();
  const std::set<std::int64_t> present(stored_train.labels.begin(), stored_train.labels.end());
  const bool quick = n <= most_squared && std::min(n, width) <= most_cubed;
  if (!quick || static_cast<Index>(present.size()) < classes) return {};
  const Features train = stored_train.in_memory(), valid = stored_valid.in_memory();
  const auto right = [&](const auto& classifier) {
    const tl::Tensor<std::int64_t> predicted = classifier.predict(valid.values);
    Index count = 0;
    for (Index i = 0; i < predicted.size(); ++i) count += predicted.at(i) == valid.labels.at(i);
    return static_cast<double>(count) / static_cast<double>(predicted.size());
  };
  const auto ridge = tl::transfer::fit_ridge(train.values, train.labels, classes);
  const tl::transfer::NearestNeighbours nearest(train.values, train.labels, classes);
  return LinearProbe{.ridge = right(ridge.classifier), .neighbours = right(nearest)};
}

}  // namespace program
