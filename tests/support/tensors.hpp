// What tests of tensors and of everything above share: contents from the hash, and comparison.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/tensor/tensor.hpp>
#include "support/catch.hpp"
#include "support/hash_fill.hpp"

namespace tl::test {

/// Elements offset + scale u, u in [-1, 1), keyed by their row-major position whatever the layout.
template <class T>
Tensor<T> hash_tensor(std::string_view name, const Shape& shape, double scale = 1, double offset = 0,
                      Layout layout = Layout::plain) {
  Tensor<T> x = Tensor<T>::empty(shape);
  hash_fill(name, x.mutable_data(), x.size(), scale, offset);
  return x.to(layout);
}

/// The elements in row-major order.
template <class T>
std::vector<T> values_of(const Tensor<T>& x) {
  const Tensor<T> plain = x.plain();
  return {plain.span().begin(), plain.span().end()};
}

template <class T>
double largest_value(const Tensor<T>& x) {
  double most = 0;
  for (T v : x.span()) most = std::max(most, std::abs(static_cast<double>(v)));
  return most;
}

/// max |a - b| / max |b|, whatever the layouts; infinite for other shapes, NaN and infinities.
template <class A, class B>
double relative_difference(const Tensor<A>& a, const Tensor<B>& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  const Tensor<A> x = a.plain();
  const Tensor<B> y = b.plain();
  double worst = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const double difference = std::abs(static_cast<double>(x.data()[i]) - static_cast<double>(y.data()[i]));
    if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
  }
  return worst == 0 ? 0 : worst / largest_value(b);
}

/// Equal shapes and equal bits, whatever the layouts.
template <class T>
bool same_bits(const Tensor<T>& a, const Tensor<T>& b) {
  if (a.shape() != b.shape()) return false;
  const Tensor<T> x = a.plain(), y = b.plain();
  return x.size() == 0 ||
         std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.size()) * sizeof(T)) == 0;
}

/// Runs body() with the kernels of each instruction set that this processor has.
template <class Body>
void on_each_isa(const Body& body) {
  for (const kernels::Isa isa : kernels::available_isas()) {
    const kernels::ScopedIsa scope(isa);
    INFO("instruction set " << kernels::name_of(isa));
    body();
  }
}

/// The number of threads for a scope.
class ScopedThreads {
 public:
  explicit ScopedThreads(int threads) : before_(num_threads()) { set_num_threads(threads); }
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;
  ~ScopedThreads() { set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace tl::test
