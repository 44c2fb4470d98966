// Strided copies as plain loops: the oracle of the tests of transpose.hpp.
#pragma once

#include <tl/core/shape.hpp>

namespace tl::kernels::reference {

template <class T>
void copy_strided(int rank, const Index* extents, const Index* strides_src, const T* src,
                  const Index* strides_dst, T* dst) {
  if (rank == 0) {
    *dst = *src;
    return;
  }
  for (Index i = 0; i < *extents; ++i) {
    reference::copy_strided(rank - 1, extents + 1, strides_src + 1, src + i * *strides_src, strides_dst + 1,
                            dst + i * *strides_dst);
  }
}

}  // namespace tl::kernels::reference
