// Var<T>: a tensor that remembers how it was computed, and the tape of those memories.
//
// apply() runs an operation and, when a gradient can reach its inputs, writes a Record: the operation, where
// the gradients of its inputs go, and the values that those gradients read; no other values are kept. Records
// are numbered in the order of execution; backward() walks them from the last to the first. Values that no
// gradient can reach leave no record.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/ops/operation.hpp>

namespace tl {

template <class T>
class Var;

template <class T>
struct Record;

/// A value in a computation. Copies are handles to the same value, as with shared_ptr.
template <class T>
class Var {
 public:
  using value_type = T;  ///< float to train, double to check gradients

  Var() = default;
  /// A leaf. With requires_grad, backward() leaves its gradient in grad().
  explicit(false) Var(Tensor<T> value, bool requires_grad = false) : state_(std::make_shared<State>()) {
    state_->value = std::move(value);
    state_->requires_grad = requires_grad;
  }

  bool defined() const { return state_ != nullptr; }            ///< false for a Var() that holds nothing
  const Tensor<T>& value() const { return state_->value; }      ///< without its history
  const Shape& shape() const { return state_->value.shape(); }  ///< of the value
  /// Its extent on that axis, in [0, rank)
  Index shape(int axis) const { return state_->value.shape(axis); }
  T item() const { return state_->value.item(); }  ///< of a value of one element; throws for others

  /// For optimizers and initialisation: changes the value in place; refused for results of operations.
  Tensor<T>& mutable_value() {
    TL_CHECK(!state_->record, "[var] expected a leaf to write to, got a result of [",
             state_->record->operation->name(), "]");
    return state_->value;
  }

  /// The gradient of the last backward() calls, summed; undefined before the first.
  const Tensor<T>& grad() const { return state_->grad; }
  /// Replaces grad(); its shape is the value's.
  void set_grad(Tensor<T> grad) { state_->grad = std::move(grad); }
  void zero_grad() { state_->grad = {}; }  ///< makes grad() undefined again
  /// Adds to grad(), in the value's layout.
  void add_grad(Tensor<T> gradient);

  /// Whether a gradient is wanted: of a leaf, whether it is trained; of a result, whether a trained leaf
  /// lies before it.
  bool requires_grad() const { return state_ && state_->requires_grad; }
  /// Freezes (false) or unfreezes a leaf.
  void set_requires_grad(bool requires_grad) {
    TL_CHECK(!state_->record, "[var] expected a leaf, got a result of [", state_->record->operation->name(),
             "]");
    state_->requires_grad = requires_grad;
    if (!requires_grad) state_->grad = {};
  }

  /// The same value, cut off from the tape.
  Var detach() const { return Var(state_->value); }

  /// Computes the gradient of this scalar with respect to every leaf that requires one, and frees the tape.
  void backward() const {
    TL_CHECK(value().size() == 1, "[backward] expected one element, or a gradient of the shape ", shape());
    backward(Tensor<T>::full(shape(), T{1}, value().layout()));
  }
  /// The same from a given gradient of this value. `when_final` is told of each leaf when its gradient is
  /// complete while others are still being computed; not of those that no gradient reaches.
  void backward(const Tensor<T>& gradient, const std::function<void(const Var&)>& when_final = {}) const;

  /// The operation that computed this value; null for leaves and where nothing was recorded.
  const std::shared_ptr<Record<T>>& record() const { return state_->record; }
  /// Whether both are handles to one value.
  bool same(const Var& other) const { return state_ == other.state_; }
  /// Equal for two handles to one value, for maps and sets.
  const void* identity() const { return state_.get(); }

 private:
  struct State {
    Tensor<T> value, grad;
    bool requires_grad = false;
    std::shared_ptr<Record<T>> record;
  };

  template <class U>
  friend Var<U> apply(OperationPtr<U> operation, std::span<const Var<U>> inputs, Mode mode);

  std::shared_ptr<State> state_;
};

/// Where the gradient of an input goes: to the operation that computed it, or to a leaf; nowhere when it is
/// not wanted. A computed input's value is not kept alive by this.
template <class T>
struct Destination {
  /// of the operation that computed the input; null for leaves
  std::shared_ptr<Record<T>> record;
  /// where the gradient is added up; undefined for computed inputs
  Var<T> leaf;
};

/// One executed operation on the tape.
template <class T>
struct Record {
  Record() = default;
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  ~Record();

  std::uint64_t number = 0;            ///< position on the tape: larger is later
  OperationPtr<T> operation;           ///< what was run
  std::vector<Destination<T>> inputs;  ///< an entry an input
  std::vector<bool> wanted;            ///< which inputs a gradient can reach
  std::optional<Saved<T>> saved;       ///< empty once backward() has used it
};

/// A tape that backward() never walked is freed in a loop: recursion from record to record would need a stack
/// as deep as the computation is long.
template <class T>
Record<T>::~Record() {
  std::vector<Destination<T>> doomed = std::move(inputs);
  while (!doomed.empty()) {
    const std::shared_ptr<Record> last = std::move(doomed.back().record);
    doomed.pop_back();
    if (last.use_count() != 1) continue;
    std::move(last->inputs.begin(), last->inputs.end(), std::back_inserter(doomed));
    last->inputs.clear();
  }
}

/// While one lives on a thread, operations of that thread leave no record.
class NoGrad {
 public:
  NoGrad() : saved_(active()) { active() = true; }
  ~NoGrad() { active() = saved_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  /// Whether one lives on this thread.
  static bool& active() {
    thread_local bool flag = false;
    return flag;
  }

 private:
  bool saved_;
};

/// Sees every operation that apply() executes on its thread; graph::trace is one.
template <class T>
class Observer {
 public:
  Observer() : previous_(current()) { current() = this; }
  virtual ~Observer() { current() = previous_; }
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// Called after each operation of this thread with what went in and came out.
  virtual void executed(const OperationPtr<T>& operation, std::span<const Var<T>> inputs,
                        const Var<T>& output) = 0;

  /// The innermost one of this thread, or null.
  static Observer*& current() {
    thread_local Observer* observer = nullptr;
    return observer;
  }

 private:
  Observer* previous_;
};

/// Runs an operation on values: the only way from tensors to the tape.
template <class T>
Var<T> apply(OperationPtr<T> operation, std::span<const Var<T>> inputs, Mode mode) {
  std::vector<Tensor<T>> values;
  values.reserve(inputs.size());
  std::vector<bool> wanted(inputs.size(), false);
  bool any_wanted = false;
  Reads reads;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    TL_CHECK(inputs[i].defined(), "[", operation->name(), "] expected a value as input ", i, ", got none");
    values.push_back(inputs[i].value());
    if (NoGrad::active() || !inputs[i].requires_grad()) continue;
    wanted[i] = any_wanted = true;
    const Reads r = operation->reads(static_cast<int>(i), mode);
    reads.inputs |= r.inputs;
    reads.output |= r.output;
    reads.context |= r.context;
  }
  TL_CHECK(!any_wanted || operation->differentiable(), "[", operation->name(),
           "] has no gradient: freeze what lies before it, or detach() its input");

  Context<T> context(mode, reads.context);
  Var<T> output(operation->forward(context, values));
  if (any_wanted) {
    static std::atomic<std::uint64_t> counter{0};
    auto record = std::make_shared<Record<T>>();
    record->number = counter.fetch_add(1, std::memory_order_relaxed);
    std::vector<Shape> shapes;
    std::vector<Layout> layouts;
    for (const Tensor<T>& value : values) {
      shapes.push_back(value.shape());
      layouts.push_back(value.layout());
    }
    record->saved.emplace(operation->name(), std::move(shapes), std::move(layouts), std::move(context));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (i < 32 ? (reads.inputs >> i & 1u) != 0 : reads.inputs == all_inputs)
        record->saved->save_input(static_cast<int>(i), values[i]);
    }
    if (reads.output) record->saved->save_output(output.value());
    record->operation = operation;
    record->inputs.resize(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!wanted[i]) continue;
      record->inputs[i].record = inputs[i].record();
      if (!inputs[i].record()) record->inputs[i].leaf = inputs[i];
    }
    record->wanted = std::move(wanted);
    output.state_->record = std::move(record);
    output.state_->requires_grad = true;
  }
  if (Observer<T>* observer = Observer<T>::current()) observer->executed(operation, inputs, output);
  return output;
}

/// apply(Linear{}, x, w, b): how the functions of tl/autograd/functions.hpp are made.
template <class T, class Op, std::same_as<Var<T>>... More>
Var<T> apply(Op op, const Var<T>& first, const More&... more) {
  const Var<T> inputs[] = {first, more...};
  return apply<T>(make_operation<T>(std::move(op)), std::span<const Var<T>>(inputs), Mode{});
}

/// The same with a mode, for operations that behave differently in training.
template <class T, class Op, std::same_as<Var<T>>... More>
Var<T> apply_in(Mode mode, Op op, const Var<T>& first, const More&... more) {
  const Var<T> inputs[] = {first, more...};
  return apply<T>(make_operation<T>(std::move(op)), std::span<const Var<T>>(inputs), mode);
}

}  // namespace tl

#include <tl/autograd/backward.hpp>
