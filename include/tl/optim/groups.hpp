// Parameter groups: which parameters share a rate and a weight decay.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tl/optim/optimiser.hpp>

namespace tl::optim {

/// Appends groups of one rate: weights, which decay, and parameters of one axis (biases, scale and shift of
/// batch normalisation), which do not (He et al. 2018, https://arxiv.org/abs/1812.01187, section 3.1).
template <class T>
void add_groups(std::vector<ParameterGroup<T>>& groups, const std::vector<nn::Named<T>>& params, double lr,
                const std::string& name = {}) {
  ParameterGroup<T> weights{.params = {}, .lr = lr, .name = name};
  ParameterGroup<T> others{.params = {}, .lr = lr, .weight_decay = 0, .name = name};
  for (const nn::Named<T>& p : params) (p.var.shape().rank() > 1 ? weights : others).params.push_back(p);
  for (ParameterGroup<T>* group : {&weights, &others}) {
    if (!group->params.empty()) groups.push_back(std::move(*group));
  }
}

}  // namespace tl::optim
