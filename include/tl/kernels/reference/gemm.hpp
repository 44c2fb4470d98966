// Matrix product as three loops: the oracle of the tests of gemm.hpp, with its signature.
#pragma once

#include <tl/kernels/gemm.hpp>

namespace tl::kernels::reference {

template <class T>
void gemm(Trans trans_a, Trans trans_b, Index m, Index n, Index k, const T* a, Index lda, const T* b,
          Index ldb, T* c, Index ldc, bool accumulate) {
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      T sum = accumulate ? c[i * ldc + j] : T(0);
      for (Index p = 0; p < k; ++p) {
        sum += (trans_a == Trans::no ? a[i * lda + p] : a[p * lda + i]) *
               (trans_b == Trans::no ? b[p * ldb + j] : b[j * ldb + p]);
      }
      c[i * ldc + j] = sum;
    }
  }
}

}  // namespace tl::kernels::reference
