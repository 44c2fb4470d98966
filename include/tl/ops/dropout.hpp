// Dropout (Srivastava et al. 2014), inverted: in training each value is zero with probability p and otherwise
// divided by 1 - p; in inference nothing happens.
#pragma once

#include <tl/ops/operation.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

/// In training each value is 0 with the probability and otherwise divided by 1 - probability; in inference
/// y = x (Srivastava et al. 2014).
struct Dropout {
  static constexpr std::string_view name = "dropout";
  double probability = 0.5;  ///< of becoming 0, in [0, 1)

  Shape infer(const Shape& x) const {
    TL_CHECK(probability >= 0 && probability < 1, "[dropout] expected a probability in [0, 1), got ",
             probability);
    return x;
  }
  template <class T>
  Tensor<T> forward(Context<T>& context, const Tensor<T>& x) const {
    infer(x.shape());
    if (!context.training() || probability == 0) return x;
    Rng stream = context.random_stream();
    const T keep = static_cast<T>(1 / (1 - probability));
    Tensor<T> mask = Tensor<T>::empty(x.shape(), x.layout());
    T* values = mask.mutable_data();
    for (Index i = 0; i < mask.size(); ++i) values[i] = stream.chance(probability) ? T{0} : keep;
    context.keep(mask);
    return mul(x, mask);
  }
  static constexpr Reads reads(int) { return {.context = true}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, s.context().kept().empty() ? dy : mul(dy, s.kept(0)));
  }
};

}  // namespace tl::ops
