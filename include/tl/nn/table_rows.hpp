// Some rows of a big table as a leaf of their own, so that a step costs what it reads and not the table.
//
//   table:(V,D), indices:(any shape S), U of them different  ->  rows:(U,D), look_up:(S,D)
//
//   TableRows<float> words(table, indices);
//   loss(words.look_up()).backward();                  the gradient arrives in words.rows(), (U,D)
//   Sgd<float>({{.params = {{"words", words.rows()}}}}).step();
//   words.store();                                     the table has the new rows
#pragma once

#include <algorithm>
#include <vector>

#include <tl/autograd/functions.hpp>

namespace tl::nn {

/// Some rows of a table (V,D) as a leaf of their own, so that a step costs what it reads and not the table.
template <std::floating_point T = float>
class TableRows {
 public:
  /// Copies the rows that indices in [0,V) name, each once.
  TableRows(Var<T> table, const Tensor<std::int64_t>& indices) : table_(std::move(table)) {
    const Shape shape = table_.shape();
    TL_CHECK(shape.rank() == 2, "[table_rows] expected a table(V,D), got ", shape);
    std::vector<std::int64_t> place(static_cast<std::size_t>(shape[0]), -1);
    local_ = Tensor<std::int64_t>::empty(indices.shape());
    std::int64_t* local = local_.mutable_data();
    const Tensor<std::int64_t> plain = indices.plain();
    for (const std::int64_t index : plain.span()) {
      TL_CHECK(index >= 0 && index < shape[0], "[table_rows] expected indices in [0, ", shape[0], "), got ",
               index);
      std::int64_t& slot = place[static_cast<std::size_t>(index)];
      if (slot < 0) {
        slot = static_cast<std::int64_t>(used_.size());
        used_.push_back(index);
      }
      *local++ = slot;
    }
    Tensor<T> rows = Tensor<T>::empty({static_cast<Index>(used_.size()), shape[1]});
    T* to = rows.mutable_data();
    for (const Index row : used_) to = std::copy_n(table_.value().data() + row * shape[1], shape[1], to);
    rows_ = Var<T>(std::move(rows), table_.requires_grad());
  }

  const Var<T>& table() const { return table_; }  ///< (V,D), as it was given
  /// The rows of the table, each once, (U).
  const std::vector<Index>& indices() const { return used_; }
  /// (U,D), in the order of their first use; requires a gradient when the table does.
  const Var<T>& rows() const { return rows_; }
  /// The indices as positions in rows(), (S).
  const Tensor<std::int64_t>& local() const { return local_; }
  /// (S,D)
  Var<T> look_up() const { return embedding(rows_, local_); }

  /// Writes the rows back into the table.
  void store() {
    const Index width = table_.shape(1);
    const T* from = rows_.value().data();
    T* to = table_.mutable_value().mutable_data();
    for (const Index row : used_) {
      std::copy_n(from, width, to + row * width);
      from += width;
    }
  }

 private:
  Var<T> table_, rows_;
  Tensor<std::int64_t> local_;
  std::vector<Index> used_;
};

}  // namespace tl::nn
