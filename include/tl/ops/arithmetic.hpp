// Broadcasting arithmetic of two values:  a + b, a - b, a * b, a / b, a^b,  and powers x^p with a constant p.
//
// A gradient of a repeated operand is summed over the axes along which it was repeated (sum_to).
#pragma once

#include <cmath>

#include <tl/ops/operation.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

/// y = a + b      da = dy   db = dy
struct Add {
  static constexpr std::string_view name = "add";

  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, name); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return add(a, b);
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, sum_to(dy, s.input_shape(0)));
    if (d.wants(1)) d.add(1, sum_to(dy, s.input_shape(1)));
  }
};

/// y = a - b      da = dy   db = -dy
struct Sub {
  static constexpr std::string_view name = "sub";

  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, name); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return sub(a, b);
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, sum_to(dy, s.input_shape(0)));
    if (d.wants(1)) d.add(1, scale(sum_to(dy, s.input_shape(1)), T{-1}));
  }
};

/// y = a * b      da = dy * b   db = dy * a
struct Mul {
  static constexpr std::string_view name = "mul";

  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, name); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return mul(a, b);
  }
  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b10u : 0b01u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, sum_to(mul(dy, s.input(1)), s.input_shape(0)));
    if (d.wants(1)) d.add(1, sum_to(mul(dy, s.input(0)), s.input_shape(1)));
  }
};

/// y = a / b      da = dy / b   db = -dy * y / b
struct Div {
  static constexpr std::string_view name = "div";

  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, name); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return div(a, b);
  }
  static constexpr Reads reads(int input) { return {.inputs = 0b10u, .output = input == 1}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Tensor<T> quotient = div(dy, s.input(1));
    if (d.wants(0)) d.add(0, sum_to(quotient, s.input_shape(0)));
    if (d.wants(1)) d.add(1, scale(sum_to(mul(quotient, s.output()), s.input_shape(1)), T{-1}));
  }
};

/// y = a^b      da = dy * b a^(b-1)   db = dy * y log(a), 0 where a = 0
struct Pow {
  static constexpr std::string_view name = "pow";

  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, name); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return binary(kernels::Binary::pow, a, b, name);
  }
  static constexpr Reads reads(int input) {
    return {.inputs = input == 0 ? 0b11u : 0b01u, .output = input == 1};
  }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) {
      const Tensor<T>& b = s.input(1);
      const Tensor<T> power = binary(kernels::Binary::pow, s.input(0), sub(b, Tensor<T>::scalar(T{1})), name);
      d.add(0, sum_to(mul(dy, mul(b, power)), s.input_shape(0)));
    }
    if (d.wants(1)) {
      const Tensor<T> slope = mul(s.output(), unary(kernels::Unary::log, s.input(0)));
      const Tensor<T> finite = binary(kernels::Binary::keep_where, slope, s.input(0), name);
      d.add(1, sum_to(mul(dy, finite), s.input_shape(1)));
    }
  }
};

/// y = x^p, element by element      dx = dy * p x^(p-1)
struct Power {
  static constexpr std::string_view name = "power";
  double exponent = 1;  ///< p; with a fraction, negative x give NaN

  Shape infer(const Shape& x) const { return x; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return raise(x, exponent);
  }
  static constexpr Reads reads(int) { return {.inputs = 0b1u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, mul(dy, scale(raise(s.input(0), exponent - 1), static_cast<T>(exponent))));
  }

 private:
  template <class T>
  static Tensor<T> raise(const Tensor<T>& x, double p) {
    return binary(kernels::Binary::pow, x, Tensor<T>::scalar(static_cast<T>(p)), name);
  }
};

}  // namespace tl::ops
