// Embedding look-up: rows of a table, chosen by integers.
//
//   table:(V,D), indices:(any shape S)  ->  y:(S,D)      dtable[indices[s]] += dy[s]
#pragma once

#include <tl/kernels/elementwise.hpp>
#include <tl/ops/operation.hpp>

namespace tl::ops {

struct Embedding {
  static constexpr std::string_view name = "embedding";
  Tensor<std::int64_t> indices;  ///< each in [0, V)

  Shape infer(const Shape& table) const {
    TL_CHECK(table.rank() == 2 && indices.defined(), "[embedding] expected table(V,D) and indices, got ",
             table);
    Shape y = indices.shape();
    y.push_back(table[1]);
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& table) const {
    Tensor<T> y = Tensor<T>::empty(infer(table.shape()));
    const Index width = table.shape(1);
    T* out = y.mutable_data();
    for (std::int64_t row : indices.span()) {
      TL_CHECK(row >= 0 && row < table.shape(0), "[embedding] expected indices in [0, ", table.shape(0),
               "), got ", row);
      out = std::copy_n(table.data() + row * width, width, out);
    }
    return y;
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    Tensor<T> dtable = Tensor<T>::zeros(s.input_shape(0));
    const Index width = dtable.shape(1);
    const T* from = dy.plain().data();
    T* table = dtable.mutable_data();
    for (std::int64_t row : indices.span()) {
      kernels::add_in_place(width, from, table + row * width);
      from += width;
    }
    d.add(0, dtable);
  }
};

}  // namespace tl::ops
