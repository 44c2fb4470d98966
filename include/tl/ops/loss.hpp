// Losses: one number that says how far a prediction is from the truth.
#pragma once

#include <tl/kernels/softmax.hpp>
#include <tl/ops/operation.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

/// Cross-entropy of logits x:(N,C) with labels:(N) in [0,C), with label smoothing and class weights (C) as
/// PyTorch defines them; formula in kernels/softmax.hpp. The mean over the batch, weighted by the labels'
/// weights.
struct CrossEntropy {
  static constexpr std::string_view name = "cross_entropy";
  Tensor<std::int64_t> labels;     ///< (N), each in [0,C)
  double smoothing = 0;            ///< share of the target spread over all classes, in [0, 1]
  Tensor<double> class_weights{};  ///< undefined: all 1

  Shape infer(const Shape& x) const {
    TL_CHECK(x.rank() == 2 && x[0] >= 1 && labels.defined() && labels.shape() == Shape{x[0]},
             "[cross_entropy] expected logits(N,C), labels(N), N >= 1, got ", x, ", ", labels.shape());
    TL_CHECK(smoothing >= 0 && smoothing <= 1, "[cross_entropy] expected smoothing in [0, 1], got ",
             smoothing);
    TL_CHECK(!class_weights.defined() || class_weights.shape() == Shape{x[1]},
             "[cross_entropy] expected class weights(C) for logits ", x, ", got ", class_weights.shape());
    for (std::int64_t label : labels.span())
      TL_CHECK(label >= 0 && label < x[1], "[cross_entropy] expected labels in [0, ", x[1], "), got ", label);
    return {};
  }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    infer(x.shape());
    const Tensor<T> logits = x.plain();
    Tensor<T> weights;
    if (class_weights.defined()) weights = class_weights.template cast<T>();
    Tensor<T> dx;  // computed together with the loss, for the price of one pass
    if (context.recording()) dx = Tensor<T>::empty(x.shape());
    const T loss =
        kernels::cross_entropy<T>(x.shape(0), x.shape(1), logits.data(), labels.data(),
                                  static_cast<T>(smoothing), weights.data(), nullptr, dx.mutable_data());
    context.keep(dx);
    return Tensor<T>::scalar(loss);
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, scale(s.kept(0), dy.item()));
  }
};

/// mean((x - target)^2)      dx = 2 (x - target) / size   dtarget = -dx
struct MeanSquaredError {
  static constexpr std::string_view name = "mean_squared_error";

  Shape infer(const Shape& x, const Shape& target) const {
    TL_CHECK(x == target && x.size() >= 1, "[mean_squared_error] expected two equal shapes, got ", x, " and ",
             target);
    return {};
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& target) const {
    infer(x.shape(), target.shape());
    const Tensor<T> difference = sub(x, target);
    return Tensor<T>::scalar(kernels::reduce_all(kernels::Reduce::sum_squares, x.size(), difference.data()) /
                             static_cast<T>(x.size()));
  }
  static constexpr Reads reads(int) { return {.inputs = 0b11u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> difference = sub(s.input(0), s.input(1));
    const T factor = T{2} * dy.item() / static_cast<T>(difference.size());
    if (d.wants(0)) d.add(0, scale(difference, factor));
    if (d.wants(1)) d.add(1, scale(difference, -factor));
  }
};

/// Binary cross-entropy of logits x with targets t in [0,1], two equal shapes: the mean of softplus(x) - t x,
/// which is -log sigmoid(x) for a target of 1 and -log(1 - sigmoid(x)) for one of 0.
///   dx = (sigmoid(x) - t) / size   dt = -x / size
struct BinaryCrossEntropy {
  static constexpr std::string_view name = "binary_cross_entropy";

  Shape infer(const Shape& x, const Shape& target) const {
    TL_CHECK(x == target && x.size() >= 1, "[binary_cross_entropy] expected two equal shapes, got ", x,
             " and ", target);
    return {};
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& target) const {
    infer(x.shape(), target.shape());
    const Tensor<T> loss = sub(unary(kernels::Unary::softplus, x), mul(target, x));
    return Tensor<T>::scalar(kernels::reduce_all(kernels::Reduce::sum, loss.size(), loss.data()) /
                             static_cast<T>(loss.size()));
  }
  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b11u : 0b01u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T>& x = s.input(0);
    const T factor = dy.item() / static_cast<T>(x.size());
    if (d.wants(0)) d.add(0, scale(sub(unary(kernels::Unary::sigmoid, x), s.input(1)), factor));
    if (d.wants(1)) d.add(1, scale(x, -factor));
  }
};

}  // namespace tl::ops
