// A pretrained network that is not trained at all: what it makes of photos is computed once and kept, and
// classifiers that need milliseconds learn from it.
//
//   nearest neighbour   the class of the closest photo, by the angle between features
//   ridge               w = (z^T z + N penalty)^-1 z^T (t - b)       z: standardised features, t = 1 or -1
//   svm                 mean of sum over classes of max(0, 1 - t score)^2  +  penalty / 2 |w|^2
//   softmax             mean of -log softmax(scores)[label]                +  penalty / 2 |w|^2
//
// Source: Donahue et al. 2014, https://arxiv.org/abs/1310.1531; Sharif Razavian et al. 2014,
// https://arxiv.org/abs/1403.6382. Arguments: an .onnx file, and a folder of photos, one folder a class, in
// place of drawn flowers. Writes features.svg.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>

#include <tl/tensor/eigen.hpp>
#include <tl/tl.hpp>
#include <tl/transfer/classifiers/ridge.hpp>

#include "drawn.hpp"
#include "figure.hpp"
#include "pretrained.hpp"

namespace {

using tl::Index;
using tl::Tensor;
using tl::transfer::Features;

/// Rows of a set, `count` of each class, the first ones.
Features some(const Features& all, Index classes, Index count) {
  std::vector<Index> taken(static_cast<std::size_t>(classes), 0), rows;
  std::vector<std::int64_t> labels;
  for (Index i = 0; i < all.labels.size(); ++i) {
    if (taken[static_cast<std::size_t>(all.labels.data()[i])]++ >= count) continue;
    rows.push_back(i);
    labels.push_back(all.labels.data()[i]);
  }
  const Index n = static_cast<Index>(rows.size()), width = all.values.shape(1);
  Features part{Tensor<float>::empty({n, width}), Tensor<std::int64_t>::from(labels, {n}), {}};
  float* to = part.values.mutable_data();
  for (const Index row : rows) to = std::copy_n(all.values.data() + row * width, width, to);
  return part;
}

double accuracy(const Tensor<std::int64_t>& found, const Tensor<std::int64_t>& labels) {
  Index right = 0;
  for (Index i = 0; i < labels.size(); ++i) right += found.data()[i] == labels.data()[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

// [nearest]
/// The class of the training row at the smallest angle: the largest x.t / (|x| |t|).
Tensor<std::int64_t> nearest(const Features& train, const Tensor<float>& x) {
  const Index width = x.shape(1);
  const auto dot = [width](const float* a, const float* b) {
    double sum = 0;
    for (Index j = 0; j < width; ++j) sum += static_cast<double>(a[j]) * static_cast<double>(b[j]);
    return sum;
  };
  auto found = Tensor<std::int64_t>::empty({x.shape(0)});
  std::int64_t* out = found.mutable_data();
  for (Index i = 0; i < x.shape(0); ++i) {
    const float* row = x.data() + i * width;
    double best = -2;
    for (Index k = 0; k < train.labels.size(); ++k) {
      const float* other = train.values.data() + k * width;
      const double cosine = dot(row, other) / std::sqrt(dot(row, row) * dot(other, other));
      if (cosine > best) {
        best = cosine;
        out[i] = train.labels.data()[k];
      }
    }
  }
  return found;
}
// [/nearest]

// [ridge]
/// Scores of x by ridge regression on the training rows, with Eigen, in one equation.
Tensor<std::int64_t> ridge(const Features& train, const Tensor<float>& x, Index classes, double penalty) {
  const auto scale = tl::transfer::scale_of(train.values);
  const Tensor<double> z_train = tl::transfer::standardised<double>(train.values, scale);
  const Tensor<double> z_new = tl::transfer::standardised<double>(x, scale);
  const auto z = tl::as_matrix(z_train);
  tl::EigenMatrix<double> t = tl::EigenMatrix<double>::Constant(z.rows(), classes, -1);
  for (Index i = 0; i < z.rows(); ++i) t(i, train.labels.data()[i]) = 1;
  const auto b = t.colwise().mean().eval();
  tl::EigenMatrix<double> a = z.transpose() * z;
  a.diagonal().array() += penalty * static_cast<double>(z.rows());
  const tl::EigenMatrix<double> w = a.ldlt().solve(z.transpose() * (t.rowwise() - b));
  const Tensor<double> scores = tl::from_eigen((tl::as_matrix(z_new) * w).rowwise() + b);
  return tl::transfer::best_classes(scores.cast<float>());
}
// [/ridge]

/// Pixels as features: each channel's mean over blocks, so that there are about as many as the network gives.
Features pixels(const tl::data::Loader& photos) {
  Features all = tl::transfer::compute_features(
      tl::Model<float>([] {
        tl::Graph<float> graph;
        const auto x = graph.add_input("x", {1, 3, 64, 64});
        const auto small = graph.add_node("small", tl::ops::AdaptiveAveragePool2d{{9, 9}}, {x});
        graph.set_outputs({graph.add_node("flat", tl::ops::Flatten{}, {small})});
        return graph;
      }()),
      photos);
  return all;
}

}  // namespace

int main(int argc, char** argv) try {
  const bool has_photos = argc > 2;
  if (!has_photos) {
    course::draw_folder("drawn/train", 40);
    course::draw_folder("drawn/valid", 25, 4, 1000);
  }
  const auto photos = tl::data::image_folder(has_photos ? argv[2] : "drawn");
  const auto classes = static_cast<Index>(photos.classes().size());

  // [store]
  const auto model = tl::onnx::load<float>(course::pretrained(argc, argv));
  const auto preprocess = tl::transfer::preprocess_of(model.graph()).steps;
  const tl::ValueId cut = tl::transfer::find_head(model.graph()).input;
  const auto parts = tl::transfer::split_at(model.graph(), cut, {1, 3, 64, 64});
  const tl::transfer::StoreOptions kept{.cache = "features"};
  for (int run = 1; run <= 2; ++run) {
    const auto result = tl::transfer::store_features(*parts.prefix, photos.train, preprocess, kept);
    std::printf("run %d: %lld photos looked at, %lld rows of %lld features\n", run,
                static_cast<long long>(result.computed), static_cast<long long>(result.features.images()),
                static_cast<long long>(result.features.rows->format().size()));
  }
  // [/store]
  const auto of = [&](const tl::data::Dataset& set) {
    return tl::transfer::store_features(*parts.prefix, set, preprocess, kept).features.in_memory();
  };
  const Features train = of(photos.train), valid = of(photos.valid);
  const Features train_pixels = pixels({photos.train, preprocess}),
                 valid_pixels = pixels({photos.valid, preprocess});

  std::puts("\nphotos   nearest,  nearest   k nearest    ridge  ridge by     svm  softmax");
  std::puts("a class   pixels                                    hand");
  std::map<std::string, std::vector<std::pair<double, double>>> curves;
  for (const Index count : {1, 2, 5, 10, 20, 40}) {
    const Features f = some(train, classes, count), p = some(train_pixels, classes, count);
    // [classifiers]
    const tl::transfer::NearestNeighbours neighbours(f.values, f.labels, classes);
    const auto closed = tl::transfer::fit_ridge(f.values, f.labels, classes);
    const auto svm = tl::transfer::fit_svm(f.values, f.labels, classes);
    const auto softmax = tl::transfer::fit_softmax(f.values, f.labels, classes);
    const std::pair<const char*, Tensor<std::int64_t>> found[] = {
        {"nearest, pixels", nearest(p, valid_pixels.values)},
        {"nearest", nearest(f, valid.values)},
        {"k nearest", neighbours.predict(valid.values)},
        {"ridge", closed.classifier.predict(valid.values)},
        {"", ridge(f, valid.values, classes, closed.penalty)},
        {"svm", svm.classifier.predict(valid.values)},
        {"softmax", softmax.classifier.predict(valid.values)}};
    // [/classifiers]
    std::printf("%7lld", static_cast<long long>(count));
    for (const auto& [name, labels] : found) {
      const double percent = 100 * accuracy(labels, valid.labels);
      std::printf("  %6.1f %%", percent);
      if (*name != '\0' && std::string(name) != "k nearest")
        curves[name].emplace_back(static_cast<double>(count), percent);
    }
    std::puts("");
  }
  course::Figure figure("Classifiers on fixed features", "photos a class", "accuracy, %");
  for (const auto& [name, points] : curves) figure.add(name, points);
  figure.logarithmic();
  figure.lower_legend(0.25);
  figure.write("features.svg");
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
