// Tensor<T>: a shared, 64-byte-aligned buffer with a shape and a layout.
//
// Copying a tensor shares its buffer; clone() copies the elements. Every access for writing advances a
// version counter, by which the tape notices that a value it still needs was overwritten.
#pragma once

#include <atomic>
#include <concepts>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <type_traits>

#include <tl/core/memory.hpp>
#include <tl/core/shape.hpp>
#include <tl/kernels/transpose.hpp>
#include <tl/tensor/layout.hpp>

namespace tl {

/// An array of numbers with a shape and a layout. Copies share its elements; clone() copies them.
template <class T>
class Tensor {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;  ///< what it holds

  /// No tensor at all; defined() is false.
  Tensor() = default;

  /// Uninitialised elements.
  static Tensor empty(const Shape& shape, Layout layout = Layout::plain) {
    TL_CHECK(layout == Layout::plain || shape.rank() == 4,
             "[tensor] expected shape (N,C,H,W) for channels_last, got ", shape);
    Tensor tensor;
    tensor.shape_ = shape;
    tensor.layout_ = layout;
    tensor.size_ = shape.size();
    tensor.storage_ = std::make_shared<Storage>(static_cast<std::size_t>(tensor.size_));
    return tensor;
  }
  /// All elements one value.
  static Tensor full(const Shape& shape, T value, Layout layout = Layout::plain) {
    Tensor tensor = empty(shape, layout);
    std::fill_n(tensor.mutable_data(), tensor.size(), value);
    return tensor;
  }
  /// All 0.
  static Tensor zeros(const Shape& shape, Layout layout = Layout::plain) { return full(shape, T{}, layout); }
  /// All 1.
  static Tensor ones(const Shape& shape, Layout layout = Layout::plain) { return full(shape, T{1}, layout); }
  static Tensor scalar(T value) { return full(Shape{}, value); }  ///< of shape (), one element

  /// Elements that `read` writes, in plain order, when somebody first asks for them: weights of a file that
  /// may never be needed. `read` may throw, then and each time anew.
  static Tensor deferred(const Shape& shape, std::function<void(T*)> read) {
    Tensor tensor;
    tensor.shape_ = shape;
    tensor.size_ = shape.size();
    tensor.storage_ = std::make_shared<Storage>(std::move(read), static_cast<std::size_t>(tensor.size_));
    return tensor;
  }

  /// Copies values given in logical (row-major) order.
  static Tensor from(std::span<const T> values, const Shape& shape) {
    TL_CHECK(static_cast<Index>(values.size()) == shape.size(), "[tensor] expected ", shape.size(),
             " values for shape ", shape, ", got ", values.size());
    Tensor tensor = empty(shape);
    std::copy(values.begin(), values.end(), tensor.mutable_data());
    return tensor;
  }
  /// The same from a list in braces.
  static Tensor from(std::initializer_list<T> values, const Shape& shape) {
    return from(std::span<const T>(values.begin(), values.size()), shape);
  }

  bool defined() const { return storage_ != nullptr; }  ///< false for a Tensor() that holds nothing
  const Shape& shape() const { return shape_; }         ///< logical: N,C,H,W for images in either layout
  Index shape(int axis) const { return shape_[axis]; }  ///< an extent; axis in [0, rank)
  int rank() const { return shape_.rank(); }            ///< how many axes
  Index size() const { return size_; }                  ///< how many elements
  Layout layout() const { return layout_; }             ///< how they lie in memory
  /// Elements to step over in memory for each logical axis.
  Strides strides() const { return strides_of(shape_, layout_); }

  /// The elements in memory order.
  const T* data() const { return storage_ ? storage_->elements() : nullptr; }
  /// Whether the elements are not in memory yet. clone() reads them without keeping them here.
  bool is_deferred() const { return storage_ && storage_->missing.load(std::memory_order_acquire); }
  /// The elements in memory order.
  std::span<const T> span() const { return {data(), static_cast<std::size_t>(size_)}; }

  /// The elements for writing; advances version().
  T* mutable_data() {
    if (!storage_) return nullptr;
    T* elements = storage_->elements();
    storage_->version.fetch_add(1, std::memory_order_relaxed);
    return elements;
  }

  /// Grows with every access for writing, through this or any tensor that shares the buffer.
  std::uint64_t version() const { return storage_ ? storage_->version.load(std::memory_order_relaxed) : 0; }
  /// Whether both are views of the same elements.
  bool shares_buffer(const Tensor& other) const { return storage_ == other.storage_; }
  /// True when no other tensor shares the buffer, so that it may be reused for a result.
  bool unique() const { return storage_.use_count() == 1; }

  /// The element at logical indices, whatever the layout: at(n, c, h, w).
  template <std::convertible_to<Index>... Indices>
  T at(Indices... indices) const {
    return data()[offset_of(indices...)];
  }
  /// Writes the element at logical indices; throws outside the shape.
  template <std::convertible_to<Index>... Indices>
  void set(T value, Indices... indices) {
    const Index offset = offset_of(indices...);
    mutable_data()[offset] = value;
  }
  /// The value of a tensor of one element.
  T item() const {
    TL_CHECK(size_ == 1 && defined(), "[item] expected one element, got shape ", shape_);
    return *data();
  }

  /// A copy with elements of its own, in the same layout.
  Tensor clone() const {
    if (!defined()) return {};
    Tensor copy = empty(shape_, layout_);
    if (!storage_->read_missing(copy.mutable_data())) std::copy_n(data(), size_, copy.mutable_data());
    return copy;
  }

  /// The same values in the wanted layout; shares the buffer when nothing has to move.
  /// Only shapes of rank 4 have a channels_last layout; others stay plain.
  Tensor to(Layout layout) const {
    if (layout == layout_ || rank() != 4 || !defined()) return *this;
    if (layouts_coincide(shape_)) {
      Tensor same = *this;
      same.layout_ = layout;
      return same;
    }
    Tensor moved = empty(shape_, layout);
    const Index pixels = shape_[2] * shape_[3];
    if (layout == Layout::channels_last) {
      kernels::nchw_to_nhwc(shape_[0], shape_[1], pixels, data(), moved.mutable_data());
    } else {
      kernels::nhwc_to_nchw(shape_[0], shape_[1], pixels, data(), moved.mutable_data());
    }
    return moved;
  }
  Tensor plain() const { return to(Layout::plain); }  ///< the same values, the last axis innermost

  /// The elements in logical row-major order under another shape; shares the buffer of a plain tensor.
  Tensor reshape(const Shape& shape) const {
    TL_CHECK(shape.size() == size_, "[reshape] expected ", size_, " elements as in ", shape_, ", got ",
             shape);
    Tensor view = plain();
    view.shape_ = shape;
    return view;
  }

  /// The same memory as another shape of as many elements in a layout.
  Tensor reinterpret(const Shape& shape, Layout layout) const {
    TL_CHECK(shape.size() == size_ && (layout == Layout::plain || shape.rank() == 4),
             "[reinterpret] expected ", size_, " elements, got ", shape);
    Tensor view = *this;
    view.shape_ = shape;
    view.layout_ = layout;
    return view;
  }

  /// The values converted by static_cast; this tensor itself where U is T.
  template <class U>
  Tensor<U> cast() const {
    if constexpr (std::is_same_v<U, T>) {
      return *this;
    } else {
      Tensor<U> result = Tensor<U>::empty(shape_, layout_);
      std::transform(data(), data() + size_, result.mutable_data(),
                     [](T value) { return static_cast<U>(value); });
      return result;
    }
  }

  /// Something computed from the elements and kept beside them until they change, such as packed weights.
  /// One object a buffer: the newest `make()` replaces what was kept. Safe from several threads.
  template <class Derived, class Make>
  std::shared_ptr<const Derived> derived(std::uint64_t key, const Make& make) const {
    const std::lock_guard lock(storage_->derived_mutex);
    auto& kept = storage_->derived;
    if (!kept.object || kept.key != key || kept.version != version() || kept.type != type_tag<Derived>()) {
      kept = {std::make_shared<const Derived>(make()), type_tag<Derived>(), key, version()};
    }
    return std::static_pointer_cast<const Derived>(kept.object);
  }

 private:
  struct Kept {
    std::shared_ptr<const void> object;
    const void* type = nullptr;
    std::uint64_t key = 0, version = 0;
  };
  struct Storage {
    explicit Storage(std::size_t count) : array(count) {}
    Storage(std::function<void(T*)> read_elements, std::size_t elements_count)
        : missing(true), read(std::move(read_elements)), missing_count(elements_count) {}

    T* elements() {
      if (missing.load(std::memory_order_acquire)) [[unlikely]]
        keep_missing();
      return array.data();
    }
    void keep_missing() {
      const std::lock_guard lock(read_mutex);
      if (!missing.load(std::memory_order_relaxed)) return;
      AlignedArray<T> fresh(missing_count);
      read(fresh.data());
      array = std::move(fresh);
      read = nullptr;
      missing.store(false, std::memory_order_release);
    }
    /// Reads missing elements to another place; false when they are here.
    bool read_missing(T* to) {
      const std::lock_guard lock(read_mutex);
      if (!missing.load(std::memory_order_relaxed)) return false;
      read(to);
      return true;
    }

    AlignedArray<T> array;
    std::atomic<bool> missing{false};  ///< the elements, which `read` can deliver
    std::function<void(T*)> read;
    std::size_t missing_count = 0;
    std::mutex read_mutex;
    std::atomic<std::uint64_t> version{0};
    std::mutex derived_mutex;
    Kept derived;
  };

  template <class Derived>
  static const void* type_tag() {
    static const char tag = 0;
    return &tag;
  }

  template <class... Indices>
  Index offset_of(Indices... indices) const {
    TL_CHECK(static_cast<int>(sizeof...(indices)) == rank(), "[tensor] expected ", rank(), " indices for ",
             shape_, ", got ", sizeof...(indices));
    const Strides strides = this->strides();
    Index offset = 0;
    int axis = 0;
    const auto add = [&](Index index) {
      TL_CHECK(index >= 0 && index < shape_[axis], "[tensor] expected an index below ", shape_[axis],
               " on axis ", axis, ", got ", index);
      offset += index * strides[static_cast<std::size_t>(axis++)];
    };
    (add(static_cast<Index>(indices)), ...);
    return offset;
  }

  std::shared_ptr<Storage> storage_;
  Shape shape_;
  Layout layout_ = Layout::plain;
  Index size_ = 0;
};

}  // namespace tl
