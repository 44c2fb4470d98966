// Overflow: where the numbers of a training first stopped being numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>

#include <tl/nn/module.hpp>

namespace tl::train {

namespace overflow_impl {

/// The first value that is infinite or not a number; 0 where there is none.
inline float first_bad(const Tensor<float>& x) {
  const std::span<const float> values = x.span();
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  return bad == values.end() ? 0 : *bad;
}

/// Remembers the first operation that gives such a value.
class Watch final : public Observer<float> {
 public:
  explicit Watch(const nn::Module<float>& network) {
    for (const nn::Named<float>& p : network.parameters()) names_[p.var.identity()] = p.name;
  }

  void executed(const OperationPtr<float>& operation, std::span<const Var<float>> inputs,
                const Var<float>& output) override {
    if (!found_.empty()) return;
    const float bad = first_bad(output.value());
    if (bad == 0) return;
    found_ = concat("[", operation->name(), "]");
    for (const Var<float>& input : inputs) {
      const auto parameter = names_.find(input.identity());
      if (parameter == names_.end()) continue;
      found_ += concat(" with the parameter '", parameter->second, "'");
      break;
    }
    found_ += concat(" is the first to give ", bad);
  }

  const std::string& found() const { return found_; }

 private:
  std::map<const void*, std::string> names_;
  std::string found_;
};

}  // namespace overflow_impl

/// Names the first parameter with a value that is no finite number or, where there is none, the first
/// operation of a forward pass in training that gives one; empty where there is neither. Running statistics
/// are not kept as they were.
inline std::string first_overflow(nn::Module<float>& network, const Tensor<float>& images) {
  for (const nn::Named<float>& p : network.parameters()) {
    const float bad = overflow_impl::first_bad(p.var.value());
    if (bad != 0) return concat("the parameter '", p.name, "' holds ", bad);
  }
  const NoGrad no_grad;
  overflow_impl::Watch watch(network);
  network.forward(Var<float>(images));
  return watch.found();
}

}  // namespace tl::train
