// Splits of a data set into training and validation images: seeded, stratified by class, and never with the
// same picture on both sides.
//
// Files of the same bytes form a group (SHA-256), and groups move as one. A picture that stands under two
// labels says nothing about accuracy: hold_out() keeps such groups for training.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>
#include <tl/core/rng.hpp>
#include <tl/core/sha256.hpp>
#include <tl/data/folder.hpp>

namespace tl::data {

/// Indices of samples, ascending.
struct Split {
  std::vector<Index> train;  ///< to learn from
  std::vector<Index> valid;  ///< to measure with
};

/// Samples of the same bytes together, each group ascending, groups by their first sample. Files that cannot
/// be read stand alone. Only files of equal size are read.
inline std::vector<std::vector<Index>> duplicate_groups(const Dataset& dataset) {
  std::map<std::uintmax_t, std::vector<Index>> by_size;
  for (Index i = 0; i < dataset.size(); ++i) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(dataset.samples[static_cast<std::size_t>(i)].path, error);
    by_size[error ? static_cast<std::uintmax_t>(-1) : bytes].push_back(i);
  }
  std::vector<std::vector<Index>> groups;
  for (const auto& [bytes, samples] : by_size) {
    std::map<Sha256Digest, std::vector<Index>> by_hash;
    for (Index i : samples) {
      if (samples.size() > 1 && bytes != static_cast<std::uintmax_t>(-1)) {
        try {
          by_hash[sha256(read_file(dataset.samples[static_cast<std::size_t>(i)].path))].push_back(i);
          continue;
        } catch (const Error&) {  // the loader will name it
        }
      }
      groups.push_back({i});
    }
    for (auto& [hash, same] : by_hash) groups.push_back(std::move(same));
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

namespace split_impl {

using Group = std::vector<Index>;

/// The groups of each class, shuffled by (seed, class); those with several labels apart.
struct Strata {
  std::vector<std::vector<Group>> classes;
  std::vector<Group> mixed;
};

inline Strata make_strata(const Dataset& dataset, std::uint64_t seed) {
  const auto label = [&](Index i) { return dataset.samples[static_cast<std::size_t>(i)].label; };
  Strata strata;
  strata.classes.resize(dataset.class_names.size());
  for (Group& group : duplicate_groups(dataset)) {
    TL_CHECK(label(group[0]) >= 0, "[split] expected labelled images, got '",
             dataset.samples[static_cast<std::size_t>(group[0])].path.string(), "' without a label");
    const bool pure =
        std::all_of(group.begin(), group.end(), [&](Index i) { return label(i) == label(group[0]); });
    (pure ? strata.classes[static_cast<std::size_t>(label(group[0]))] : strata.mixed)
        .push_back(std::move(group));
  }
  for (std::size_t c = 0; c < strata.classes.size(); ++c) Rng(seed, c).shuffle(strata.classes[c]);
  return strata;
}

inline Index size_of(const Group& group) { return static_cast<Index>(group.size()); }

inline void append(std::vector<Index>& to, const Group& group) {
  to.insert(to.end(), group.begin(), group.end());
}

inline void sort(Split& split) {
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.valid.begin(), split.valid.end());
}

}  // namespace split_impl

/// Holds out about `fraction` of every class for validation. A class of at least two different pictures has
/// images on both sides.
inline Split hold_out(const Dataset& dataset, double fraction = 0.2, std::uint64_t seed = 0) {
  using namespace split_impl;
  TL_CHECK(fraction > 0 && fraction < 1, "[split] expected a fraction between 0 and 1, got ", fraction);
  const Strata strata = make_strata(dataset, seed);
  Split split;
  for (const Group& group : strata.mixed) append(split.train, group);
  for (const std::vector<Group>& groups : strata.classes) {
    Index total = 0;
    for (const Group& group : groups) total += size_of(group);
    const Index wanted = std::max<Index>(1, std::llround(fraction * static_cast<double>(total)));
    const Index most = std::min(wanted, total - 1);
    std::vector<bool> held(groups.size(), false);
    Index count = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (count + size_of(groups[g]) > most) continue;
      held[g] = true;
      count += size_of(groups[g]);
    }
    if (count == 0 && groups.size() > 1) {  // all groups are larger than wanted
      const auto smallest = std::min_element(
          groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.size() < b.size(); });
      held[static_cast<std::size_t>(smallest - groups.begin())] = true;
    }
    for (std::size_t g = 0; g < groups.size(); ++g) append(held[g] ? split.valid : split.train, groups[g]);
  }
  sort(split);
  return split;
}

/// Cuts a data set into k folds; fold i validates and the others train. Every sample validates once.
inline std::vector<Split> k_folds(const Dataset& dataset, Index k, std::uint64_t seed = 0) {
  using namespace split_impl;
  TL_CHECK(k >= 2 && k <= dataset.size(), "[split] expected 2 to ", dataset.size(), " folds, got ", k);
  Strata strata = make_strata(dataset, seed);
  for (Group& group : strata.mixed) {
    const Index label = dataset.samples[static_cast<std::size_t>(group[0])].label;
    strata.classes[static_cast<std::size_t>(label)].push_back(std::move(group));
  }
  std::vector<std::vector<Index>> folds(static_cast<std::size_t>(k));
  for (const std::vector<Group>& groups : strata.classes) {
    std::vector<Index> of_class(folds.size());
    for (const Group& group : groups) {
      // The fold with the fewest of this class, and of all classes where that is a tie.
      std::size_t best = 0;
      for (std::size_t f = 1; f < folds.size(); ++f) {
        if (std::pair(of_class[f], folds[f].size()) < std::pair(of_class[best], folds[best].size())) best = f;
      }
      of_class[best] += size_of(group);
      append(folds[best], group);
    }
  }
  std::vector<Split> splits(folds.size());
  for (std::size_t i = 0; i < folds.size(); ++i) {
    for (std::size_t f = 0; f < folds.size(); ++f)
      append(f == i ? splits[i].valid : splits[i].train, folds[f]);
    sort(splits[i]);
  }
  return splits;
}

}  // namespace tl::data
