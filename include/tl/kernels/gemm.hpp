// Matrix product, row-major with leading dimensions.
//
//   C (M,N) = [C +] op(A) (M,K) * op(B) (K,N)      op: as stored, or transposed
//
// Large products pack B into panels and run over register blocks (gemm_tile.hpp). Products with few rows
// would spend their time packing: they read B in place, as dot products where B is stored (N,K). Products
// with few columns are computed as their transposes. The bits do not depend on the number of threads.
#pragma once

#include <tl/core/shape.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/kernels/trans.hpp>

namespace tl::kernels {

/// c = [c +] op(a)*op(b). `a` is stored (m,k), or (k,m) when transposed, with lda elements from one row to
/// the next; `b` (k,n) or (n,k) with ldb; c (m,n) with ldc. Extents may be 0; c overlaps neither a nor b.
template <class T>
void gemm(Trans trans_a, Trans trans_b, Index m, Index n, Index k, const T* a, Index lda, const T* b,
          Index ldb, T* c, Index ldc, bool accumulate);

}  // namespace tl::kernels

#if TL_KERNELS_DEFINE
#include <tl/kernels/gemm_tile.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/gemm.inl>
#include <tl/kernels/for_each_isa.hpp>

namespace tl::kernels {

template <class T>
void gemm(Trans trans_a, Trans trans_b, Index m, Index n, Index k, const T* a, Index lda, const T* b,
          Index ldb, T* c, Index ldc, bool accumulate) {
  TL_KERNELS_DISPATCH(gemm<T>, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
}
TL_KERNELS_INSTANTIATE(gemm)

}  // namespace tl::kernels
#endif
