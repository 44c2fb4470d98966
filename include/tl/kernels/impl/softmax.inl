// Softmax and cross-entropy for one instruction set; described in softmax.hpp.

namespace tl::kernels::TL_ISA {

/// Sum of exp(x - largest), blocks pairwise.
template <class T>
T exp_sum(Index n, const T* x, T largest) {
  using V = Vec<T>;
  constexpr Index block = 1024;
  if (n > block) {
    const Index half = (n / 2 + block - 1) / block * block;
    return exp_sum(half, x, largest) + exp_sum(n - half, x + half, largest);
  }
  const V m = V::set1(largest);
  V total = V::zero();
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        total += exp((some == V::width ? V::load(x + i) : Maximum<T>::load(x + i, some)) - m);
      });
  return sum(total);
}

template <class T>
TL_INLINE T largest_of(Index n, const T* x) {
  return reduce_run<Maximum<T>, T>(n, x, nullptr);
}

template <class T>
void softmax_row(Index n, const T* x, T* y) {
  using V = Vec<T>;
  const V m = V::set1(largest_of(n, x));
  each_vector<T>(
      n, [&](Index i, Index some)
             __attribute__((always_inline)) { store_some(exp(load_some(x + i, some) - m), y + i, some); });
  const V inverse = V::set1(1 / reduce_run<Sum<T>, T>(n, y, nullptr));
  each_vector<T>(
      n, [&](Index i, Index some)
             __attribute__((always_inline)) { store_some(load_some(y + i, some) * inverse, y + i, some); });
}

template <class T>
void softmax_backward_row(Index n, const T* y, const T* dy, T* dx) {
  const Vec<T> inner = Vec<T>::set1(reduce_run<Dot<T>, T>(n, y, dy));
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        store_some(load_some(y + i, some) * (load_some(dy + i, some) - inner), dx + i, some);
      });
}

template <class T>
void log_softmax_row(Index n, const T* x, T* y) {
  using V = Vec<T>;
  const T largest = largest_of(n, x);
  const V m = V::set1(largest), log_sum = V::set1(std::log(exp_sum(n, x, largest)));
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        store_some((load_some(x + i, some) - m) - log_sum, y + i, some);
      });
}

template <class T>
void log_softmax_backward_row(Index n, const T* y, const T* dy, T* dx) {
  const Vec<T> total = Vec<T>::set1(reduce_run<Sum<T>, T>(n, dy, nullptr));
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        store_some(load_some(dy + i, some) - exp(load_some(y + i, some)) * total, dx + i, some);
      });
}

/// The loss of one row, and dx = scale * gradient where dx is not null. weight_sum is over all classes.
template <class T>
T cross_entropy_row(Index n, const T* x, Index label, T smoothing, const T* weights, T weight_sum, T scale,
                    T* dx) {
  using V = Vec<T>;
  const T largest = largest_of(n, x);
  const T total = exp_sum(n, x, largest), log_total = std::log(total);
  const T hit = (1 - smoothing) * (weights == nullptr ? T(1) : weights[label]);
  const T spread = smoothing / static_cast<T>(n);
  T loss = -hit * ((x[label] - largest) - log_total);
  if (smoothing != 0) {
    const T weighted =
        weights == nullptr ? reduce_run<Sum<T>, T>(n, x, nullptr) : reduce_run<Dot<T>, T>(n, weights, x);
    loss -= spread * (weighted - weight_sum * (largest + log_total));
  }
  if (dx == nullptr) return loss;

  const V m = V::set1(largest), factor = V::set1(scale * (hit + spread * weight_sum) / total);
  const V even = V::set1(scale * spread);
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        const V share = weights == nullptr ? even : even * load_some(weights + i, some);
        store_some(exp(load_some(x + i, some) - m) * factor - share, dx + i, some);
      });
  dx[label] -= scale * hit;
  return loss;
}

}  // namespace tl::kernels::TL_ISA
