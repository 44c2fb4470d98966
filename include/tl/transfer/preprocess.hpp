// How images are prepared for a network: what its file says, or the ImageNet standard; at its size, or
// another.
#pragma once

#include <algorithm>

#include <tl/data/preprocess.hpp>
#include <tl/graph/graph.hpp>
#include <tl/io/metadata.hpp>

namespace tl::transfer {

/// The same preprocessing for images of another size: the proportion between resize and crop stays.
inline data::Preprocess with_size(data::Preprocess preprocess, Index size) {
  TL_CHECK(size >= 1, "[preprocess] expected a size of at least 1, got ", size);
  const data::Size target{size, size};
  const std::optional<data::Size> before = preprocess.fixed_size();
  if (preprocess.resize_exact) {
    preprocess.resize_exact = target;
    if (preprocess.crop) preprocess.crop = target;
    return preprocess;
  }
  if (preprocess.resize_short && before) {
    const Index shorter = std::min(before->height, before->width);
    preprocess.resize_short = std::max(size, (*preprocess.resize_short * size + shorter / 2) / shorter);
  } else {
    preprocess.resize_short = size;
  }
  preprocess.crop = target;
  return preprocess;
}

/// How images are prepared for a network.
struct NetworkPreprocess {
  data::Preprocess steps;  ///< what is done
  bool assumed = false;    ///< the network does not say: torchvision's for ImageNet, at the size it declares
};

/// What the network's metadata say, or else torchvision's for ImageNet at the size that it declares.
template <class T>
NetworkPreprocess preprocess_of(const Graph<T>& graph) {
  const std::string own = io::preprocess_spec(graph.metadata);
  if (!own.empty()) return {data::Preprocess::parse(own)};
  NetworkPreprocess result{data::Preprocess::imagenet(), true};
  const Shape declared = graph.inputs().empty() ? Shape{} : graph.value(graph.inputs()[0]).shape;
  if (declared.rank() == 4 && declared[2] > 0 && declared[2] == declared[3])
    result.steps = with_size(result.steps, declared[2]);
  return result;
}

}  // namespace tl::transfer
