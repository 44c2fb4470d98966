// Matrix products: matmul, and the fully connected layer's y = x w^T + b.
#pragma once

#include <tl/ops/operation.hpp>
#include <tl/tensor/matmul.hpp>

namespace tl::ops {

/// y = a b      a:(..,M,K)  b:(..,K,N)  ->  y:(..,M,N), leading axes broadcast
///   da = dy b^T
///   db = a^T dy, each summed over the axes along which it was repeated
struct MatMul {
  static constexpr std::string_view name = "matmul";

  Shape infer(const Shape& a, const Shape& b) const {
    TL_CHECK(a.rank() >= 2 && b.rank() >= 2 && a.back() == b[b.rank() - 2],
             "[matmul] expected a(..,M,K), b(..,K,N), got ", a, ", ", b);
    const auto batch = [](const Shape& s) {
      return Shape(std::span(s.begin(), static_cast<std::size_t>(s.rank() - 2)));
    };
    Shape y = broadcast_shapes(batch(a), batch(b), name);
    y.push_back(a[a.rank() - 2]);
    y.push_back(b.back());
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    infer(a.shape(), b.shape());
    return matmul_batched(a, Trans::no, b, Trans::no);
  }
  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b10u : 0b01u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, sum_to(matmul_batched(dy, Trans::no, s.input(1), Trans::yes), s.input_shape(0)));
    if (d.wants(1)) d.add(1, sum_to(matmul_batched(s.input(0), Trans::yes, dy, Trans::no), s.input_shape(1)));
  }
};

/// y = x w^T + b      x:(N,I)  w:(O,I)  b:(O), may be left out  ->  y:(N,O)
///   dx = dy w        (N,O)(O,I)
///   dw = dy^T x      (O,N)(N,I)
///   db = sum_n dy    (O)
struct Linear {
  static constexpr std::string_view name = "linear";

  Shape infer(const Shape& x, const Shape& w) const {
    TL_CHECK(x.rank() == 2 && w.rank() == 2 && x[1] == w[1], "[linear] expected x(N,I), w(O,I), got ", x,
             ", ", w);
    return {x[0], w[0]};
  }
  Shape infer(const Shape& x, const Shape& w, const Shape& b) const {
    TL_CHECK(x.rank() == 2 && w.rank() == 2 && x[1] == w[1] && b == Shape{w[0]},
             "[linear] expected x(N,I), w(O,I), b(O), got ", x, ", ", w, ", ", b);
    return {x[0], w[0]};
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w) const {
    infer(x.shape(), w.shape());
    return matmul_nt(x, w);
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) const {
    infer(x.shape(), w.shape(), b.shape());
    return add(matmul_nt(x, w), b);
  }
  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b10u : input == 1 ? 0b01u : 0u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, matmul_nn(dy, s.input(1)));
    if (d.wants(1)) d.add(1, matmul_tn(dy, s.input(0)));
    if (s.input_count() == 3 && d.wants(2)) d.add(2, sum_to(dy, s.input_shape(2)));
  }
};

}  // namespace tl::ops
