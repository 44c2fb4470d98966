// The AdamW update for one instruction set; described in adamw.hpp.

namespace tl::kernels::TL_ISA {

template <class T>
void adamw_block(const AdamWStep& step, Index n, const T* dw, T* m, T* v, T* w) {
  using V = Vec<T>;
  const V kept = V::set1(static_cast<T>(1 - step.lr * step.weight_decay));
  const V fresh_mean = V::set1(static_cast<T>(1 - step.beta1));
  const V old_square = V::set1(static_cast<T>(step.beta2));
  const V fresh_square = V::set1(static_cast<T>(1 - step.beta2));
  const V rate = V::set1(static_cast<T>(-step.rate())), spread = V::set1(static_cast<T>(step.spread()));
  const V eps = V::set1(static_cast<T>(step.eps));
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        const V g = load_some(dw + i, some), old_mean = load_some(m + i, some);
        const V mean = fma(fresh_mean, g - old_mean, old_mean);
        const V square = fma(old_square, load_some(v + i, some), fresh_square * (g * g));
        store_some(mean, m + i, some);
        store_some(square, v + i, some);
        const V direction = mean / (sqrt(square) / spread + eps);
        store_some(fma(rate, direction, kept * load_some(w + i, some)), w + i, some);
      });
}

}  // namespace tl::kernels::TL_ISA
