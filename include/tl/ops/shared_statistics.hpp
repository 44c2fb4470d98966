// SharedStatistics: batch normalisation over the batches of all processes of a group.
//
//   M = sum_p M_p      mean = sum_p M_p mean_p / M      var = sum_p M_p (var_p + mean_p^2) / M - mean^2
//
// The sums are made in double, where the difference loses nothing that a float's variance has. Also known as
// synchronised or cross-GPU batch normalisation (Peng et al. 2018, https://arxiv.org/abs/1711.07240).
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include <tl/core/process_group.hpp>

namespace tl::ops {

/// While one with a group lives on a thread, batch normalisations in training on that thread share mean and
/// variance; forward and backward pass must both be in its scope, in every process.
class SharedStatistics {
 public:
  /// Null: statistics are each process's own.
  explicit SharedStatistics(ProcessGroup* group) : before_(current()) { current() = group; }
  SharedStatistics(const SharedStatistics&) = delete;
  SharedStatistics& operator=(const SharedStatistics&) = delete;
  ~SharedStatistics() { current() = before_; }

  /// Null where statistics are the process's own.
  static ProcessGroup*& current() {
    thread_local ProcessGroup* group = nullptr;
    return group;
  }

 private:
  ProcessGroup* before_;
};

/// Makes mean and biased variance (C) of this process's rows those of all processes; returns how many rows
/// these have.
template <class T>
Index share_statistics(ProcessGroup& group, Index rows, std::span<T> mean, std::span<T> var) {
  const std::size_t channels = mean.size();
  std::vector<double> sums(2 * channels + 1);
  const auto own_rows = static_cast<double>(rows);
  for (std::size_t c = 0; c < channels; ++c) {
    const auto m = static_cast<double>(mean[c]);
    sums[c] = own_rows * m;
    sums[channels + c] = own_rows * (static_cast<double>(var[c]) + m * m);
  }
  sums.back() = own_rows;
  group.sum(std::span<double>(sums));
  for (std::size_t c = 0; c < channels; ++c) {
    const double m = sums[c] / sums.back();
    mean[c] = static_cast<T>(m);
    var[c] = static_cast<T>(std::max(0.0, sums[channels + c] / sums.back() - m * m));
  }
  return static_cast<Index>(sums.back());
}

}  // namespace tl::ops
