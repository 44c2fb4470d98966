// Operations that move values without changing them: reshape, flatten, transpose, slice, concat, pad.
#pragma once

#include <span>
#include <vector>

#include <tl/ops/operation.hpp>
#include <tl/tensor/move.hpp>

namespace tl::ops {

/// The same values, in row-major order, under another shape. As in ONNX, an extent of 0 copies the input's
/// and one extent of -1 is what remains.
struct Reshape {
  static constexpr std::string_view name = "reshape";
  std::vector<Index> shape;  ///< extents; 0 copies the input's, one may be -1

  Shape infer(const Shape& x) const {
    std::vector<Index> extents = shape;
    Index known = 1;
    std::ptrdiff_t open = -1;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      if (extents[i] == 0) {
        TL_CHECK(static_cast<int>(i) < x.rank(), "[reshape] expected an input of at least ", i + 1,
                 " axes, got ", x);
        extents[i] = x[static_cast<int>(i)];
      }
      if (extents[i] == -1) {
        TL_CHECK(open < 0, "[reshape] expected at most one extent of -1, got two");
        open = static_cast<std::ptrdiff_t>(i);
      } else {
        TL_CHECK(extents[i] >= 0 && !__builtin_mul_overflow(known, extents[i], &known),
                 "[reshape] expected extents of at least -1, got ", extents[i]);
      }
    }
    if (open >= 0) {
      TL_CHECK(known > 0 && x.size() % known == 0, "[reshape] expected a size divisible by ", known, ", got ",
               x);
      extents[static_cast<std::size_t>(open)] = x.size() / known;
    }
    const Shape y{std::span<const Index>(extents)};
    TL_CHECK(y.size() == x.size(), "[reshape] expected ", x.size(), " elements as in ", x, ", got ", y);
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return x.reshape(infer(x.shape()));
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, dy.reshape(s.input_shape(0)));
  }
};

/// (d0, .., d_axis, ..) -> (d0 * .. * d_(axis-1), d_axis * ..)
struct Flatten {
  static constexpr std::string_view name = "flatten";
  /// The first axis that goes into the second extent, up to the rank; negative ones count from the end.
  Index axis = 1;

  Shape infer(const Shape& x) const {
    const int split = axis == x.rank() ? x.rank() : x.axis(axis, name);
    Shape y{1, 1};
    for (int i = 0; i < x.rank(); ++i) y[i < split ? 0 : 1] *= x[i];
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return x.reshape(infer(x.shape()));
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, dy.reshape(s.input_shape(0)));
  }
};

/// Axis k of y is axis axes[k] of x.
struct Transpose {
  static constexpr std::string_view name = "transpose";
  std::vector<int> axes;  ///< each axis of x once

  Shape infer(const Shape& x) const {
    TL_CHECK(static_cast<int>(axes.size()) == x.rank(), "[transpose] expected ", x.rank(), " axes for ", x,
             ", got ", axes.size());
    Shape y = x;
    unsigned seen = 0;
    for (int k = 0; k < x.rank(); ++k) {
      const int axis = x.axis(axes[static_cast<std::size_t>(k)], name);
      TL_CHECK((seen >> axis & 1u) == 0, "[transpose] expected each axis once, got axis ", axis, " twice");
      seen |= 1u << axis;
      y[k] = x[axis];
    }
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return permute<T>(x, axes);
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    std::vector<int> inverse(axes.size());
    for (std::size_t k = 0; k < axes.size(); ++k)
      inverse[static_cast<std::size_t>(s.input_shape(0).axis(axes[k]))] = static_cast<int>(k);
    d.add(0, permute<T>(dy, inverse));
  }
};

/// From start (included) to end (not included) by step on the named axes; negative positions count from the
/// end, positions beyond the ends are clamped (NumPy's and ONNX's rule).
struct Slice {
  static constexpr std::string_view name = "slice";
  /// What is taken along one axis.
  struct Range {
    Index axis = 0;   ///< negative ones count from the end
    Index start = 0;  ///< the first position
    Index end = 0;    ///< the position behind the last
    Index step = 1;   ///< not 0; below 0 backwards
  };
  std::vector<Range> ranges;  ///< axes that none names are taken whole

  Shape infer(const Shape& x) const { return window(x).shape; }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    return slice(x, window(x.shape()));
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    d.add(0, unslice(dy, window(s.input_shape(0)), s.input_shape(0)));
  }

 private:
  Window window(const Shape& x) const {
    const auto rank = static_cast<std::size_t>(x.rank());
    Window result{std::vector<Index>(rank, 0), std::vector<Index>(rank, 1), x};
    for (const Range& range : ranges) {
      const int axis = x.axis(range.axis, name);
      const Index extent = x[axis], step = range.step;
      TL_CHECK(step != 0, "[slice] expected a step other than 0 on axis ", axis);
      const auto position = [&](Index at) {
        const Index shifted = at < 0 ? at + extent : at;
        return step > 0 ? std::clamp<Index>(shifted, 0, extent) : std::clamp<Index>(shifted, -1, extent - 1);
      };
      // An end below -extent with a negative step is clamped to -1: through the first element.
      const Index first = position(range.start), last = position(range.end);
      const bool empty = step > 0 ? first >= last : first <= last;
      result.start[static_cast<std::size_t>(axis)] = first;
      result.step[static_cast<std::size_t>(axis)] = step;
      result.shape[axis] = empty ? 0 : (last - first - (step > 0 ? 1 : -1)) / step + 1;
    }
    return result;
  }
};

/// Inputs joined along one axis; the other extents agree.
struct Concat {
  static constexpr std::string_view name = "concat";
  Index axis = 1;  ///< negative ones count from the end

  Shape infer(std::span<const Shape> parts) const {
    TL_CHECK(!parts.empty(), "[concat] expected at least one input, got none");
    Shape y = parts[0];
    const int along = y.axis(axis, name);
    for (const Shape& part : parts.subspan(1)) {
      Shape same = part;
      TL_CHECK(part.rank() == y.rank(), "[concat] expected inputs of equal rank, got ", y, " and ", part);
      same[along] = y[along];
      TL_CHECK(same == y, "[concat] expected equal extents but for axis ", along, ", got ", parts[0], " and ",
               part);
      y[along] += part[along];
    }
    return y;
  }
  template <class T>
  Tensor<T> forward(std::span<const Tensor<T>> parts) const {
    std::vector<Shape> shapes;
    for (const Tensor<T>& part : parts) shapes.push_back(part.shape());
    const Shape shape = infer(shapes);
    return concat(parts, shape.axis(axis), shape);
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const {
    const int along = dy.shape().axis(axis);
    Index start = 0;
    for (int i = 0; i < s.input_count(); ++i) {
      const Index extent = s.input_shape(i)[along];
      if (d.wants(i)) d.add(i, slice(dy, window_along(dy.shape(), along, start, extent)));
      start += extent;
    }
  }
};

/// The input surrounded by a constant; negative amounts crop. One amount an axis.
struct Pad {
  static constexpr std::string_view name = "pad";
  std::vector<Index> before;  ///< positions added ahead of each axis
  std::vector<Index> after;   ///< positions added behind each axis
  double value = 0;           ///< what the border is filled with

  Shape infer(const Shape& x) const {
    TL_CHECK(before.size() == static_cast<std::size_t>(x.rank()) && after.size() == before.size(),
             "[pad] expected ", x.rank(), " amounts before and after for ", x, ", got ", before.size(),
             " and ", after.size());
    Shape y = x;
    for (int axis = 0; axis < x.rank(); ++axis) {
      const auto a = static_cast<std::size_t>(axis);
      y[axis] = x[axis] + before[a] + after[a];
      TL_CHECK(y[axis] >= 0, "[pad] expected extents of at least 0, got ", y[axis], " on axis ", axis, " of ",
               x);
    }
    return y;
  }
  template <class T>
  Tensor<T> forward(const Tensor<T>& x) const {
    infer(x.shape());
    return pad<T>(x, before, after, static_cast<T>(value));
  }
  static constexpr Reads reads(int) { return {}; }
  template <class T>
  void backward(const Saved<T>&, const Tensor<T>& dy, GradSink<T>& d) const {
    std::vector<Index> crop_before, crop_after;
    for (std::size_t i = 0; i < before.size(); ++i) {
      crop_before.push_back(-before[i]);
      crop_after.push_back(-after[i]);
    }
    d.add(0, pad<T>(dy, crop_before, crop_after, T{0}));
  }
};

}  // namespace tl::ops
