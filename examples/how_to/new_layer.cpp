// A layer of one's own: squeeze and excitation, which weighs the channels of an image by what all of it
// shows, put behind a pretrained network's features and trained.
//
//   s = sigmoid(W2 relu(W1 mean(x) + b1) + b2)      y[n,c,h,w] = x[n,c,h,w] s[n,c]
//
// Source: Hu, Shen and Sun 2018, https://arxiv.org/abs/1709.01507, equations 2 to 4.
#include <cmath>
#include <iostream>
#include <memory>

#include <tl/tl.hpp>

namespace {

// [layer]
struct SqueezeExciteOptions {
  tl::Index channels = 0;
  tl::Index reduction = 4;  ///< channels / hidden units
};

/// (N,C,H,W), same out. squeeze.weight (C/r,C), excite.weight (C,C/r), and their biases.
template <std::floating_point T = float>
class SqueezeExcite final : public tl::nn::Module<T> {
 public:
  explicit SqueezeExcite(const SqueezeExciteOptions& options) : channels_(options.channels) {
    TL_CHECK(options.channels >= options.reduction && options.reduction >= 1,
             "[squeeze_excite] expected at least ", options.reduction, " channels, got ", options.channels);
    const tl::Index hidden = options.channels / options.reduction;
    using tl::nn::Dense, tl::nn::DenseOptions;
    squeeze_ = this->add_module(
        "squeeze", std::make_shared<Dense<T>>(DenseOptions{.in = options.channels, .out = hidden}));
    excite_ = this->add_module(
        "excite", std::make_shared<Dense<T>>(DenseOptions{.in = hidden, .out = options.channels}));
  }
  tl::Var<T> forward(const tl::Var<T>& x) override {
    const tl::Var<T> means = tl::flatten(tl::global_average_pool2d(x));  // (N,C)
    const tl::Var<T> s = tl::sigmoid(excite_->forward(tl::relu(squeeze_->forward(means))));
    return x * tl::reshape(s, {-1, channels_, 1, 1});  // broadcast over height and width
  }

 private:
  tl::Index channels_;
  std::shared_ptr<tl::nn::Dense<T>> squeeze_, excite_;
};
// [/layer]

}  // namespace

int main() {
  // [gradcheck]
  SqueezeExcite<double> layer({.channels = 4, .reduction = 2});
  auto x = tl::Tensor<double>::empty({2, 4, 3, 3});
  for (tl::Index i = 0; i < x.size(); ++i) x.mutable_data()[i] = std::sin(static_cast<double>(i));
  const auto checked = tl::gradcheck([&](const auto& inputs) { return layer.forward(inputs[0]); }, {x});
  std::cout << "gradcheck: " << (checked ? "passed" : "failed") << '\n';
  // [/gradcheck]

  // [use]
  using tl::nn::Conv2d, tl::nn::Conv2dOptions, tl::nn::Dense, tl::nn::DenseOptions;
  const auto network = tl::nn::sequential<float>(
      {std::make_shared<Conv2d<>>(Conv2dOptions{.in = 3, .out = 8, .kernel = 3, .padding = 1}),
       std::make_shared<SqueezeExcite<>>(SqueezeExciteOptions{.channels = 8}),
       std::make_shared<tl::nn::AdaptiveAveragePool2d<>>(), std::make_shared<tl::nn::Flatten<>>(),
       std::make_shared<Dense<>>(DenseOptions{.in = 8, .out = 2})});
  for (const auto& p : network->parameters()) std::cout << p.name << ' ' << p.var.shape() << '\n';
  const auto traced = tl::nn::trace<float>(*network, tl::Tensor<float>::zeros({1, 3, 16, 16}));
  tl::onnx::save(*traced, "with_squeeze_excite.onnx");  // made of operations that ONNX knows
  // [/use]
}
