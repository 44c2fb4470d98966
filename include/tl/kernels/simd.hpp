// Vec<T>: a vector of floats or doubles as wide as the instruction set's registers, in each of the namespaces
// tl::kernels::portable, avx2 and avx512. For use in impl/*.inl files; for_each_isa.hpp tells how.
//
//   Vec<T>::width                                  lanes; Vec<T>::width * sizeof(T) == TL_ISA_BYTES
//   Vec<T>::zero(), set1(x)                        every lane the same
//   Vec<T>::load(p), v.store(p)                    any alignment
//   Vec<T>::load(p, n), v.store(p, n)              the first n lanes, 0 <= n <= width; touches no other
//   memory;
//                                                  lanes not loaded are 0
//   a + b, a - b, a * b, a / b, -a, a += b, ...    lane by lane; v[i] reads one lane (slow)
//   fma(a, b, c)                                   a*b + c, one rounding on avx2 and avx512, two on portable
//   min(a, b), max(a, b)                           as a < b ? a : b and a > b ? a : b, so b where one is NaN:
//                                                  max(zero, x) is a ReLU that keeps NaN
//   a < b, a <= b, a > b, a >= b, a == b, a != b   Mask<T>, with & | ! and any(m)
//   select(m, a, b)                                a where m, otherwise b
//   abs(a), sqrt(a)                                sqrt correctly rounded
//   round_even(a)                                  to the nearest integer, halves to even; |a| < 2^22 (2^51)
//   sum(a), max_lane(a), min_lane(a)               over the lanes, always in the same order: halves
//
//   Bits<T>                                        the lanes as signed integers of the same size
//   bits(a), from_bits(i)                          reinterpret; Bits has + - & | ^ << >> (arithmetic) and
//   set1 pow2(a)                                        2^a for integral a in [-126,127] ([-1022,1023])
//   exponent(a), mantissa(a)                       a = mantissa * 2^exponent, mantissa in [1,2), a normal, >
//   0
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <tl/core/shape.hpp>
#include <tl/kernels/isa.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/simd.inl>
#include <tl/kernels/for_each_isa.hpp>
