// Classifiers on the features before a network's last layer, by the names of the command line.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <tl/transfer/classifiers/linear.hpp>
#include <tl/transfer/stored_features.hpp>

namespace program {

/// What computes the last layer: "softmax", "svm" or "ridge". Throws for "knn", which is no layer, and for
/// other names.
std::function<tl::transfer::LinearClassifier(const tl::transfer::Features&, tl::Index)> head_classifier(
    const std::string& name);

/// How good the features are before anything is trained: the accuracy on the images to validate with.
struct LinearProbe {
  double ridge = 0, neighbours = 0;
};

/// None where that would take long or a class has no photo to train with.
std::optional<LinearProbe> linear_probe(const tl::transfer::StoredFeatures& train,
                                        const tl::transfer::StoredFeatures& valid, tl::Index classes);

}  // namespace program
