// What an operation is: the protocol that tape, graph, importer and exporter share.
//
// An operation is a plain struct: its attributes as members and
//
//   static constexpr std::string_view name = "linear";
//   Shape infer(const Shape& x, const Shape& w) const;                 shapes in, shape out; checks them
//   Tensor<T> forward(const Tensor<T>& x, const Tensor<T>& w) const;   values in, value out
//   static constexpr Reads reads(int input);                           what the gradient of one input reads
//   void backward(const Saved<T>& s, const Tensor<T>& dy, GradSink<T>& d) const;
//
// Optional inputs are overloads of forward and infer; any number of inputs is a std::span<const Tensor<T>>
// (std::span<const Shape>). An operation that behaves differently in training, draws random numbers or keeps
// intermediate results for its gradient takes a Context<T>& before its inputs; reads may take a Mode after
// the input. An operation that has no gradient leaves out reads and backward.
#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <string_view>
#include <typeinfo>
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl {

/// The saved values that the gradient with respect to one input reads; nothing else is kept by the tape.
struct Reads {
  unsigned inputs = 0;   ///< bit i: the value of input i
  bool output = false;   ///< the operation's result
  bool context = false;  ///< what forward kept with Context::keep
};
/// For Reads::inputs: the values of all inputs, however many.
inline constexpr unsigned all_inputs = ~0u;

/// Whether forward trains or infers.
struct Mode {
  bool training = false;  ///< true: dropout drops, batch normalisation uses the batch
};

/// What forward may know about the call, and where it keeps intermediate results for its gradient.
template <class T>
class Context {
 public:
  /// `recording`: the call may be followed by a gradient.
  Context(Mode mode, bool recording) : mode_(mode), recording_(recording) {}

  bool training() const { return mode_.training; }  ///< whether forward trains
  /// True when a gradient that reads kept values may follow.
  bool recording() const { return recording_; }
  /// Random numbers of this call alone, keyed by the step and the operation's place in it (RandomScope).
  Rng random_stream() const { return RandomScope::next_stream(); }

  /// Keeps a value for backward, where Saved::kept(i) gives it back; i counts the calls from 0.
  void keep(Tensor<T> value) { kept_.push_back(std::move(value)); }
  /// Keeps indices for backward; one tensor, the last one given.
  void keep_indices(Tensor<std::int32_t> indices) { indices_ = std::move(indices); }

  const std::vector<Tensor<T>>& kept() const { return kept_; }  ///< what keep() was given, in order
  /// Undefined when keep_indices() was not called.
  const Tensor<std::int32_t>& kept_indices() const { return indices_; }

 private:
  Mode mode_;
  bool recording_;
  std::vector<Tensor<T>> kept_;
  Tensor<std::int32_t> indices_;
};

/// The values a gradient may read. Asking for one that Reads did not name throws.
template <class T>
class Saved {
 public:
  /// Shapes and layouts of the inputs, and what forward kept; values come by save_input and save_output.
  Saved(std::string_view operation, std::vector<Shape> input_shapes, std::vector<Layout> input_layouts,
        Context<T> context)
      : operation_(operation),
        shapes_(std::move(input_shapes)),
        layouts_(std::move(input_layouts)),
        inputs_(shapes_.size()),
        context_(std::move(context)) {}

  /// Keeps input i; copies no elements.
  void save_input(int i, const Tensor<T>& value) { inputs_[static_cast<std::size_t>(i)] = Versioned(value); }
  /// Keeps the operation's result; copies no elements.
  void save_output(const Tensor<T>& value) { output_ = Versioned(value); }

  /// Of the call that is differentiated.
  int input_count() const { return static_cast<int>(shapes_.size()); }
  /// Of input i; known whether or not its value was kept.
  const Shape& input_shape(int i) const { return shapes_[static_cast<std::size_t>(i)]; }
  Layout input_layout(int i) const { return layouts_[static_cast<std::size_t>(i)]; }  ///< of input i
  /// Input i; throws where reads() did not name it or it was written to since.
  const Tensor<T>& input(int i) const { return get(inputs_[static_cast<std::size_t>(i)]); }
  /// The operation's result; throws as input() does.
  const Tensor<T>& output() const { return get(output_); }
  const Context<T>& context() const { return context_; }  ///< as forward left it
  /// The value of the i-th Context::keep.
  const Tensor<T>& kept(int i) const { return context_.kept().at(static_cast<std::size_t>(i)); }
  /// What Context::keep_indices was given.
  const Tensor<std::int32_t>& kept_indices() const { return context_.kept_indices(); }

 private:
  struct Versioned {
    Versioned() = default;
    explicit Versioned(const Tensor<T>& tensor) : value(tensor), version(tensor.version()) {}
    Tensor<T> value;
    std::uint64_t version = 0;
  };

  const Tensor<T>& get(const Versioned& saved) const {
    TL_CHECK(saved.value.defined(), "[", operation_,
             "] the gradient asks for a value that reads() did not name");
    TL_CHECK(saved.value.version() == saved.version, "[", operation_, "] expected its saved value of shape ",
             saved.value.shape(),
             " unchanged until backward, got one written to since: write to a clone() instead");
    return saved.value;
  }

  std::string_view operation_;
  std::vector<Shape> shapes_;
  std::vector<Layout> layouts_;
  std::vector<Versioned> inputs_;
  Versioned output_;
  Context<T> context_;
};

/// Receives the gradients of an operation's inputs; those nobody wants are not asked for.
template <class T>
class GradSink {
 public:
  /// `wanted`: for each input, whether its gradient is asked for.
  explicit GradSink(std::vector<bool> wanted) : wanted_(std::move(wanted)), gradients_(wanted_.size()) {}

  /// Whether the gradient of input i is asked for.
  bool wants(int i) const { return wanted_[static_cast<std::size_t>(i)]; }
  /// Hands over the gradient of input i, of that input's shape; at most once an input.
  void add(int i, Tensor<T> gradient) { gradients_[static_cast<std::size_t>(i)] = std::move(gradient); }
  /// Of input i; undefined when none was added.
  Tensor<T>& gradient(int i) { return gradients_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<bool> wanted_;
  std::vector<Tensor<T>> gradients_;
};

/// An operation of any kind behind one interface: what tape and graph hold.
template <class T>
class Operation {
 public:
  virtual ~Operation() = default;
  /// Such as "linear"; the same for every operation of a kind.
  virtual std::string_view name() const = 0;
  /// The result's shape; throws tl::Error where the inputs are too many, too few or do not fit together.
  virtual Shape infer(std::span<const Shape> inputs) const = 0;
  /// The result of the inputs, which have the shapes that infer() accepts.
  virtual Tensor<T> forward(Context<T>& context, std::span<const Tensor<T>> inputs) const = 0;
  virtual bool differentiable() const = 0;  ///< false: backward() throws
  /// What backward() reads for the gradient of one input.
  virtual Reads reads(int input, Mode mode) const = 0;
  /// Gives `sink` the gradients it wants, from `dy`, the gradient of the result, of its shape.
  virtual void backward(const Saved<T>& saved, const Tensor<T>& dy, GradSink<T>& sink) const = 0;

  /// The operation itself when it is an Op, else nullptr.
  template <class Op>
  const Op* get_if() const {
    return type() == typeid(Op) ? static_cast<const Op*>(address()) : nullptr;
  }

 protected:
  virtual const std::type_info& type() const = 0;  ///< of the operation that is held
  virtual const void* address() const = 0;         ///< of the operation that is held
};

/// Operations do not change, so that tapes and graphs share them.
template <class T>
using OperationPtr = std::shared_ptr<const Operation<T>>;

namespace operation_impl {

/// call(f, values, first...) = f(first..., values[0], ..., values[n-1]) for the n that f accepts, or
/// f(first..., values).
template <class Result, class F, class Value, class... First>
Result call(std::string_view name, const F& f, std::span<const Value> v, First&... first) {
  if constexpr (std::invocable<F, First&..., std::span<const Value>>) {
    return f(first..., v);
  } else {
    switch (v.size()) {
      case 1:
        if constexpr (std::invocable<F, First&..., Value>) return f(first..., v[0]);
        break;
      case 2:
        if constexpr (std::invocable<F, First&..., Value, Value>) return f(first..., v[0], v[1]);
        break;
      case 3:
        if constexpr (std::invocable<F, First&..., Value, Value, Value>) return f(first..., v[0], v[1], v[2]);
        break;
      case 4:
        if constexpr (std::invocable<F, First&..., Value, Value, Value, Value>)
          return f(first..., v[0], v[1], v[2], v[3]);
        break;
      case 5:
        if constexpr (std::invocable<F, First&..., Value, Value, Value, Value, Value>)
          return f(first..., v[0], v[1], v[2], v[3], v[4]);
        break;
      case 6:
        if constexpr (std::invocable<F, First&..., Value, Value, Value, Value, Value, Value>)
          return f(first..., v[0], v[1], v[2], v[3], v[4], v[5]);
        break;
      default:
        break;
    }
    fail("[", name, "] expected another number of inputs, got ", v.size());
  }
}

template <class Op>
concept HasReadsOfMode = requires(const Op& op) {
  { op.reads(0, Mode{}) } -> std::same_as<Reads>;
};
template <class Op>
concept HasReads = HasReadsOfMode<Op> || requires(const Op& op) {
  { op.reads(0) } -> std::same_as<Reads>;
};

template <class T, class Op>
class Holder final : public Operation<T> {
 public:
  explicit Holder(Op op) : op_(std::move(op)) {}

  std::string_view name() const override { return Op::name; }

  Shape infer(std::span<const Shape> inputs) const override {
    const auto infer = [this](const auto&... shapes) -> Shape requires requires(const Op& op) {
      op.infer(shapes...);
    }
    { return op_.infer(shapes...); };
    return call<Shape>(name(), infer, inputs);
  }

  Tensor<T> forward(Context<T>& context, std::span<const Tensor<T>> inputs) const override {
    const auto forward = [this](Context<T> & c, const auto&... values) -> Tensor<T>
    requires requires(const Op& op) { op.forward(c, values...); } || requires(const Op& op) {
      op.forward(values...);
    }
    {
      if constexpr (requires(const Op& op) { op.forward(c, values...); }) {
        return op_.forward(c, values...);
      } else {
        return op_.forward(values...);
      }
    };
    return call<Tensor<T>>(name(), forward, inputs, context);
  }

  bool differentiable() const override { return HasReads<Op>; }

  Reads reads([[maybe_unused]] int input, [[maybe_unused]] Mode mode) const override {
    if constexpr (HasReadsOfMode<Op>) {
      return op_.reads(input, mode);
    } else if constexpr (HasReads<Op>) {
      return op_.reads(input);
    } else {
      return {};
    }
  }

  void backward([[maybe_unused]] const Saved<T>& saved, [[maybe_unused]] const Tensor<T>& dy,
                [[maybe_unused]] GradSink<T>& sink) const override {
    if constexpr (HasReads<Op>) {
      op_.backward(saved, dy, sink);
    } else {
      fail("[", name(), "] has no gradient: freeze what lies before it, or detach() its input");
    }
  }

 protected:
  const std::type_info& type() const override { return typeid(Op); }
  const void* address() const override { return &op_; }

 private:
  Op op_;
};

}  // namespace operation_impl

/// Puts an operation struct behind the interface; `Op` follows the protocol at the top of
/// ops/operation.hpp.
template <class T, class Op>
OperationPtr<T> make_operation(Op op) {
  return std::make_shared<const operation_impl::Holder<T, Op>>(std::move(op));
}

}  // namespace tl
