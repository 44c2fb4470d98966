// Nearest neighbours in the space of features: a sample gets the class that most of the k nearest have.
//
//   cosine      the angle between features as they are
//   euclidean   the distance between standardised features
//
// Nothing is trained, but all features are kept: there is no head of a network to put it into.
// Source: Cover, Hart 1967, "Nearest neighbor pattern classification", IEEE Transactions on Information
// Theory 13.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <tl/kernels/gemm.hpp>
#include <tl/transfer/classifiers/linear.hpp>

namespace tl::transfer {

/// How near two features are.
enum class Distance { cosine, euclidean };

/// How near is measured, and how many vote.
struct NeighbourOptions {
  Distance distance = Distance::cosine;  ///< between features
  /// Numbers of neighbours, of which the one is taken that is right most often about each sample by the
  /// others; of equally good ones the first. Those that are not below the number of samples are left out.
  std::vector<Index> candidates{1, 3, 5, 9, 15};
};

/// Features and labels that are remembered; a new one gets the class that most of the nearest have.
class NearestNeighbours {
 public:
  /// Keeps features (N,D) and labels (N) of `classes` classes; every class must have a sample.
  NearestNeighbours(const Tensor<float>& features, const Tensor<std::int64_t>& labels, Index classes,
                    const NeighbourOptions& options = {})
      : distance_(options.distance), classes_(classes), labels_(labels) {
    check_training_set(features, labels, classes, "neighbours");
    if (distance_ == Distance::euclidean) scale_ = scale_of(features);
    width_ = features.shape(1);
    points_ = prepared(features);
    half_squares_.assign(static_cast<std::size_t>(points_.shape(0)), 0.0f);
    for (Index i = 0; distance_ == Distance::euclidean && i < points_.shape(0); ++i) {
      const float* row = points_.data() + i * width_;
      half_squares_[static_cast<std::size_t>(i)] = std::inner_product(row, row + width_, row, 0.0f) / 2;
    }
    choose_k(options.candidates);
  }

  Index k() const { return k_; }  ///< how many vote
  /// Share of the samples whose class the others' votes give.
  double leave_one_out() const { return leave_one_out_; }

  /// (N,classes): the share of the k nearest neighbours that each class has.
  Tensor<float> scores(const Tensor<float>& features) const {
    check_features(features, "neighbours");
    TL_CHECK(features.shape(1) == width_, "[neighbours] expected features (N,", width_, "), got ",
             features.shape());
    const Tensor<float> queries = prepared(features);
    const std::vector<Index> nearest = nearest_of(queries, k_, false);
    Tensor<float> result = Tensor<float>::zeros({features.shape(0), classes_});
    float* shares = result.mutable_data();
    for (Index i = 0; i < features.shape(0); ++i) {
      for (Index v = 0; v < k_; ++v) {
        const Index neighbour = nearest[static_cast<std::size_t>(i * k_ + v)];
        shares[i * classes_ + labels_.data()[neighbour]] += 1.0f / static_cast<float>(k_);
      }
    }
    return result;
  }
  /// The class with the most votes; of equal ones the smallest.
  Tensor<std::int64_t> predict(const Tensor<float>& features) const { return best_classes(scores(features)); }

 private:
  Tensor<float> prepared(const Tensor<float>& features) const {
    if (distance_ == Distance::euclidean) return standardised<float>(features, scale_);
    Tensor<float> unit = features.clone();
    float* row = unit.mutable_data();
    for (Index i = 0; i < unit.shape(0); ++i, row += width_) {
      double squares = 0;
      for (Index j = 0; j < width_; ++j) squares += static_cast<double>(row[j]) * static_cast<double>(row[j]);
      const double factor = squares > 0 ? 1 / std::sqrt(squares) : 0;
      for (Index j = 0; j < width_; ++j) row[j] = static_cast<float>(factor * static_cast<double>(row[j]));
    }
    return unit;
  }

  /// For each query the k nearest points, the nearest first, of equally near ones the earlier. With
  /// `without_self` query i is point i and no neighbour of its own.
  std::vector<Index> nearest_of(const Tensor<float>& queries, Index k, bool without_self) const {
    constexpr Index block = 256;  // bounds the memory
    const Index n = points_.shape(0), count = queries.shape(0);
    std::vector<Index> nearest(static_cast<std::size_t>(count * k));
    std::vector<float> closeness(static_cast<std::size_t>(block * n));
    for (Index first = 0; first < count; first += block) {
      const Index rows = std::min(block, count - first);
      kernels::gemm(Trans::no, Trans::yes, rows, n, width_, queries.data() + first * width_, width_,
                    points_.data(), width_, closeness.data(), n, false);
      parallel_for(rows, 8, [&](Index begin, Index end) {
        std::vector<Index> order(static_cast<std::size_t>(n));
        for (Index r = begin; r < end; ++r) {
          float* row = closeness.data() + r * n;
          for (Index j = 0; j < n; ++j) row[j] -= half_squares_[static_cast<std::size_t>(j)];
          if (without_self) row[first + r] = -std::numeric_limits<float>::infinity();
          std::iota(order.begin(), order.end(), Index{0});
          std::partial_sort(order.begin(), order.begin() + k, order.end(), [row](Index a, Index b) {
            return row[a] > row[b] || (row[a] == row[b] && a < b);
          });
          std::copy_n(order.begin(), k, nearest.begin() + (first + r) * k);
        }
      });
    }
    return nearest;
  }

  void choose_k(const std::vector<Index>& candidates) {
    const Index n = points_.shape(0);
    std::vector<Index> possible;
    for (const Index k : candidates) {
      TL_CHECK(k >= 1, "[neighbours] expected at least one neighbour, got ", k);
      if (k < n) possible.push_back(k);
    }
    TL_CHECK(!possible.empty(), "[neighbours] expected a number of neighbours below that of the samples, ",
             n);
    const Index most = *std::max_element(possible.begin(), possible.end());
    const std::vector<Index> nearest = nearest_of(points_, most, true);
    leave_one_out_ = -1;
    for (const Index k : possible) {
      const double share = right_by_others(nearest, most, k);
      if (share <= leave_one_out_) continue;
      leave_one_out_ = share;
      k_ = k;
    }
  }

  double right_by_others(const std::vector<Index>& nearest, Index stride, Index k) const {
    const Index n = points_.shape(0);
    Index right = 0;
    std::vector<Index> votes(static_cast<std::size_t>(classes_));
    for (Index i = 0; i < n; ++i) {
      std::fill(votes.begin(), votes.end(), 0);
      for (Index v = 0; v < k; ++v)
        ++votes[static_cast<std::size_t>(labels_.data()[nearest[static_cast<std::size_t>(i * stride + v)]])];
      right += std::max_element(votes.begin(), votes.end()) - votes.begin() == labels_.data()[i];
    }
    return static_cast<double>(right) / static_cast<double>(n);
  }

  Distance distance_;
  Index classes_, width_ = 0, k_ = 1;
  Tensor<std::int64_t> labels_;
  Scale scale_;
  Tensor<float> points_;
  std::vector<float> half_squares_;  ///< |point|^2 / 2, 0 for cosine: x.point less this tells who is nearer
  double leave_one_out_ = 0;
};

}  // namespace tl::transfer
