// Parameter groups: which parameters share a rate and a weight decay, and rates of their own for some.
#pragma once

#include <string>
#include <string_view>
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

/// Gives the parameters whose names match a glob (nn::glob_match) a rate of their own; their weight decay and
/// the name of their group stay. Returns how many matched.
template <class T>
Index set_rate(std::vector<ParameterGroup<T>>& groups, std::string_view pattern, double lr) {
  Index matched = 0;
  std::vector<ParameterGroup<T>> result;
  for (ParameterGroup<T>& group : groups) {
    ParameterGroup<T> own{.params = {}, .lr = lr, .weight_decay = group.weight_decay, .name = group.name};
    std::erase_if(group.params, [&](const nn::Named<T>& p) {
      if (!nn::glob_match(pattern, p.name)) return false;
      own.params.push_back(p);
      return true;
    });
    matched += static_cast<Index>(own.params.size());
    for (ParameterGroup<T>* part : {&group, &own}) {
      if (!part->params.empty()) result.push_back(std::move(*part));
    }
  }
  groups = std::move(result);
  return matched;
}

}  // namespace tl::optim
