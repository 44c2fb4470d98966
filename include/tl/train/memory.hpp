// How much memory a fine-tuning takes, before it begins (train/fine_tune.hpp).
//
//   the head on features     frozen part without a tape, rows of features, what the classifier computes
//   the layers below it too  forward and backward, gradients, the optimiser's memory, batches made ahead
//
// Kept images and features are not in it: fine_tune gives them what is left.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/memory_fit.hpp>
#include <tl/graph/memory.hpp>
#include <tl/train/fine_tune_options.hpp>
#include <tl/transfer/features.hpp>
#include <tl/transfer/layers.hpp>

namespace tl::train {

/// What loaders take at most: of the largest of some photos what decoding it takes, and the decoded ones that
/// the loader's threads hold; for a batch, those in the making and the one in use.
class LoaderMemory {
 public:
  /// Photos that cannot be read count nothing.
  explicit LoaderMemory(const data::Dataset& photos, const data::LoaderOptions& options = {})
      : batches_(options.ahead + 1) {
    constexpr Index most_looked_at = 16;
    std::size_t decoding = 0, image = 0;
    const Index step = (photos.size() + most_looked_at - 1) / most_looked_at;
    for (Index i = 0; i < photos.size(); i += step) {
      try {
        const std::string file =
            read_file(photos.samples[static_cast<std::size_t>(i)].path, data::most_file_bytes);
        const data::Bytes bytes{reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
        const data::ImageHeader header = data::read_image_header(bytes, options.decode.max_pixels);
        const std::size_t needed = data::decoding_bytes(bytes, header);
        if (needed > MemoryPool::instance().limit()) continue;  // it will be left out
        decoding = std::max(decoding, needed);
        image = std::max(
            image, static_cast<std::size_t>(data::Image::channels * header.size.height * header.size.width));
      } catch (const Error&) {  // the loader will name it
      }
    }
    photos_ = decoding + image * static_cast<std::size_t>(data::decoding_threads(options.threads));
  }
  /// With batches of this shape, (N,3,H,W), in the making, and photos being decoded.
  std::size_t bytes(const Shape& batch) const {
    return photos_ + static_cast<std::size_t>(batches_ * batch.size()) * sizeof(float);
  }

 private:
  Index batches_;
  std::size_t photos_ = 0;
};

/// Of one network, method and set of options; made once for any size of batches and images. Nothing of the
/// network is changed.
template <std::same_as<float> T>
class FineTuneMemory {
 public:
  /// `example` is the shape of one image, (1,3,H,W); `photos` are those to train with.
  FineTuneMemory(const Model<T>& model, const FineTuneOptions& o, const Shape& example,
                 const data::Dataset& photos)
      : before_(MemoryPool::instance().bytes_in_use()), o_(o), photos_(photos.size()), loader_(photos) {
    const transfer::MethodKind kind = o.method.kind;
    const bool head_alone = kind == transfer::MethodKind::features || kind == transfer::MethodKind::head;
    if (head_alone || (o.head_first && kind != transfer::MethodKind::gradual)) {
      const Model<T> copy(with_own_switches(model.graph()));
      transfer::freeze_all_but_last(copy, 1);
      stages_.push_back(stage(copy, transfer::frozen_cut(copy.graph()), example, true));
    }
    if (!head_alone) {
      const Model<T> copy(with_own_switches(model.graph()));
      transfer::freeze_for(copy, o.method);
      if (o.freeze_batch_norm) transfer::freeze_batch_norm(copy);
      const data::Augment augment = o.augment.value_or(data::Augment{});
      const bool keeps_features = o.views > 0 || augment.does_nothing();
      stages_.push_back(stage(copy,
                              keeps_features ? transfer::frozen_cut(copy.graph()) : copy.graph().inputs()[0],
                              example, false));
      if (o.keep_best && o.head_first) stages_.back().kept += snapshot_bytes(model);
    }
  }

  /// Bytes in use at most at one time, with what was in use before. Throws for images that the network does
  /// not take.
  std::size_t bytes(const BatchSize& size) const {
    const Shape x{size.images, data::Image::channels, size.height, size.width};
    std::size_t most = 0;
    for (const Stage& stage : stages_) most = std::max(most, bytes(stage, x));
    return before_ + most;
  }

 private:
  struct Stage {
    std::unique_ptr<Graph<T>> prefix{};  ///< none: images go through the whole network
    std::optional<RunMemory<T>> features{}, training{}, inference{};
    std::size_t kept = 0;    ///< the optimiser's memory, copies of the best epoch
    bool fits_rows = false;  ///< features of all photos are looked at together
  };

  /// The same weights, whose freezing does not freeze them in the original.
  static Graph<T> with_own_switches(Graph<T> graph) {
    for (ValueId id = 0; id < static_cast<ValueId>(graph.values().size()); ++id) {
      Var<T>& var = graph.value(id).var;
      if (var.defined()) var = Var<T>(var.value(), var.requires_grad());
    }
    return graph;
  }
  static std::size_t snapshot_bytes(const Model<T>& model) {
    Index elements = 0;
    for (const nn::Named<T>& p : model.parameters()) elements += p.var.shape().size();
    for (const nn::Named<T>& b : model.buffers()) elements += b.var.shape().size();
    return static_cast<std::size_t>(elements) * sizeof(T);
  }

  Stage stage(const Model<T>& model, ValueId cut, const Shape& example, bool head) const {
    using Pass = typename RunMemory<T>::Pass;
    Stage s;
    const Graph<T>* trained = &model.graph();
    std::optional<transfer::SplitModel<T>> parts;
    if (cut != model.graph().inputs()[0]) {
      parts.emplace(transfer::split_at(model.graph(), cut, example));
      s.prefix = std::make_unique<Graph<T>>(parts->prefix->graph());
      s.features.emplace(*s.prefix, Pass::inference);
      trained = &parts->rest->graph();
    }
    s.training.emplace(*trained, Pass::training);
    s.inference.emplace(*trained, Pass::inference);
    const std::size_t copies = o_.optimiser == OptimiserKind::adamw ? 2 : 1;
    s.kept = copies * static_cast<std::size_t>(transfer::trainable_elements(model)) * sizeof(T);
    if (o_.keep_best) s.kept += snapshot_bytes(model);
    s.fits_rows = head;
    return s;
  }

  std::size_t bytes(const Stage& s, const Shape& images) const {
    if (!s.prefix) {
      MemoryNeed need = s.training->need(images).then(s.inference->need(images));
      need.values += loader_.bytes(images) + (o_.mixup > 0 ? size_of(images) : 0);
      return need.bytes() + s.kept;
    }
    const Shape rows =
        s.prefix->infer(std::span(&images, 1))[static_cast<std::size_t>(s.prefix->outputs()[0])];
    MemoryNeed need = s.features->need(images);
    need.values += loader_.bytes(images);
    MemoryNeed rest = s.training->need(rows).then(s.inference->need(rows));
    rest.values += (o_.mixup > 0 ? 3 : 2) * size_of(rows);
    if (s.fits_rows && rows.rank() == 2) rest.values = std::max(rest.values, classifier_bytes(rows[1]));
    return need.then(rest).bytes() + s.kept;
  }
  static std::size_t size_of(const Shape& shape) {
    return static_cast<std::size_t>(shape.size()) * sizeof(T);
  }

  /// Of the features of all photos together: themselves, and about what ridge regression makes of them.
  std::size_t classifier_bytes(Index width) const {
    const bool fits_head = o_.method.kind == transfer::MethodKind::features;
    const auto n = static_cast<std::size_t>(photos_ * (fits_head ? std::max<Index>(1, o_.views) : 1));
    const auto d = static_cast<std::size_t>(width), least = std::min(n, d);
    return n * d * (sizeof(float) + 3 * sizeof(double)) + 3 * least * least * sizeof(double);
  }

  std::size_t before_;
  const FineTuneOptions& o_;
  Index photos_;
  LoaderMemory loader_;
  std::vector<Stage> stages_;
};

}  // namespace tl::train
