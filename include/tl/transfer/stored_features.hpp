// The features of a whole data set, computed once: in memory, in a file, or kept between runs.
//
//   image -> (augmentation, K views) -> frozen prefix -> rows -> batches for the layers that are trained
//
// While nothing below a value is trained, an image gives the same features in every epoch. With K views each
// image is varied K times, and epoch e trains on view e mod K.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/core/process_group.hpp>
#include <tl/core/rng.hpp>
#include <tl/data/loader.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/transfer/feature_cache.hpp>
#include <tl/transfer/features.hpp>

namespace tl::transfer {

/// Features of the images of a data set, in one or more varied views.
struct StoredFeatures {
  std::shared_ptr<const FeatureRows> rows;  ///< of image i in view v: row v * samples.size() + i
  std::vector<std::int64_t> labels;         ///< of the images
  std::vector<Index> samples;               ///< indices of the images into the data set
  Index views = 1;                          ///< how many variations of each image

  Index images() const { return static_cast<Index>(samples.size()); }  ///< how many
  /// Of all rows.
  std::size_t bytes() const { return static_cast<std::size_t>(rows->count()) * rows->format().bytes(); }

  /// All of them, view after view.
  Features in_memory() const {
    const Index n = rows->count();
    Features all{Tensor<float>::empty(rows->format().batch_shape(n), rows->format().layout),
                 Tensor<std::int64_t>::empty({n}),
                 {}};
    float* to = all.values.mutable_data();
    std::int64_t* label = all.labels.mutable_data();
    for (Index row = 0; row < n; ++row, to += rows->format().size()) {
      rows->copy(row, to);
      const auto image = static_cast<std::size_t>(row % images());
      *label++ = labels[image];
      all.samples.push_back(samples[image]);
    }
    return all;
  }

  /// One view, of features in memory.
  static StoredFeatures of(const Features& features) {
    return {std::make_shared<MemoryRows>(std::vector{features.values}),
            {features.labels.span().begin(), features.labels.span().end()},
            features.samples};
  }
};

/// How features are computed and where they are kept.
struct StoreOptions {
  Index batch_size = 32;                          ///< images that go through the network together
  Index views = 1;                                ///< variations of each image, at least 1
  data::Augment augment = data::Augment::none();  ///< how views are varied
  std::uint64_t seed = 0;                         ///< of the variations
  bool strict = false;                            ///< a broken image is an error
  std::size_t memory = std::size_t{512} << 20;    ///< bytes; more than that goes to a temporary file
  std::filesystem::path cache{};                  ///< a folder for features kept between runs; none: no such
  ProcessGroup* group = nullptr;                  ///< each process computes a part, and all get all rows
  std::function<void(Index rows)> on_rows{};      ///< told how many are there, of views times images
  std::function<bool()> should_stop{};            ///< asked after every batch
};

/// What store_features brought.
struct StoreResult {
  StoredFeatures features;             ///< without rows when it was stopped
  std::vector<data::Skipped> skipped;  ///< images that could not be read
  Index computed = 0;                  ///< rows; the others were in the cache
  bool stopped = false;                ///< by should_stop
};

namespace stored_features_impl {

inline std::string description(const data::Augment& a) {
  return concat(static_cast<int>(a.crop), ' ', a.scale[0], ' ', a.scale[1], ' ', a.ratio[0], ' ', a.ratio[1],
                ' ', a.padding, ' ', a.flip, ' ', a.rotation, ' ', a.brightness, ' ', a.contrast, ' ',
                a.saturation);
}

/// The hash of all that the features of an image depend on beside the image.
template <class T>
Sha256Digest recipe(const Model<T>& network, const data::Preprocess& preprocess, const StoreOptions& o) {
  Graph<T> bare = network.graph();
  bare.metadata.clear();
  std::string text = concat("decoder ", data::decoder_version, "\npreprocess ", preprocess.to_string(),
                            "\nkernels ", kernels::name_of(kernels::active_isa()), '\n');
  if (!o.augment.does_nothing()) text += concat("augment ", description(o.augment), " seed ", o.seed, '\n');
  Sha256 weights;
  onnx::write<T>(bare, [&weights](std::string_view piece) { weights.add(piece); });
  text += "network " + hex(weights.finish());
  return sha256(text);
}

/// The hash of each file; of one that cannot be read, nothing.
inline std::vector<std::optional<Sha256Digest>> hashes(const data::Dataset& images) {
  std::vector<std::optional<Sha256Digest>> result(images.samples.size());
  parallel_for(images.size(), 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const auto k = static_cast<std::size_t>(i);
      try {
        result[k] = sha256(read_file(images.samples[k].path, data::most_file_bytes));
      } catch (const std::exception&) {
        // The loader will meet it again and say what is wrong.
      }
    }
  });
  return result;
}

template <class T>
class Store {
 public:
  Store(const Model<T>& network, const data::Dataset& images, const data::Preprocess& preprocess,
        const StoreOptions& options)
      : network_(network), images_(images), preprocess_(preprocess), o_(options) {
    TL_CHECK(o_.views >= 1 && (o_.views == 1 || !o_.augment.does_nothing()),
             "[features] expected one view of images that are not varied, got ", o_.views);
    TL_CHECK(o_.group == nullptr || o_.cache.empty(),
             "a folder that keeps features is for one process: leave it out, or start one process only");
  }

  StoreResult run() {
    if (o_.cache.empty()) {
      collect();
    } else {
      reuse();
    }
    result_.features.views = o_.views;
    for (const Index i : result_.features.samples)
      result_.features.labels.push_back(images_.samples[static_cast<std::size_t>(i)].label);
    return std::move(result_);
  }

 private:
  /// Computes everything, in the order of the data set.
  void collect() {
    RowCollector rows(o_.memory, std::filesystem::temp_directory_path());
    for (Index view = 0; view < o_.views; ++view) {
      std::vector<Index> samples;
      if (!(o_.group != nullptr ? compute_together(view, rows, samples)
                                : compute_into(view, {}, rows, samples)))
        return;
      TL_CHECK(view == 0 || samples == result_.features.samples,
               "images became unreadable while they were read: try again");
      result_.features.samples = std::move(samples);
    }
    result_.features.rows = rows.finish();
  }

  bool compute_into(Index view, std::vector<Index> only, RowCollector& rows, std::vector<Index>& samples) {
    return compute(view, std::move(only), [&](const data::Batch& batch, const Tensor<float>& values) {
      rows.append(values);
      samples.insert(samples.end(), batch.samples.begin(), batch.samples.end());
    });
  }

  /// Every process computes the rows of some neighbouring images, and all get all of them.
  bool compute_together(Index view, RowCollector& rows, std::vector<Index>& samples) {
    ProcessGroup& group = *o_.group;
    const Share share = Share::of(o_.group);
    std::vector<Index> part(
        static_cast<std::size_t>(share.end(images_.size()) - share.begin(images_.size())));
    std::iota(part.begin(), part.end(), share.begin(images_.size()));
    RowCollector own(o_.memory / static_cast<std::size_t>(share.count),
                     std::filesystem::temp_directory_path());
    std::vector<Index> own_samples;
    const bool done = part.empty() || compute_into(view, part, own, own_samples);
    result_.stopped = any(group, !done);
    if (result_.stopped) return false;
    if (view == 0) share_skipped();
    samples = gather(group, own_samples);
    result_.computed += static_cast<Index>(samples.size()) - own.count();
    const std::vector<Index> counts = gather(group, std::vector<Index>{own.count()});
    const std::shared_ptr<const FeatureRows> own_rows = own.count() > 0 ? own.finish() : nullptr;
    std::vector<RowFormat> formats;
    if (own_rows) formats.push_back(own_rows->format());
    formats = gather(group, formats);
    for (int rank = 0; rank < group.size(); ++rank) {
      const Index count = counts[static_cast<std::size_t>(rank)];
      for (Index begin = 0; begin < count; begin += o_.batch_size) {
        const RowFormat& format = formats[0];
        const Index n = std::min(o_.batch_size, count - begin);
        Tensor<float> batch = Tensor<float>::empty(format.batch_shape(n), format.layout);
        float* to = batch.mutable_data();
        for (Index i = 0; rank == group.rank() && i < n; ++i)
          own_rows->copy(begin + i, to + i * format.size());
        group.broadcast(std::as_writable_bytes(std::span(to, static_cast<std::size_t>(batch.size()))), rank);
        rows.append(batch);
      }
    }
    return true;
  }
  /// The images that any process could not read.
  void share_skipped() {
    std::string mine;
    for (const data::Skipped& s : result_.skipped) mine += concat(s.path.string(), '\0', s.reason, '\0');
    result_.skipped.clear();
    for (const std::string& list : gather_texts(*o_.group, mine)) {
      for (std::size_t at = 0; at < list.size();) {
        const char* path = list.c_str() + at;
        const char* reason = path + std::strlen(path) + 1;
        at = static_cast<std::size_t>(reason - list.c_str()) + std::strlen(reason) + 1;
        result_.skipped.push_back({path, reason});
      }
    }
  }

  /// Computes what the cache does not hold.
  void reuse() {
    FeatureCache cache(o_.cache, recipe(network_, preprocess_, o_));
    const std::vector<std::optional<Sha256Digest>> hash = hashes(images_);
    const auto key = [&](Index view, Index sample) {
      const Sha256Digest& image = *hash[static_cast<std::size_t>(sample)];
      if (o_.augment.does_nothing()) return image;
      return sha256(concat(hex(image), ' ', view, ' ', sample));  // the random numbers are the sample's
    };
    const auto is_there = [&](Index view, Index i) {
      return hash[static_cast<std::size_t>(i)] && cache.contains(key(view, i));
    };
    for (Index view = 0; view < o_.views; ++view) {
      std::vector<Index> missing;
      for (Index i = 0; i < images_.size(); ++i)
        if (!is_there(view, i)) missing.push_back(i);
      rows_ += images_.size() - static_cast<Index>(missing.size());
      if (missing.empty()) continue;
      const bool done = compute(view, missing, [&](const data::Batch& batch, const Tensor<float>& values) {
        std::vector<FeatureCache::Key> keys;
        for (const Index i : batch.samples) {
          TL_CHECK(hash[static_cast<std::size_t>(i)], "'",
                   images_.samples[static_cast<std::size_t>(i)].path.string(),
                   "' changed while it was read: try again");
          keys.push_back(key(view, i));
        }
        cache.append(keys, values);
      });
      cache.flush();
      if (!done) return;
    }
    std::vector<FeatureCache::Key> keys;
    for (Index i = 0; i < images_.size(); ++i)
      if (is_there(0, i)) result_.features.samples.push_back(i);
    for (Index view = 0; view < o_.views; ++view)
      for (const Index i : result_.features.samples) keys.push_back(key(view, i));
    result_.features.rows = cache.rows(keys);
  }

  /// Gives the rows of some images (none: all) batch by batch. False when it was stopped.
  template <class Take>
  bool compute(Index view, std::vector<Index> only, const Take& take) {
    data::LoaderOptions options{.batch_size = o_.batch_size, .strict = o_.strict, .seed = o_.seed};
    options.augment = o_.augment;
    options.only = std::move(only);
    const data::Loader loader(images_, preprocess_, options);
    for (data::Batch& batch : loader.epoch(static_cast<std::uint64_t>(view))) {
      take(batch, network_.predict(batch.images));
      rows_ += batch.size();
      result_.computed += batch.size();
      if (o_.on_rows) o_.on_rows(std::min(rows_ * Share::of(o_.group).count, o_.views * images_.size()));
      result_.stopped = o_.should_stop && o_.should_stop();
      if (result_.stopped) return false;
    }
    if (view == 0) result_.skipped = loader.skipped();
    return true;
  }

  const Model<T>& network_;
  const data::Dataset& images_;
  const data::Preprocess& preprocess_;
  const StoreOptions& o_;
  StoreResult result_;
  Index rows_ = 0;
};

}  // namespace stored_features_impl

/// What a network makes of every image. Throws tl::Error when none can be read.
template <std::same_as<float> T>
StoreResult store_features(const Model<T>& network, const data::Dataset& images,
                           const data::Preprocess& preprocess, const StoreOptions& options = {}) {
  return stored_features_impl::Store<T>(network, images, preprocess, options).run();
}

/// Batches of features: what data::Loader is for images.
class FeatureLoader {
 public:
  /// How batches are made.
  struct Options {
    Index batch_size = 32;   ///< rows, at least 1
    bool shuffle = false;    ///< in an order of each epoch's own
    std::uint64_t seed = 0;  ///< of the order
    Share share{};           ///< of each batch
  };

  /// Throws for a batch size below 1.
  FeatureLoader(StoredFeatures features, data::Dataset dataset, const Options& options)
      : features_(std::move(features)), dataset_(std::move(dataset)), options_(options) {
    TL_CHECK(options.batch_size >= 1, "[features] expected a batch size of at least 1, got ",
             options.batch_size);
  }
  /// The same for features in memory.
  FeatureLoader(const Features& features, data::Dataset dataset, const Options& options)
      : FeatureLoader(StoredFeatures::of(features), std::move(dataset), options) {}

  /// A pass over the rows of one view, a batch at a time.
  class Epoch {
   public:
    class Iterator {
     public:
      explicit Iterator(Epoch* epoch) : epoch_(epoch) { ++*this; }
      data::Batch& operator*() const { return batch_; }
      Iterator& operator++() {
        if (epoch_->position_ == epoch_->order_.size()) {
          epoch_ = nullptr;
        } else {
          batch_ = epoch_->next();
        }
        return *this;
      }
      bool operator==(std::default_sentinel_t) const { return epoch_ == nullptr; }

     private:
      Epoch* epoch_;
      mutable data::Batch batch_{};
    };

    /// Made by FeatureLoader::epoch; throws for a batch that is not there.
    Epoch(const FeatureLoader& loader, Index view, std::vector<Index> order, Index first_batch)
        : loader_(&loader), view_(view), order_(std::move(order)), given_(first_batch) {
      TL_CHECK(first_batch >= 0 && first_batch <= loader.batches(),
               "[features] expected to begin with one of ", loader.batches(), " batches, got ", first_batch);
      position_ = std::min(static_cast<std::size_t>(first_batch * loader.options_.batch_size), order_.size());
    }
    Iterator begin() { return Iterator(this); }         ///< to be called once
    std::default_sentinel_t end() const { return {}; }  ///< behind the last batch

    /// Batches of this epoch up to the one that was given last.
    Index batches_given() const { return given_; }

   private:
    data::Batch next() {
      const std::span<const Index> left = std::span(order_).subspan(position_);
      const Index n = std::min(static_cast<Index>(left.size()), loader_->options_.batch_size);
      const auto begin = static_cast<std::size_t>(loader_->options_.share.begin(n));
      const auto end = static_cast<std::size_t>(loader_->options_.share.end(n));
      data::Batch batch = loader_->gather(view_, left.subspan(begin, end - begin));
      position_ += static_cast<std::size_t>(n);
      ++given_;
      return batch;
    }

    const FeatureLoader* loader_;
    Index view_;
    std::vector<Index> order_;
    Index given_;  ///< batches
    std::size_t position_ = 0;
  };

  /// The batches of an epoch, from one of them on; its number decides their view and their order.
  Epoch epoch(std::uint64_t number, Index first_batch = 0) const {
    std::vector<Index> order(features_.samples.size());
    std::iota(order.begin(), order.end(), Index{0});
    if (options_.shuffle) Rng(options_.seed, number).shuffle(order);
    return Epoch(*this, static_cast<Index>(number % static_cast<std::uint64_t>(features_.views)),
                 std::move(order), first_batch);
  }

  const data::Dataset& dataset() const { return dataset_; }  ///< whose images the features are of
  /// Of an epoch.
  Index batches() const { return (features_.images() + options_.batch_size - 1) / options_.batch_size; }

 private:
  data::Batch gather(Index view, std::span<const Index> images) const {
    const RowFormat& format = features_.rows->format();
    const Index n = static_cast<Index>(images.size());
    data::Batch batch{
        Tensor<float>::empty(format.batch_shape(n), format.layout), Tensor<std::int64_t>::empty({n}), {}};
    float* to = batch.images.mutable_data();
    std::int64_t* labels = batch.labels.mutable_data();
    for (const Index image : images) {
      features_.rows->copy(view * features_.images() + image, to);
      to += format.size();
      *labels++ = features_.labels[static_cast<std::size_t>(image)];
      batch.samples.push_back(features_.samples[static_cast<std::size_t>(image)]);
    }
    return batch;
  }

  StoredFeatures features_;
  data::Dataset dataset_;
  Options options_;
};

}  // namespace tl::transfer
