// The register-blocked product that matrix products and convolutions are made of.
//
//   C (rows,columns) += A (rows,k) * B (k,columns)      up to 14 x 32 (AVX-512), 6 x 16 (AVX2), 4 x 8 floats
//
// The accumulators live in registers; for every k one or two vectors of B are loaded and each is multiplied
// by one broadcast element of A a row. A is a small copied block whose strides are compile-time constants, so
// that one base register reaches it all and no two of its rows share cache sets; B is packed in panels of two
// vectors, [k][columns]. After Goto and van de Geijn 2008, "Anatomy of high-performance matrix
// multiplication".
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/kernels/conv_shape.hpp>
#include <tl/kernels/simd.hpp>
#include <tl/kernels/trans.hpp>
#include <tl/kernels/transpose.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/gemm_tile.inl>
#include <tl/kernels/for_each_isa.hpp>
