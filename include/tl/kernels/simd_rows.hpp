// Walking along rows in vectors, with a shorter one at the end. For use in impl/*.inl files.
//
//   each_vector<T>(n, body)       body(i, some) for i = 0, width, 2 width, ...: elements [i, i + some)
//   load_some(p, some), store_some(v, p, some)
//                                 the whole vector where some == width, otherwise its first lanes
#pragma once

#include <tl/kernels/simd.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/simd_rows.inl>
#include <tl/kernels/for_each_isa.hpp>
