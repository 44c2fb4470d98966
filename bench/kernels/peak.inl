// Independent chains of multiply-adds in registers: as many as hide their latency.

namespace tl::kernels::TL_ISA {

template <class T>
T multiply_add_chains(Index steps) {
  constexpr int chains = 12;
  Vec<T> sums[chains];
  const Vec<T> a = Vec<T>::set1(T(0.999)), b = Vec<T>::set1(T(1e-3));
  TL_UNROLL for (int i = 0; i < chains; ++i) sums[i] = Vec<T>::set1(static_cast<T>(i));
  for (Index step = 0; step < steps; ++step) {
    TL_UNROLL for (int i = 0; i < chains; ++i) sums[i] = fma(sums[i], a, b);
  }
  Vec<T> total = Vec<T>::zero();
  for (int i = 0; i < chains; ++i) total += sums[i];
  return sum(total);
}

template <class T>
double chain_flops() {
  return 2.0 * 12 * Vec<T>::width;
}

}  // namespace tl::kernels::TL_ISA
