// Positions of one axis, in any order and as often as wanted: shuffled channels, mirrored borders, enlarged
// images.
//
//   y(..., i, ...) = x(..., indices[i], ...)
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/ops/operation.hpp>

namespace tl::ops {

/// The indices are part of the operation: no gradient flows to them.
struct Take {
  static constexpr std::string_view name = "take";
  Index axis = 0;              ///< negative ones count from the end
  std::vector<Index> indices;  ///< each in [0, extent of the axis)

  Shape infer(const Shape& x) const {
    Shape y = x;
    const int along = x.axis(axis, name);
    for (const Index index : indices)
      TL_CHECK(index >= 0 && index < x[along], "[take] expected indices below ", x[along], " on axis ", along,
               " of ", x, ", got ", index);
    y[along] = static_cast<Index>(indices.size());
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    Tensor<T> y = Tensor<T>::empty(infer(x.shape()), x.layout());
    const Runs runs(x.shape(), x.layout(), x.shape().axis(axis));
    const T* from = x.data();
    T* to = y.mutable_data();
    const Index count = y.shape()[y.shape().axis(axis)];
    parallel_for(runs.outer, grain(count * runs.inner), [&](Index begin, Index end) {
      for (Index o = begin; o < end; ++o) {
        for (Index i = 0; i < count; ++i) {
          std::copy_n(from + (o * runs.extent + indices[static_cast<std::size_t>(i)]) * runs.inner,
                      runs.inner, to + (o * count + i) * runs.inner);
        }
      }
    });
    return y;
  }

  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const Shape& shape = s.input_shape(0);
    Tensor<T> dx = Tensor<T>::zeros(shape, dy.layout());
    const Runs runs(shape, dy.layout(), shape.axis(axis));
    const T* from = dy.data();
    T* to = dx.mutable_data();
    const Index count = static_cast<Index>(indices.size());
    parallel_for(runs.outer, grain(count * runs.inner), [&](Index begin, Index end) {
      for (Index o = begin; o < end; ++o) {
        for (Index i = 0; i < count; ++i) {
          T* sum = to + (o * runs.extent + indices[static_cast<std::size_t>(i)]) * runs.inner;
          const T* part = from + (o * count + i) * runs.inner;
          for (Index k = 0; k < runs.inner; ++k) sum[k] += part[k];
        }
      }
    });
    d.add(0, std::move(dx));
  }

 private:
  /// Memory as (outer, extent, inner), extent being that of the axis.
  struct Runs {
    Index outer = 1, extent = 1, inner = 1;
    Runs(const Shape& shape, Layout layout, int axis) : extent(shape[axis]) {
      const bool last_channels = layout == Layout::channels_last && shape.rank() == 4;
      const auto place = [&](int a) { return !last_channels ? a : a == 0 ? 0 : a == 1 ? 3 : a - 1; };
      for (int a = 0; a < shape.rank(); ++a) {
        if (place(a) < place(axis)) outer *= shape[a];
        if (place(a) > place(axis)) inner *= shape[a];
      }
    }
  };
  static Index grain(Index elements) {
    return std::max<Index>(1, (Index{1} << 14) / std::max<Index>(1, elements));
  }
};

}  // namespace tl::ops
