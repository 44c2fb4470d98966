// Embedding look-up: rows of a table, chosen by whole numbers.
//
//   table:(V,D...), indices:(any shape S)  ->  y:(S,D...)      dtable[indices[s]] += dy[s]
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include <tl/kernels/elementwise.hpp>
#include <tl/ops/operation.hpp>

namespace tl::ops {

/// Indices are whole numbers in [0, V) held as T, so that they can be values of a graph; T holds those of up
/// to 2^24 (float) or 2^53 rows exactly. They get no gradient.
struct Embedding {
  static constexpr std::string_view name = "embedding";

  Shape infer(const Shape& table, const Shape& indices) const {
    TL_CHECK(table.rank() >= 1 && indices.rank() + table.rank() - 1 <= Shape::max_rank,
             "[embedding] expected table(V,D...) and indices, got ", table, " and ", indices);
    Shape y = indices;
    for (int axis = 1; axis < table.rank(); ++axis) y.push_back(table[axis]);
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& table, const Tensor<T>& indices) const {
    Tensor<T> y = Tensor<T>::empty(infer(table.shape(), indices.shape()));
    const Tensor<T> rows = table.plain();
    const Index width = rows.size() / std::max<Index>(1, rows.shape(0));
    T* out = y.mutable_data();
    for (const Index row : whole_rows(indices, rows.shape(0)))
      out = std::copy_n(rows.data() + row * width, width, out);
    return y;
  }
  static constexpr Reads reads(int input) { return {.inputs = input == 0 ? 0b10u : 0u}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    if (d.wants(1)) d.add(1, Tensor<T>::zeros(s.input_shape(1)));
    if (!d.wants(0)) return;
    Tensor<T> dtable = Tensor<T>::zeros(s.input_shape(0));
    const Index width = dtable.size() / std::max<Index>(1, dtable.shape(0));
    const Tensor<T> gradient = dy.plain();
    const T* from = gradient.data();
    T* table = dtable.mutable_data();
    for (const Index row : whole_rows(s.input(1), dtable.shape(0))) {
      kernels::add_in_place(width, from, table + row * width);
      from += width;
    }
    d.add(0, dtable);
  }

 private:
  template <class T>
  static std::vector<Index> whole_rows(const Tensor<T>& indices, Index rows) {
    TL_CHECK(rows <= Index{1} << std::numeric_limits<T>::digits, "[embedding] expected at most ",
             Index{1} << std::numeric_limits<T>::digits, " rows, got ", rows);
    std::vector<Index> list;
    list.reserve(static_cast<std::size_t>(indices.size()));
    const Tensor<T> plain = indices.plain();
    for (const T value : plain.span()) {
      TL_CHECK(value >= 0 && value < static_cast<T>(rows), "[embedding] expected indices in [0, ", rows,
               "), got ", value);
      list.push_back(static_cast<Index>(value));
      TL_CHECK(static_cast<T>(list.back()) == value, "[embedding] expected whole numbers, got ", value);
    }
    return list;
  }
};

}  // namespace tl::ops
