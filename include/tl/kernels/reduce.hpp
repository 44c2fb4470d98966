// Reductions: sum, mean, maximum, sum of squares and inner product.
//
// Sums are made of vectors of partial sums over short blocks, combined pairwise in an order that depends on
// the sizes alone: the error grows like log(n) epsilon, and the bits are the same at any thread count.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/elementwise.hpp>
#include <tl/kernels/impl/strided.hpp>
#include <tl/kernels/isa.hpp>

namespace tl::kernels {

/// Of no elements: sum and sum_squares 0, mean NaN, max -infinity. max gives NaN when any element is NaN.
enum class Reduce { sum, mean, max, sum_squares };

/// Reduces the axes whose `reduced` flag is set. rank <= 8 extents, outermost first, strides of x in
/// elements; y is dense over the remaining extents in their order (one element when all are reduced).
template <class T>
void reduce(Reduce op, int rank, const Index* extents, const Index* strides, const bool* reduced, const T* x,
            T* y);

/// (R,C) -> (R): each row to one value.
template <class T>
void reduce_rows(Reduce op, Index rows, Index columns, const T* x, T* y);

/// (R,C) -> (C): each column to one value, for example the gradient of a bias from channels-last images.
template <class T>
void reduce_columns(Reduce op, Index rows, Index columns, const T* x, T* y);

/// (R,C), (R,C) -> (C): sum over rows of a * b.
template <class T>
void dot_columns(Index rows, Index columns, const T* a, const T* b, T* y);

/// All n values to one.
template <class T>
T reduce_all(Reduce op, Index n, const T* x);

/// Sum of a[i] * b[i].
template <class T>
T dot(Index n, const T* a, const T* b);

}  // namespace tl::kernels

#include <tl/kernels/impl/reduce.hpp>
