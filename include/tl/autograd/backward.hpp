// backward(): the tape walked from the last record to the first.
//
//   dL/dx = sum over the operations y_k that read x of (dy_k/dx)^T dL/dy_k
//
// (reverse-mode differentiation, Linnainmaa 1970). Gradients and saved values are released as soon as they
// have been used, so the peak of memory is about that of the forward pass.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include <tl/autograd/var.hpp>
#include <tl/kernels/elementwise.hpp>

namespace tl {

/// sum += term, in place when nobody else holds the sum. An undefined sum becomes the term, without a copy.
template <class T>
void accumulate(Tensor<T>& sum, Tensor<T> term) {
  if (!sum.defined()) {
    sum = std::move(term);
    return;
  }
  TL_CHECK(sum.shape() == term.shape(), "[backward] expected a gradient of shape ", sum.shape(), ", got ",
           term.shape());
  if (!sum.unique()) {
    if (term.unique()) {
      std::swap(sum, term);
    } else {
      sum = sum.clone();
    }
  }
  term = term.to(sum.layout());
  kernels::add_in_place(sum.size(), term.data(), sum.mutable_data());
}

template <class T>
void Var<T>::add_grad(Tensor<T> gradient) {
  TL_CHECK(gradient.shape() == shape(), "[backward] expected a gradient of shape ", shape(), ", got ",
           gradient.shape());
  if (gradient.layout() != value().layout()) gradient = gradient.to(value().layout());
  // A gradient is its leaf's own, so that scaling one in place does not scale another.
  if (!state_->grad.defined() && !gradient.unique()) gradient = gradient.clone();
  accumulate(state_->grad, std::move(gradient));
}

namespace backward_impl {

/// How often the operations that lead to a value read each leaf that wants a gradient, by the leaf's
/// identity.
template <class T>
std::map<const void*, Index> uses_of_leaves(const std::shared_ptr<Record<T>>& last) {
  std::map<const void*, Index> uses;
  std::vector<const Record<T>*> open{last.get()};
  std::set<const Record<T>*> seen{last.get()};
  while (!open.empty()) {
    const Record<T>* record = open.back();
    open.pop_back();
    for (const Destination<T>& input : record->inputs) {
      if (input.record) {
        if (seen.insert(input.record.get()).second) open.push_back(input.record.get());
      } else if (input.leaf.requires_grad()) {
        ++uses[input.leaf.identity()];
      }
    }
  }
  return uses;
}

}  // namespace backward_impl

template <class T>
void Var<T>::backward(const Tensor<T>& gradient, const std::function<void(const Var&)>& when_final) const {
  TL_CHECK(defined() && gradient.shape() == shape(), "[backward] expected a gradient of shape ", shape(),
           ", got ", gradient.shape());
  TL_CHECK(requires_grad(), "[backward] nothing requires a gradient: is every parameter frozen?");

  struct Pending {
    std::shared_ptr<Record<T>> record;
    Tensor<T> dy;
  };
  std::map<std::uint64_t, Pending> pending;  // by position on the tape
  const auto deliver = [&pending](Destination<T> target, Tensor<T> term) {
    if (target.record) {
      Pending& entry = pending[target.record->number];
      entry.record = std::move(target.record);
      accumulate(entry.dy, std::move(term));
    } else if (target.leaf.requires_grad()) {  // unless frozen since it was read
      target.leaf.add_grad(std::move(term));
    }
  };
  std::map<const void*, Index> uses;
  if (when_final && record()) uses = backward_impl::uses_of_leaves(record());
  deliver({record(), *this}, gradient);

  while (!pending.empty()) {
    Pending current = std::move(pending.extract(std::prev(pending.end())).mapped());
    Record<T>& record = *current.record;
    TL_CHECK(record.saved.has_value(),
             "[backward] the tape of this value was used already: run forward again");
    GradSink<T> sink(record.wanted);
    record.operation->backward(*record.saved, current.dy, sink);
    for (int i = 0; i < record.saved->input_count(); ++i) {
      TL_CHECK(!sink.gradient(i).defined() || sink.gradient(i).shape() == record.saved->input_shape(i), "[",
               record.operation->name(), "] expected a gradient of shape ", record.saved->input_shape(i),
               " for input ", i, ", got ", sink.gradient(i).shape());
    }
    record.saved.reset();
    current.dy = {};
    std::vector<Destination<T>> inputs = std::exchange(record.inputs, {});
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Tensor<T>& term = sink.gradient(static_cast<int>(i));
      const Var<T> leaf = inputs[i].leaf;
      if (record.wanted[i] && term.defined()) deliver(std::move(inputs[i]), std::move(term));
      if (when_final && leaf.requires_grad() && --uses[leaf.identity()] == 0) when_final(leaf);
    }
  }
}

}  // namespace tl
