// Mixup: a batch whose images are blended with each other, and the loss with them.
//
//   share ~ Beta(alpha, alpha), once a batch, the larger of it and 1 - share
//   x = share images + (1 - share) images of the partners, a random order of the same batch
//   loss = share CE(x, labels) + (1 - share) CE(x, the partners' labels)
//
// Source: Zhang et al. 2018, https://arxiv.org/abs/1710.09412. As fastai does, the larger share stays with an
// image's own label, so that the accuracy in training means something.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/data/loader.hpp>

namespace tl::train {

/// A blended batch.
struct Mixed {
  Tensor<float> images;                 ///< as the batch's, or its features
  Tensor<std::int64_t> partner_labels;  ///< (N)
  float share = 1;                      ///< of the batch's own images and labels, in [0.5, 1]
};

/// The random numbers of a step's mixing.
inline Rng mixup_stream(std::uint64_t seed, Index epoch, Index step) {
  return Rng(seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(step), 0x6d6978);  // "mix"
}

/// Blends each image, or row of features, with one of the same batch.
inline Mixed mix(const data::Batch& batch, double alpha, Rng rng) {
  TL_CHECK(alpha > 0 && std::isfinite(alpha), "[mixup] expected an alpha above 0, got ", alpha);
  const double drawn = rng.beta(alpha, alpha);
  std::vector<Index> partner(batch.samples.size());
  std::iota(partner.begin(), partner.end(), Index{0});
  rng.shuffle(partner);

  Mixed mixed{Tensor<float>::empty(batch.images.shape(), batch.images.layout()),
              Tensor<std::int64_t>::empty(batch.labels.shape()),
              static_cast<float>(std::max(drawn, 1 - drawn))};
  const Index width = batch.images.size() / batch.size();
  float* to = mixed.images.mutable_data();
  std::int64_t* labels = mixed.partner_labels.mutable_data();
  const float* own = batch.images.data();
  for (const Index p : partner) {
    const float* other = batch.images.data() + p * width;
    for (Index i = 0; i < width; ++i) *to++ = mixed.share * *own++ + (1 - mixed.share) * *other++;
    *labels++ = batch.labels.data()[p];
  }
  return mixed;
}

}  // namespace tl::train
