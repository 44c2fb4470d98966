// What must be the same for a training to go on from a checkpoint: network, photos and recipe, as text.
#pragma once

#include <map>
#include <string>

#include <tl/core/sha256.hpp>
#include <tl/train/fine_tune_options.hpp>
#include <tl/transfer/features.hpp>

namespace tl::train::fine_tune_impl {

using Identity = std::map<std::string, std::string>;

/// File names and labels, in their order; not the folder, which may be moved.
inline std::string hash_of(const data::Dataset& train, const data::Dataset& valid) {
  Sha256 hash;
  for (const data::Dataset* set : {&train, &valid}) {
    for (const data::Sample& sample : set->samples)
      hash.add(concat(sample.path.filename().string(), ' ', sample.label, '\n'));
    for (const std::string& name : set->class_names) hash.add(name + '\n');
  }
  return hex(hash.finish());
}

/// Of a network that is not trained yet, whose frozen parameters are those of the call.
template <class T>
Identity identity(const Model<T>& model, const FineTuneOptions& o, Index batch_size,
                  const FineTuneResult& sets) {
  const data::Augment augment = o.augment.value_or(data::Augment{});
  std::string trained, rates, classes;
  for (const nn::Named<T>& p : model.parameters()) trained += p.var.requires_grad() ? '1' : '0';
  for (const auto& [glob, rate] : o.rates) rates += concat(glob, '=', rate, ' ');
  Sha256 parts;
  parts.add(trained);
  return {
      {"run.network",
       concat(transfer::weights_hash(model.graph()), ", nodes ", model.graph().nodes().size())},
      {"run.photos", hash_of(sets.train_set, sets.valid_set)},
      {"run.preprocessing", sets.preprocess.to_string()},
      {"run.method", concat(o.method)},
      {"run.epochs", concat(o.epochs)},
      {"run.batch", concat(batch_size)},
      {"run.seed", concat(o.seed)},
      {"run.optimiser", concat(o.optimiser == OptimiserKind::adamw ? "adamw" : "sgd", ", momentum ",
                               o.momentum, ", weight decay ", o.weight_decay.value_or(-1))},
      {"run.rates", concat(o.lr, ' ', o.later_share, ' ', o.earlier_share, ' ', rates)},
      {"run.loss", concat("smoothing ", o.smoothing, ", mixup ", o.mixup, ", clipped at ", o.clip_norm,
                          o.class_weights == ClassWeights::balanced ? ", balanced" : "")},
      {"run.variation",
       concat(static_cast<int>(augment.crop), ' ', augment.scale[0], ' ', augment.scale[1], ' ',
              augment.ratio[0], ' ', augment.ratio[1], ' ', augment.padding, ' ', augment.flip, ' ',
              augment.rotation, ' ', augment.brightness, ' ', augment.contrast, ' ', augment.saturation, ' ',
              o.augment.has_value(), ", views ", o.views)},
      {"run.trained parameters", hex(parts.finish())},
      {"run.choices", concat("head first ", o.head_first, ", batch normalisation frozen ",
                             o.freeze_batch_norm, ", best epoch ", o.keep_best, ", patience ", o.patience)},
  };
}

/// Throws, naming the first difference, when this is not the training that somebody else has.
inline void check_same(const Identity& mine, const std::map<std::string, std::string>& other,
                       const std::string& otherwise) {
  for (const auto& [name, value] : mine) {
    const auto found = other.find(name);
    const std::string what = name.substr(name.find('.') + 1);
    TL_CHECK(found != other.end(), otherwise, ": it does not say '", what, "'");
    TL_CHECK(found->second == value, otherwise, ": its ", what, ": ", found->second,
             "; of this one: ", value);
  }
}

}  // namespace tl::train::fine_tune_impl
