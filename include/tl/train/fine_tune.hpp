// fine_tune: a pretrained network learns new classes.
//
//   auto photos = tl::data::image_folder("animals/");
//   auto model = tl::onnx::load<float>("resnet18.onnx");
//   tl::transfer::replace_head(model, photos.classes());
//   auto result = tl::train::fine_tune(model, photos, {.epochs = 3});
//
// Layers that are frozen when it is called stay so. Where nothing below the head is trained and images are
// not varied, the features are computed once and the epochs cost milliseconds.
#pragma once

#include <concepts>
#include <memory>

#include <tl/core/precompiled.hpp>
#include <tl/nn/model.hpp>
#include <tl/train/fine_tune_options.hpp>

namespace tl::train {

/// Trains a network whose head fits the classes of `photos`. Without validation images a seeded, stratified
/// share is held out. The network remembers its preprocessing. Throws tl::Error when there is nothing to
/// train, or when the head does not fit; MemoryLimitError, with what would fit, before it takes more memory
/// than MemoryPool's limit.
///
/// A template for the compile time of files that do not call it; images are floats, and so is T.
template <std::same_as<float> T>
FineTuneResult fine_tune(Model<T>& model, const data::ImageFolder& photos,
                         const FineTuneOptions& options = {});

/// The optimiser that the options say, with the rates of the network's layers: the head's is `lr`.
template <std::same_as<float> T>
std::unique_ptr<optim::Optimiser<T>> make_optimiser(const Model<T>& model, const FineTuneOptions& options,
                                                    double lr);

/// The loss that the options say, on these images.
CrossEntropyOptions loss_options(const FineTuneOptions& options, const data::Dataset& train);

}  // namespace tl::train

#if TL_KERNELS_DEFINE
#include <tl/train/impl/fine_tune.hpp>
#endif

namespace tl::train {
TL_PRECOMPILED(FineTuneResult fine_tune<float>(Model<float>&, const data::ImageFolder&,
                                               const FineTuneOptions&))
TL_PRECOMPILED(std::unique_ptr<optim::Optimiser<float>> make_optimiser<float>(const Model<float>&,
                                                                              const FineTuneOptions&, double))
}  // namespace tl::train
