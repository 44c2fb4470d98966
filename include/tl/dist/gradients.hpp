// GradientSum: gradients summed over all processes while the backward pass goes on.
//
//   loss of the whole batch = sum over processes of share_p loss_p       share_p = images_p / images
//   gradient                = sum over processes of share_p dloss_p/dw
//
// Gradients are copied into buckets in the order in which the backward pass finishes them, about that of the
// parameters from the last to the first; a full bucket is summed in the background while the layers below are
// still computing. Buckets are begun in the same order everywhere. Source: Li et al. 2020,
// https://arxiv.org/abs/2006.15704.
#pragma once

#include <algorithm>
#include <map>
#include <span>
#include <vector>

#include <tl/core/memory.hpp>
#include <tl/core/process_group.hpp>
#include <tl/optim/optimiser.hpp>

namespace tl::dist {

/// Sums the gradients of one optimiser's parameters over the processes of a group.
template <class T>
class GradientSum {
 public:
  /// Of the parameters of an optimiser, which must stand in the same order in every process. A bucket holds
  /// about so many bytes.
  GradientSum(ProcessGroup& group, const optim::Optimiser<T>& optimiser,
              std::size_t bucket_bytes = std::size_t{4} << 20)
      : group_(&group), optimiser_(&optimiser), bucket_elements_(bucket_bytes / sizeof(T)) {}

  /// loss.backward(share), after which every process has the gradients of the whole batch.
  void backward(const Var<T>& loss, double share) {
    arrange();
    loss.backward(Tensor<T>::full(loss.shape(), static_cast<T>(share)),
                  [this](const Var<T>& parameter) { ready(parameter); });
    for (Bucket& bucket : buckets_) {
      if (!bucket.begun) begin(bucket);
    }
    group_->finish();
    for (const Bucket& bucket : buckets_) take_back(bucket);
  }

 private:
  struct Bucket {
    std::vector<Var<T>> parameters;
    AlignedArray<T> sums;
    std::size_t waiting = 0;  ///< parameters whose gradients are not final yet
    bool begun = false;
  };

  /// Buckets of what is trained now, from the last parameter to the first.
  void arrange() {
    std::vector<Var<T>> trained;
    for (const optim::ParameterGroup<T>& params : optimiser_->groups()) {
      for (const nn::Named<T>& param : params.params) {
        if (param.var.requires_grad()) trained.push_back(param.var);
      }
    }
    std::reverse(trained.begin(), trained.end());
    const auto same = [](const Var<T>& a, const Var<T>& b) { return a.same(b); };
    if (!std::equal(trained.begin(), trained.end(), trained_.begin(), trained_.end(), same)) divide(trained);
    for (Bucket& bucket : buckets_) {
      bucket.waiting = bucket.parameters.size();
      bucket.begun = false;
    }
    next_ = 0;
  }
  void divide(const std::vector<Var<T>>& trained) {
    trained_ = trained;
    buckets_.clear();
    bucket_of_.clear();
    std::size_t elements = bucket_elements_;
    for (const Var<T>& parameter : trained) {
      const auto size = static_cast<std::size_t>(parameter.value().size());
      if (elements + size > bucket_elements_) {
        buckets_.emplace_back();
        elements = 0;
      }
      elements += size;
      buckets_.back().parameters.push_back(parameter);
      bucket_of_[parameter.identity()] = buckets_.size() - 1;
    }
    for (Bucket& bucket : buckets_) {
      std::size_t total = 0;
      for (const Var<T>& parameter : bucket.parameters)
        total += static_cast<std::size_t>(parameter.value().size());
      bucket.sums = AlignedArray<T>(total);
    }
  }

  /// A gradient is final. Buckets are begun in their order, whatever becomes final first.
  void ready(const Var<T>& parameter) {
    const auto found = bucket_of_.find(parameter.identity());
    if (found == bucket_of_.end()) return;
    --buckets_[found->second].waiting;
    while (next_ < buckets_.size() && buckets_[next_].waiting == 0) begin(buckets_[next_++]);
    group_->advance();
  }
  /// A parameter that the loss does not reach here adds nothing.
  void begin(Bucket& bucket) {
    T* to = bucket.sums.data();
    for (const Var<T>& parameter : bucket.parameters) {
      const Index size = parameter.value().size();
      if (parameter.grad().defined()) {
        std::copy_n(parameter.grad().data(), size, to);
      } else {
        std::fill_n(to, size, T{0});
      }
      to += size;
    }
    bucket.begun = true;
    group_->begin_sum({bucket.sums.data(), bucket.sums.size()});
  }
  void take_back(const Bucket& bucket) {
    const T* from = bucket.sums.data();
    for (Var<T> parameter : bucket.parameters) {
      const Tensor<T>& value = parameter.value();
      Tensor<T> gradient = parameter.grad();
      if (!gradient.defined()) gradient = Tensor<T>::empty(value.shape(), value.layout());
      parameter.zero_grad();  // so that the gradient has one owner, and is written in place
      std::copy_n(from, value.size(), gradient.mutable_data());
      parameter.set_grad(std::move(gradient));
      from += value.size();
    }
  }

  ProcessGroup* group_;
  const optim::Optimiser<T>* optimiser_;
  std::size_t bucket_elements_;
  std::vector<Var<T>> trained_;
  std::vector<Bucket> buckets_;
  std::map<const void*, std::size_t> bucket_of_;  ///< by the identity of the parameter
  std::size_t next_ = 0;                          ///< the bucket to begin next
};

/// Parameters that are trained become those of the first process: processors with other instruction sets
/// round the steps of an optimiser differently.
template <class T>
void broadcast_trained(ProcessGroup& group, const nn::Module<T>& network) {
  for (nn::Named<T> parameter : network.parameters()) {
    if (!parameter.var.requires_grad()) continue;
    Tensor<T>& value = parameter.var.mutable_value();
    const std::span<T> elements(value.mutable_data(), static_cast<std::size_t>(value.size()));
    group.broadcast(std::as_writable_bytes(elements), 0);
  }
}

/// Buffers, such as running statistics, become their means over all processes; those that are equal
/// everywhere are not written to.
template <class T>
void average_buffers(ProcessGroup& group, const nn::Module<T>& network) {
  std::vector<double> sums;
  for (const nn::Named<T>& buffer : network.buffers()) {
    const auto values = buffer.var.value().span();
    sums.insert(sums.end(), values.begin(), values.end());
  }
  group.sum(std::span<double>(sums));
  auto sum = sums.begin();
  for (nn::Named<T> buffer : network.buffers()) {
    std::vector<T> means(static_cast<std::size_t>(buffer.var.value().size()));
    for (T& mean : means) mean = static_cast<T>(*sum++ / group.size());
    const auto now = buffer.var.value().span();
    if (std::equal(means.begin(), means.end(), now.begin())) continue;
    std::copy(means.begin(), means.end(), buffer.var.mutable_value().mutable_data());
  }
}

}  // namespace tl::dist
