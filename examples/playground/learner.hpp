// What the playground does, without the page: photos become features, features and labels a last layer, and
// that predictions, heat maps and a file.
//
//   photo -> frozen network -> x:(D)     head: logits = W z(x) + b, trained by gradient descent on all photos
//
// z(x) subtracts the mean of each feature and divides all by one deviation: a few photos do not tell the
// deviation of each.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

namespace playground {

class Learner {
 public:
  struct Progress {
    double loss = 0, accuracy = 0;  ///< of the photos learned from
    tl::Index steps = 0;
  };

  /// Of a pretrained network, for photos of `side` pixels.
  explicit Learner(const std::string& network, tl::Index side = 96)
      : pretrained_(tl::onnx::load_graph<float>(network)),
        preprocess_(tl::transfer::with_size(tl::transfer::preprocess_of(pretrained_).steps, side)),
        example_{1, tl::data::Image::channels, side, side} {
    const auto model = with_head({"one", "other"});
    const auto cut = tl::transfer::find_head(model->graph()).input;
    prefix_ = std::move(tl::transfer::split_at(model->graph(), cut, example_).prefix);
  }

  /// Looks at a photo, once and for all; returns its number.
  tl::Index add(const tl::data::Image& photo, tl::Index label) {
    features_.push_back(prefix_->predict(preprocess_.apply(photo)).plain());
    labels_.push_back(label);
    return static_cast<tl::Index>(labels_.size()) - 1;
  }
  tl::Index count(tl::Index label) const { return std::count(labels_.begin(), labels_.end(), label); }
  void forget() {
    features_.clear();
    labels_.clear();
    model_.reset();
  }

  /// Begins anew with a head for these classes. Throws tl::Error unless each of two or more has photos.
  void begin(const std::vector<std::string>& classes) {
    TL_CHECK(classes.size() >= 2, "expected at least two classes");
    for (std::size_t c = 0; c < classes.size(); ++c)
      TL_CHECK(count(static_cast<tl::Index>(c)) > 0, "'", classes[c], "' has no photo yet");
    model_ = with_head(classes);
    const auto n = static_cast<tl::Index>(labels_.size()), width = features_.front().size();
    tl::Tensor<float> rows = tl::Tensor<float>::empty({n, width});
    float* to = rows.mutable_data();
    for (const tl::Tensor<float>& row : features_) to = std::copy_n(row.data(), width, to);
    scale_ = one_scale(rows);
    x_ = tl::transfer::standardised<float>(rows, scale_);
    y_ = tl::Tensor<std::int64_t>::from(labels_, {n});
    const auto outputs = static_cast<tl::Index>(classes.size());
    w_ = tl::Var<float>(tl::Tensor<float>::zeros({outputs, width}), true);
    b_ = tl::Var<float>(tl::Tensor<float>::zeros({outputs}), true);
    const double rate = 1.0 / static_cast<double>(width);  // E|z|^2 = D: half of what gradient descent bears
    optimiser_ = std::make_unique<tl::optim::Sgd<float>>(std::vector<tl::optim::ParameterGroup<float>>{
        {.params = {{"w", w_}}, .lr = rate, .weight_decay = penalty},
        {.params = {{"b", b_}}, .lr = rate, .weight_decay = 0}});
    progress_ = {};
  }

  /// Some steps more.
  Progress step(int steps) {
    TL_CHECK(model_ != nullptr, "training has not begun");
    for (int i = 0; i < steps; ++i) {
      const tl::Var<float> logits = tl::linear(tl::Var<float>(x_), w_, b_);
      const tl::Var<float> loss = tl::cross_entropy(logits, y_);
      loss.backward();
      optimiser_->step();
      optimiser_->zero_grad();
      const tl::Tensor<std::int64_t> best = tl::transfer::best_classes(logits.value());
      double right = 0;
      for (tl::Index k = 0; k < best.size(); ++k) right += best.data()[k] == y_.data()[k];
      progress_ = {loss.item(), right / static_cast<double>(best.size()), progress_.steps + 1};
    }
    const tl::Tensor<double> w = w_.value().cast<double>(), b = b_.value().cast<double>();
    const auto head = tl::transfer::for_raw_features(w.data(), b.data(), b.size(), scale_);
    tl::transfer::set_linear_head(*model_, head.weight, head.bias);
    return progress_;
  }

  /// The probability of each class.
  std::vector<float> predict(const tl::data::Image& photo) const {
    TL_CHECK(model_ != nullptr, "nothing was learned yet");
    const tl::Var<float> logits(model_->predict(preprocess_.apply(photo)));
    const tl::Tensor<float> p = tl::softmax(logits).value();
    return {p.span().begin(), p.span().end()};
  }

  /// The photo as the network sees it, under what speaks for a class (Grad-CAM).
  tl::data::Image explain(const tl::data::Image& photo, tl::Index label) const {
    TL_CHECK(model_ != nullptr, "nothing was learned yet");
    const tl::train::GradCam<float> where(model_->graph(), example_);
    return tl::data::overlay_heat(preprocess_.geometry(photo), where(preprocess_.apply(photo), label));
  }

  /// The network with its new head, labels and preprocessing, as the bytes of an .onnx file.
  std::string file() const {
    TL_CHECK(model_ != nullptr, "nothing was learned yet");
    tl::Graph<float> graph = model_->graph();
    graph.metadata[tl::io::preprocess_key] = preprocess_.to_string();
    return tl::onnx::encode(graph);
  }

 private:
  static constexpr double penalty = 10;  ///< times |W|^2 / 2; 1 to 30 are as good

  /// The mean of each feature, and one deviation for all.
  static tl::transfer::Scale one_scale(const tl::Tensor<float>& rows) {
    tl::transfer::Scale scale = tl::transfer::scale_of(rows);
    double variance = 0;
    for (const double factor : scale.factor) variance += factor > 0 ? 1 / (factor * factor) : 0;
    const double all = std::sqrt(static_cast<double>(scale.factor.size()) / variance);
    std::fill(scale.factor.begin(), scale.factor.end(), variance > 0 ? all : 0);
    return scale;
  }

  /// A copy of the network with a head that also reads maxima, and the mirror image
  /// (transfer/head_features.hpp).
  std::shared_ptr<tl::Model<float>> with_head(const std::vector<std::string>& classes) const {
    auto model = std::make_shared<tl::Model<float>>(pretrained_);
    tl::transfer::replace_head(*model, classes, 0, {.wide = true, .mirrored = true}, example_);
    return model;
  }

  tl::Graph<float> pretrained_;
  tl::data::Preprocess preprocess_;
  tl::Shape example_;
  std::unique_ptr<tl::Model<float>> prefix_;
  std::vector<tl::Tensor<float>> features_;  ///< (1,D) each
  std::vector<std::int64_t> labels_;

  std::shared_ptr<tl::Model<float>> model_;  ///< null before training
  tl::transfer::Scale scale_;
  tl::Tensor<float> x_;  ///< (N,D), standardised
  tl::Tensor<std::int64_t> y_;
  tl::Var<float> w_, b_;
  std::unique_ptr<tl::optim::Sgd<float>> optimiser_;
  Progress progress_;
};

}  // namespace playground
