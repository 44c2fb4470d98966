// Where a loader's threads get their images from: files, or memory once they were decoded.
//
// What happens to an image depends on (seed, epoch, sample) alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tl/core/process_group.hpp>
#include <tl/data/augment.hpp>
#include <tl/data/decode.hpp>
#include <tl/data/folder.hpp>
#include <tl/data/preprocess.hpp>

namespace tl::data {

/// How a Loader makes batches.
struct LoaderOptions {
  Index batch_size = 32;         ///< images, at least 1
  bool shuffle = false;          ///< in an order of each epoch's own
  bool drop_last = false;        ///< leave out a last batch of fewer than batch_size samples
  bool strict = false;           ///< a broken image is an error
  std::vector<Index> only = {};  ///< the samples to visit, as indices; none: all
  Share share = {};        ///< of each batch; then batches of no image are given too, in step with others
  std::uint64_t seed = 0;  ///< of order and augmentation
  std::optional<Augment> augment = {};  ///< none: images as in evaluation
  int threads = 0;                      ///< that decode; 0: one for each processor, at most 8
  Index ahead = 3;                      ///< batches in the making at one time
  /// Keep decoded images in so many bytes of memory, so that later epochs need not decode them again. With an
  /// augmentation, images are kept (and used from the start) with their shorter side at most `cache_side`.
  std::size_t cache_bytes = 0;
  Index cache_side = 0;       ///< 0: a quarter more than the preprocessing resizes to
  DecodeOptions decode = {};  ///< how files become pixels
};

/// How many threads decode; 0 stands for one for each processor, at most 8.
inline int decoding_threads(int wanted) {
  return wanted > 0 ? wanted : std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 8);
}

namespace loader_impl {

/// Decoded images kept between epochs, up to a limit.
class ImageCache {
 public:
  ImageCache(std::size_t samples, std::size_t max_bytes)
      : images_(max_bytes > 0 ? samples : 0), free_(max_bytes) {}

  std::shared_ptr<const Image> find(Index sample) {
    if (images_.empty()) return nullptr;
    const std::lock_guard lock(mutex_);
    return images_[static_cast<std::size_t>(sample)];
  }
  void keep(Index sample, const std::shared_ptr<const Image>& image) {
    if (images_.empty()) return;
    const auto bytes = static_cast<std::size_t>(image->bytes());
    const std::lock_guard lock(mutex_);
    auto& place = images_[static_cast<std::size_t>(sample)];
    if (place || bytes > free_) return;
    free_ -= bytes;
    place = image;
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Image>> images_;
  std::size_t free_;
};

/// What all epochs of a loader share.
struct Source {
  Dataset dataset;
  Preprocess preprocess;
  LoaderOptions options;
  Augment augment;
  Normaliser normalise;
  ImageCache cache;
  Size size;  ///< of the images of a batch
  std::mutex mutex;
  std::map<Index, std::string> broken;  ///< reasons by sample; guarded by mutex

  Source(Dataset data, const Preprocess& steps, const LoaderOptions& choices)
      : dataset(std::move(data)),
        preprocess(steps),
        options(choices),
        augment(choices.augment.value_or(Augment::none())),
        normalise(steps),
        cache(dataset.samples.size(), choices.cache_bytes) {
    TL_CHECK(!dataset.empty(), "[loader] expected at least one image");
    TL_CHECK(options.batch_size >= 1, "[loader] expected a batch size of at least 1, got ",
             options.batch_size);
    TL_CHECK(options.threads >= 0 && options.threads <= 1024, "[loader] expected 0 to 1024 threads, got ",
             options.threads);
    TL_CHECK(options.ahead >= 1, "[loader] expected at least 1 batch ahead, got ", options.ahead);
    for (const Index i : options.only)
      TL_CHECK(i >= 0 && i < dataset.size(), "[loader] expected samples below ", dataset.size(), ", got ", i);
    const auto visited = static_cast<Index>(samples().size());
    TL_CHECK(!options.drop_last || visited >= options.batch_size, "[loader] ", visited,
             " images do not fill one batch of ", options.batch_size, ": choose a smaller batch size");
    preprocess.check();
    augment.check();
    size = preprocess.fixed_size() ? *preprocess.fixed_size() : size_of_first();
  }

  /// The samples of an epoch, before they are shuffled.
  std::vector<Index> samples() const {
    if (!options.only.empty()) return options.only;
    std::vector<Index> all(dataset.samples.size());
    std::iota(all.begin(), all.end(), Index{0});
    return all;
  }

  const std::filesystem::path& path(Index i) const {
    return dataset.samples[static_cast<std::size_t>(i)].path;
  }

  /// Where the preprocessing leaves the size to the images: that of the first one that can be read.
  Size size_of_first() const {
    std::string reason;
    for (Index i = 0; i < dataset.size(); ++i) {
      try {
        return preprocess.output_size(read_image(path(i), options.decode).size());
      } catch (const Error& error) {
        if (reason.empty()) reason = error.what();
      }
    }
    fail("none of ", dataset.size(), " images can be read; the first: ", reason);
  }

  /// The decoded image, ready to be cut at random or, where nothing is cut at random, at its final place.
  std::shared_ptr<const Image> prepared(Index i) {
    if (auto kept = cache.find(i)) return kept;
    Image image = read_image(path(i), options.decode);
    if (augment.crop != AugmentCrop::random_resized) {
      image = preprocess.geometry(image);
    } else if (options.cache_bytes > 0) {
      const Index usual = preprocess.resize_short.value_or(std::max(size.height, size.width));
      const Index side = options.cache_side > 0 ? options.cache_side : usual + usual / 4;
      if (std::min(image.height(), image.width()) > side)
        image = resize_short_side(image, side, preprocess.filter);
    }
    auto shared = std::make_shared<const Image>(std::move(image));
    cache.keep(i, shared);
    return shared;
  }

  /// Writes the normalised pixels of a sample, as they are in this epoch.
  void finish(const Image& image, Index i, std::uint64_t epoch, float* slot) const {
    const AugmentKey key{options.seed, epoch, static_cast<std::uint64_t>(i)};
    const bool cut = augment.crop == AugmentCrop::random_resized;
    TL_CHECK(cut || image.size() == size, "[loader] '", path(i).string(), "' comes out at ", image.size(),
             " pixels, other images at ", size, ": give crop= or resize=HxW in the preprocessing");
    if (augment.does_nothing()) {
      normalise(image, slot);
    } else {
      normalise(augment.vary(cut ? augment.place(image, preprocess, size, key) : image.clone(), key), slot);
    }
  }
};

}  // namespace loader_impl

}  // namespace tl::data
