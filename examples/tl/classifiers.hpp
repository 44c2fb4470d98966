// Classifiers on the features before a network's last layer, by the names of the command line.
#pragma once

#include <functional>
#include <string>

#include <tl/transfer/classifiers/linear.hpp>
#include <tl/transfer/stored_features.hpp>

namespace program {

/// What computes the last layer: "softmax", "svm" or "ridge". Throws for "knn", which is no layer, and for
/// other names.
std::function<tl::transfer::LinearClassifier(const tl::transfer::Features&, tl::Index)> head_classifier(
    const std::string& name);

/// How good the features are before anything is trained: one line, or none where that would take long or a
/// class has no photo to train with.
std::string linear_probe(const tl::transfer::StoredFeatures& train, const tl::transfer::StoredFeatures& valid,
                         tl::Index classes);

}  // namespace program
