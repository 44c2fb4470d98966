// The SGD update for one instruction set; described in sgd.hpp.

namespace tl::kernels::TL_ISA {

template <class T>
void sgd_block(const SgdStep& step, Index n, const T* dw, T* v, T* w) {
  using V = Vec<T>;
  const V rate = V::set1(static_cast<T>(-step.lr)), decay = V::set1(static_cast<T>(step.weight_decay));
  const V momentum = V::set1(static_cast<T>(step.momentum));
  const V fresh = V::set1(static_cast<T>(1 - step.dampening));
  const bool with_momentum = step.momentum != 0, first = step.first, nesterov = step.nesterov;
  each_vector<T>(
      n, [&](Index i, Index some) __attribute__((always_inline)) {
        const V weight = load_some(w + i, some);
        V g = fma(decay, weight, load_some(dw + i, some));
        if (with_momentum) {
          const V velocity = first ? g : fma(momentum, load_some(v + i, some), fresh * g);
          store_some(velocity, v + i, some);
          g = nesterov ? fma(momentum, velocity, g) : velocity;
        }
        store_some(fma(rate, g, weight), w + i, some);
      });
}

}  // namespace tl::kernels::TL_ISA
