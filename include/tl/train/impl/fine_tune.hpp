// The definition of fine_tune.hpp: its stages.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tl/data/split.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/training_state.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/train/impl/identity.hpp>
#include <tl/train/impl/recipe.hpp>
#include <tl/train/memory.hpp>
#include <tl/train/snapshot.hpp>
#include <tl/transfer/head.hpp>
#include <tl/transfer/layers.hpp>
#include <tl/transfer/preprocess.hpp>
#include <tl/transfer/stored_features.hpp>

namespace tl::train {

namespace fine_tune_impl {

/// The preprocessing that was asked for, or the network's own.
template <class T>
data::Preprocess choose_preprocess(const Model<T>& model, const FineTuneOptions& o,
                                   const std::function<void(const std::string&)>& note) {
  if (o.preprocess) return *o.preprocess;
  const transfer::NetworkPreprocess own = transfer::preprocess_of(model.graph());
  if (own.assumed) {
    note("the network does not say how images are prepared: assuming the ImageNet standard, " +
         own.steps.to_string());
  }
  return own.steps;
}

/// Puts back which parameters are trained when a stage or an error ends.
template <class T>
class KeepTrainable {
 public:
  explicit KeepTrainable(const Model<T>& model) {
    for (const nn::Named<T>& p : model.parameters()) before_.emplace_back(p.var, p.var.requires_grad());
  }
  KeepTrainable(const KeepTrainable&) = delete;
  KeepTrainable& operator=(const KeepTrainable&) = delete;
  ~KeepTrainable() { restore(); }
  void restore() {
    for (auto& [var, trainable] : before_) var.set_requires_grad(trainable);
  }

 private:
  std::vector<std::pair<Var<T>, bool>> before_;
};

/// One run of fine_tune: what its stages share.
template <class T>
class Run {
 public:
  Run(Model<T>& model, const data::ImageFolder& photos, const FineTuneOptions& options)
      : model_(model), o_(options) {
    result_.preprocess = choose_preprocess(model, o_, [this](const std::string& text) { note(text); });
    divide(photos);
    data::check_trainable(result_.train_set);
    TL_CHECK(!result_.valid_set.empty(),
             "there are too few images to hold some out for validation: set some apart in train/ and valid/");
    TL_CHECK(o_.method.kind != transfer::MethodKind::features || o_.fit_head,
             "[fine_tune] expected fit_head with the method features, got none");
    TL_CHECK(o_.epochs >= 1, "[fine_tune] expected at least one epoch, got ", o_.epochs);
    const Shape logits = model.graph().infer(
        std::vector<Shape>{example()})[static_cast<std::size_t>(model.graph().outputs()[0])];
    const auto classes = static_cast<Index>(result_.train_set.class_names.size());
    TL_CHECK(logits == Shape({1, classes}), "the network gives ", logits, " for an image, but there are ",
             classes, " classes: call replace_head first");
    batch_size_ = o_.batch_size > 0 ? o_.batch_size : std::min<Index>(32, std::max<Index>(8, images() / 20));
    if (o_.on_checkpoint || o_.resume || o_.group) identity_ = identity(model_, o_, batch_size_, result_);
    if (o_.resume) check_same(identity_, o_.resume->metadata, "the checkpoint is of another training");
    if (o_.group) check_group();
  }

  FineTuneResult run() {
    keep_within_limit();
    if (o_.method.kind == transfer::MethodKind::features) {
      fit_head();
    } else {
      train();
      if (!result_.stopped) note_kept();
    }
    model_.metadata()[io::preprocess_key] = result_.preprocess.to_string();
    io::drop_reference(model_.metadata());
    return std::move(result_);
  }

 private:
  void train() {
    KeepTrainable<T> trainable(model_);
    if (o_.method.kind == transfer::MethodKind::gradual) return train_gradually(trainable);
    if (o_.head_first && o_.method.kind != transfer::MethodKind::head) {
      if (o_.resume) {
        take_up_head();
      } else {
        transfer::freeze_all_but_last(model_, 1);
        note("first the head alone");
        stage(o_.epochs, false);
        trainable.restore();
        if (result_.stopped) return;
        if (o_.keep_best) {
          with_new_head_.emplace(model_);
          head_figures_ = result_.valid;
        }
        note("then the layers below it too");
      }
    }
    transfer::freeze_for(model_, o_.method);
    if (o_.freeze_batch_norm) {
      if (const Index n = transfer::freeze_batch_norm(model_); n > 0)
        note(concat(n, " batch normalisations keep to their running statistics"));
    }
    stage(o_.epochs, true);
    if (with_new_head_ && !result_.stopped && better(*head_figures_, *result_.valid)) {
      with_new_head_->restore();
      result_.valid = head_figures_;
      result_.kept_epoch.reset();
      transfer::freeze_all_but_last(model_, 1);
      result_.trained_elements = transfer::trainable_elements(model_);
    }
  }

  /// Which network it is, where it is not the last epoch's.
  void note_kept() const {
    if (!result_.kept_epoch) {
      note("kept the network with the head alone trained: no later epoch was better on the validation");
    } else if (*result_.kept_epoch + 1 < result_.history.size()) {
      note(concat("kept epoch ", *result_.kept_epoch + 1, ", the best of the validation"));
    }
  }

  /// One more stage of the network with every epoch, from the head down.
  void train_gradually(KeepTrainable<T>& trainable) {
    const std::vector<Index> depths = transfer::stage_depths(model_, example());
    const auto unfreeze = [&](Index epoch) {
      const auto stage = std::min(static_cast<std::size_t>(epoch), depths.size() - 1);
      trainable.restore();
      if (o_.freeze_batch_norm) transfer::freeze_batch_norm(model_);
      transfer::freeze_all_but_last(model_, depths[stage]);
      return depths[stage];
    };
    note(concat("one more of ", depths.size(), " stages with every epoch"));
    before_epoch_ = [&](Index epoch) {
      note(concat("epoch ", epoch + 1, " trains the last ", unfreeze(epoch), " layers"));
      TL_CHECK(transfer::trainable_elements(model_) > 0,
               "these layers are frozen: there is nothing to train");
    };
    unfreeze(o_.epochs - 1);  // a stage decides by what is trained in its last epoch
    stage(o_.epochs, true);
  }

  /// All processes were called alike.
  void check_group() const {
    TL_CHECK(batch_size_ >= o_.group->size(), "a batch of ", batch_size_, " images cannot be shared by ",
             o_.group->size(), " processes: choose a larger one");
    std::string mine;
    for (const auto& [name, value] : identity_) mine += concat(name, '\0', value, '\0');
    const std::string first = broadcast_text(*o_.group, mine, 0);
    std::map<std::string, std::string> of_first;
    for (std::size_t at = 0; at < first.size();) {
      const std::string name = first.c_str() + at;
      of_first[name] = first.c_str() + at + name.size() + 1;
      at += name.size() + of_first[name].size() + 2;
    }
    check_same(identity_, of_first,
               concat("process ", o_.group->rank(), " has another training than the first"));
  }

  void note(const std::string& text) const {
    if (o_.on_note) o_.on_note(text);
  }
  /// Asked by all processes of a group at once: true in all when one is to stop.
  bool should_stop() {
    bool stop = o_.should_stop && o_.should_stop();
    if (o_.group) stop = any(*o_.group, stop);
    return result_.stopped = stop;
  }
  Index images() const { return result_.train_set.size(); }
  Shape example() const {
    const data::Size size = result_.preprocess.fixed_size().value_or(data::Size{224, 224});
    return {1, data::Image::channels, size.height, size.width};
  }

  void divide(const data::ImageFolder& photos) {
    if (!photos.valid.empty()) {
      result_.train_set = photos.train;
      result_.valid_set = photos.valid;
      return;
    }
    const data::Split split = data::hold_out(photos.train, o_.hold_out, o_.seed);
    result_.train_set = photos.train.subset(split.train);
    result_.valid_set = photos.train.subset(split.valid);
    note(
        concat(result_.valid_set.size(), " of ", photos.train.size(), " images are held out for validation"));
  }

  /// Refuses what would not fit into the pool's limit, before anything is computed. Images and features that
  /// are kept get what is left.
  void keep_within_limit() {
    const std::size_t limit = MemoryPool::instance().limit();
    if (limit == MemoryPool::no_limit) return;
    const FineTuneMemory<T> memory(model_, o_, example(), result_.train_set);
    const BytesOf bytes = [&memory](const BatchSize& size) { return memory.bytes(size); };
    const BatchSize wanted{std::min(batch_size_, images()), example()[2], example()[3]};
    check_fits("training", wanted, bytes);
    const std::size_t left = limit - bytes(wanted);
    image_bytes_ = std::min(image_bytes_, left);
    feature_bytes_ = std::min(feature_bytes_, left);
  }

  /// Trains what is not frozen for some epochs; those of the last stage are the result's history.
  void stage(Index epochs, bool last) {
    result_.trained_elements = std::max(result_.trained_elements, transfer::trainable_elements(model_));
    TL_CHECK(transfer::trainable_elements(model_) > 0, "every layer is frozen: there is nothing to train");
    const ValueId cut = transfer::frozen_cut(model_.graph());
    const bool has_prefix = cut != model_.graph().inputs()[0];
    const bool only_head = only_head_is_trained();
    const Index views = last ? std::min(o_.views, epochs) : 0;  // an epoch trains on one view
    data::Augment augment = data::Augment::none();
    if (last) augment = o_.augment.value_or(only_head && views == 0 ? augment : data::Augment{});
    result_.augment = augment;
    result_.frozen_hash.clear();
    result_.frozen_tensors = 0;
    std::optional<FrozenPart> frozen;
    if (has_prefix) frozen.emplace(*this, cut);
    if (has_prefix && (augment.does_nothing() || views > 0)) {
      const Stored stored = store(frozen->prefix(), augment, views);
      if (result_.stopped) return;
      if (only_head && stored.train.rows->format().shape.rank() == 2) {
        measure_features(stored.train);
        if (o_.on_cached) o_.on_cached(stored.train, stored.valid);
      }
      train_on(frozen->rest(), feature_loader(stored.train, result_.train_set, true),
               feature_loader(stored.valid, result_.valid_set, false), epochs, rate(only_head), last);
    } else {
      data::LoaderOptions train{.batch_size = batch_size_, .shuffle = true, .strict = o_.strict};
      train.share = Share::of(o_.group);
      train.seed = o_.seed;
      train.augment = augment;
      train.cache_bytes = image_bytes_ / 5 * 4;
      data::LoaderOptions valid{.batch_size = batch_size_, .strict = o_.strict, .share = train.share};
      valid.cache_bytes = image_bytes_ / 5;
      const data::Loader train_images(result_.train_set, result_.preprocess, train);
      const data::Loader valid_images(result_.valid_set, result_.preprocess, valid);
      train_on(model_, train_images, valid_images, epochs, rate(only_head), last);
      remember_skipped(train_images.skipped());
      remember_skipped(valid_images.skipped());
    }
    if (frozen) frozen->check();
  }

  /// The network below all that is trained, which must come out of a stage as it went in.
  class FrozenPart {
   public:
    FrozenPart(Run& run, ValueId cut)
        : run_(run), parts_(transfer::split_at(run.model_.graph(), cut, run.example())) {
      run_.result_.frozen_hash = transfer::weights_hash(prefix().graph());
      run_.result_.frozen_tensors =
          static_cast<Index>(prefix().parameters().size() + prefix().buffers().size());
    }
    const Model<T>& prefix() const { return *parts_.prefix; }
    Model<T>& rest() const { return *parts_.rest; }
    void check() const {
      TL_CHECK(
          transfer::weights_hash(prefix().graph()) == run_.result_.frozen_hash,
          "[fine_tune] frozen weights have changed: please report this, with the command and the network");
    }

   private:
    Run& run_;
    transfer::SplitModel<T> parts_;
  };

  /// What the network gives at a value, for the images to train and to validate with.
  struct Stored {
    transfer::StoredFeatures train, valid;
  };
  Stored store(const Model<T>& prefix, const data::Augment& augment, Index views) {
    const auto rows_of = [&](const data::Dataset& set, std::size_t memory, const data::Augment& varied) {
      transfer::StoreOptions options{.batch_size = batch_size_, .augment = varied, .seed = o_.seed};
      options.views = varied.does_nothing() ? 1 : views;
      options.strict = o_.strict;
      options.memory = memory;
      options.cache = o_.feature_cache;
      options.group = o_.group;
      options.should_stop = o_.should_stop;
      options.on_rows = [&](Index done) {
        if (o_.on_features) o_.on_features(done, options.views * set.size());
      };
      transfer::StoreResult stored = transfer::store_features(prefix, set, result_.preprocess, options);
      remember_skipped(std::move(stored.skipped));
      result_.features_computed += stored.computed;
      result_.stopped = stored.stopped;
      return std::move(stored.features);
    };
    const auto begin = std::chrono::steady_clock::now();
    Stored result;
    result.train = rows_of(result_.train_set, feature_bytes_ / 5 * 4, augment);
    if (!result_.stopped)
      result.valid = rows_of(result_.valid_set, feature_bytes_ / 5, data::Augment::none());
    result_.features_seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }
  transfer::FeatureLoader feature_loader(const transfer::StoredFeatures& features, const data::Dataset& set,
                                         bool shuffle) const {
    return {features,
            set,
            {.batch_size = batch_size_, .shuffle = shuffle, .seed = o_.seed, .share = Share::of(o_.group)}};
  }

  /// The head by options.fit_head from the features that it reads.
  void fit_head() {
    const FrozenPart frozen(*this, transfer::find_head(model_.graph()).input);
    const data::Augment augment = o_.views > 0 ? o_.augment.value_or(data::Augment{}) : data::Augment::none();
    result_.augment = augment;
    const Stored stored = store(frozen.prefix(), augment, o_.views);
    if (result_.stopped) return;
    const auto classes = static_cast<Index>(result_.train_set.class_names.size());
    transfer::LinearClassifier head = o_.fit_head(stored.train.in_memory(), classes);
    if (o_.group) {  // processors of other kinds round differently
      for (Tensor<float>* part : {&head.weight, &head.bias}) {
        const std::span<float> elements(part->mutable_data(), static_cast<std::size_t>(part->size()));
        o_.group->broadcast(std::as_writable_bytes(elements), 0);
      }
    }
    transfer::set_linear_head(model_, head.weight, head.bias);
    result_.trained_elements = head.weight.size() + head.bias.size();
    const transfer::FeatureLoader valid = feature_loader(stored.valid, result_.valid_set, false);
    result_.valid =
        o_.group ? evaluate_together(frozen.rest(), valid, *o_.group) : evaluate(frozen.rest(), valid);
    frozen.check();
  }

  template <class Loader>
  void train_on(nn::Module<T>& network, const Loader& train, const Loader& valid, Index epochs, double lr,
                bool last) {
    const bool resumed = last && o_.resume;
    if (resumed) lr = EvaluationText::number_of<double>(kept_text("run.lr"));
    const std::unique_ptr<optim::Optimiser<T>> optimiser = make_optimiser(model_, o_, lr);
    result_.lr = lr;
    FitOptions fit_options{.epochs = epochs, .seed = o_.seed};
    if (resumed) {
      const auto classes = static_cast<Index>(result_.train_set.class_names.size());
      fit_options.from = kept_state(*o_.resume, network, classes);
      io::put_back(*o_.resume, network, *optimiser);
      note(concat("going on in epoch ", std::min(fit_options.from->epoch + 1, epochs), " of ", epochs));
    }
    auto last_time = std::chrono::steady_clock::now();
    if (last && o_.on_checkpoint) {
      fit_options.on_state = [&](const FitState& state) {
        const auto now = std::chrono::steady_clock::now();
        const bool due = std::chrono::duration<double>(now - last_time).count() >= o_.checkpoint_seconds;
        if (!due && !result_.stopped) return;
        o_.on_checkpoint(checkpoint(network, *optimiser, state));
        last_time = std::chrono::steady_clock::now();
      };
    }
    fit_options.schedule = {.kind = optim::ScheduleKind::one_cycle, .rise = 0.3, .div = 10, .div_final = 1e3};
    fit_options.loss = loss_options(o_, result_.train_set);
    fit_options.on_step = o_.on_step;
    fit_options.on_epoch = o_.on_epoch;
    fit_options.mixup = o_.mixup;
    fit_options.clip_norm = o_.clip_norm;
    fit_options.before_epoch = before_epoch_;
    fit_options.keep_best = last && o_.keep_best;
    fit_options.patience = last ? o_.patience : 0;
    fit_options.should_stop = [this] { return should_stop(); };
    fit_options.group = o_.group;
    fit_options.share_statistics = o_.share_statistics;
    std::vector<EpochReport> history = fit(network, *optimiser, train, fit_options, &valid);
    if (!history.empty()) {
      const double guessing = std::log(static_cast<double>(result_.train_set.class_names.size()));
      if (history.back().loss > guessing)
        note(concat("the loss of the last epoch, ", history.back().loss, ", is above that of guessing, ",
                    guessing, ": a smaller learning rate may do better (find_lr)"));
      const std::size_t kept = fit_options.keep_best ? best_epoch(history) : history.size() - 1;
      result_.kept_epoch = kept;
      result_.valid = history[kept].valid;
    }
    if (last) result_.history = std::move(history);
  }

  /// All that resume needs.
  io::NamedTensors checkpoint(nn::Module<T>& network, optim::Optimiser<T>& optimiser,
                              const FitState& state) const {
    io::NamedTensors kept{{}, identity_};
    kept.metadata["run.lr"] = shortest(result_.lr);
    keep(state, kept);
    if (head_figures_) kept.metadata["run.head"] = EvaluationText::write(*head_figures_);
    if (with_new_head_) {
      for (const auto& [name, value] : with_new_head_->values()) kept.tensors["kept/head/" + name] = value;
    }
    return io::training_state(network, optimiser, std::move(kept));
  }
  /// The head that was trained before the checkpoint, to compare with.
  void take_up_head() {
    if (!o_.keep_best) return;
    head_figures_ =
        EvaluationText::read(kept_text("run.head"), static_cast<Index>(result_.train_set.class_names.size()));
    with_new_head_.emplace(model_, below(*o_.resume, "kept/head/"));
  }
  const std::string& kept_text(const std::string& name) const {
    const auto found = o_.resume->metadata.find(name);
    TL_CHECK(found != o_.resume->metadata.end(), "[fine_tune] the checkpoint lacks '", name, "'");
    return found->second;
  }

  /// Steps of softmax regression are stable up to a rate of about 1 / E|x|^2, x being the features that the
  /// head reads: a batch's gradient grows with their square. So the rate follows their size, which differs by
  /// a factor of ten between networks and image sizes; the factor is measured on the image sets of
  /// docs/benchmarks.md. AdamW's are for features of the monkeys, where 0.001 to 0.005 do equally well.
  double rate(bool only_head) const {
    if (o_.lr > 0) return o_.lr;
    if (o_.optimiser == OptimiserKind::adamw) return only_head ? 0.002 : 0.001;
    const double usual = only_head ? 0.1 : 0.02;
    return features_squared_ > 0 ? std::min(usual, 5 / features_squared_) : usual;
  }
  /// Notes the mean of |x|^2.
  void measure_features(const transfer::StoredFeatures& features) {
    std::vector<float> row(static_cast<std::size_t>(features.rows->format().size()));
    double sum = 0;
    for (Index i = 0; i < features.rows->count(); ++i) {
      features.rows->copy(i, row.data());
      for (const float x : row) sum += static_cast<double>(x) * static_cast<double>(x);
    }
    features_squared_ = sum / static_cast<double>(features.rows->count());
    if (o_.lr == 0) note(concat("learning rate of the head: ", rate(true), ", by the size of its features"));
  }

  bool only_head_is_trained() const {
    const std::vector<transfer::Layer<T>> all = transfer::layers(model_);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      for (const nn::Named<T>& p : all[i].parameters) {
        if (p.var.requires_grad()) return false;
      }
    }
    return true;
  }

  /// Each broken image once, whichever stages meet it.
  void remember_skipped(std::vector<data::Skipped> list) {
    for (data::Skipped& skipped : list) {
      const auto is_known = [&](const data::Skipped& known) { return known.path == skipped.path; };
      if (std::none_of(result_.skipped.begin(), result_.skipped.end(), is_known))
        result_.skipped.push_back(std::move(skipped));
    }
  }

  Model<T>& model_;
  const FineTuneOptions& o_;
  FineTuneResult result_{};
  Index batch_size_ = 0;
  std::size_t image_bytes_ = o_.image_bytes, feature_bytes_ = o_.feature_bytes;  ///< within the limit
  Identity identity_{};                              ///< where there are checkpoints
  std::optional<Snapshot<T>> with_new_head_{};       ///< before the layers below it are trained
  std::optional<Evaluation> head_figures_{};         ///< of that network
  double features_squared_ = 0;                      ///< mean of |x|^2 of what the head reads; 0: not known
  std::function<void(Index epoch)> before_epoch_{};  ///< of the method gradual
};

}  // namespace fine_tune_impl

template <std::same_as<float> T>
FineTuneResult fine_tune(Model<T>& model, const data::ImageFolder& photos, const FineTuneOptions& options) {
  return fine_tune_impl::Run<T>(model, photos, options).run();
}

}  // namespace tl::train
