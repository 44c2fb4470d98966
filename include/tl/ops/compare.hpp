// Comparisons of two values, which broadcast, and choices by them. Truth is 1, falsehood 0.
//
//   greater, greater_equal, equal      1 where it holds; no gradient passes
//   maximum, minimum                   where a = b each gets half of the gradient
//   where                              a where c is not 0, b elsewhere
#pragma once

#include <tl/ops/operation.hpp>
#include <tl/tensor/math.hpp>

namespace tl::ops {

/// The common part of comparisons. Their derivative is 0 wherever there is one.
template <kernels::Binary kind>
struct Comparison {
  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, "comparison"); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return binary(kind, a, b, "comparison");
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>&, GradSink<T>& d) const {
    for (const int i : {0, 1}) {
      if (d.wants(i)) d.add(i, Tensor<T>::zeros(s.input_shape(i)));
    }
  }
};

/// a > b
struct Greater : Comparison<kernels::Binary::greater> {
  static constexpr std::string_view name = "greater";
};
/// a >= b
struct GreaterEqual : Comparison<kernels::Binary::greater_equal> {
  static constexpr std::string_view name = "greater_equal";
};
/// a == b
struct Equal : Comparison<kernels::Binary::equal> {
  static constexpr std::string_view name = "equal";
};

/// The common part of maximum and minimum:  da = dy (1 where a is taken, 1/2 where a = b),  db = dy - da.
template <kernels::Binary kind>
struct Extremum {
  Shape infer(const Shape& a, const Shape& b) const { return broadcast_shapes(a, b, "extremum"); }
  template <class T>
  Tensor<T> forward(const Tensor<T>& a, const Tensor<T>& b) const {
    return binary(kind, a, b, "extremum");
  }
  static constexpr Reads reads(int) { return {.inputs = 0b11u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    constexpr bool is_max = kind == kernels::Binary::max;
    const Tensor<T>&a = s.input(0), &b = s.input(1);
    const Tensor<T> taken = binary(kernels::Binary::greater, is_max ? a : b, is_max ? b : a, "extremum");
    const Tensor<T> equal = binary(kernels::Binary::equal, a, b, "extremum");
    const Tensor<T> da = mul(dy, add(taken, scale(equal, T{1} / 2)));
    if (d.wants(0)) d.add(0, sum_to(da, s.input_shape(0)));
    if (d.wants(1)) d.add(1, sum_to(sub(dy, da), s.input_shape(1)));
  }
};

/// The larger of a and b
struct Maximum : Extremum<kernels::Binary::max> {
  static constexpr std::string_view name = "maximum";
};
/// The smaller of a and b
struct Minimum : Extremum<kernels::Binary::min> {
  static constexpr std::string_view name = "minimum";
};

/// y = c != 0 ? a : b      da = dy where c, db = dy elsewhere; c gets no gradient. What is not chosen may be
/// NaN.
struct Where {
  static constexpr std::string_view name = "where";

  Shape infer(const Shape& c, const Shape& a, const Shape& b) const {
    return broadcast_shapes(broadcast_shapes(a, b, name), c, name);
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& c, const Tensor<T>& a, const Tensor<T>& b) const {
    return add(keep(a, c), keep(b, negation(c)));
  }
  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0u : 0b1u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(0)) d.add(0, Tensor<T>::zeros(s.input_shape(0)));
    if (d.wants(1)) d.add(1, sum_to(keep(dy, s.input(0)), s.input_shape(1)));
    if (d.wants(2)) d.add(2, sum_to(keep(dy, negation(s.input(0))), s.input_shape(2)));
  }

 private:
  template <class T>
  static Tensor<T> keep(const Tensor<T>& x, const Tensor<T>& c) {
    return binary(kernels::Binary::keep_where, x, c, name);
  }
  template <class T>
  static Tensor<T> negation(const Tensor<T>& c) {
    return binary(kernels::Binary::equal, c, Tensor<T>::scalar(T{0}), name);
  }
};

}  // namespace tl::ops
