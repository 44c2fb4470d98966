// load_weights: the tensors of a file into the parameters and running statistics of a module, by name.
//
//   const auto network = tl::models::resnet18();
//   std::cout << tl::io::load_weights(*network, tl::io::read_pth("resnet18.pth")).text() << '\n';
#pragma once

#include <algorithm>
#include <concepts>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/io/named_tensors.hpp>
#include <tl/io/weight_names.hpp>
#include <tl/nn/module.hpp>

namespace tl::io {

/// What load_weights puts up with.
struct LoadWeightsOptions {
  /// Tensors of another shape, such as those of a head for other classes, are reported and not an error.
  bool skip_mismatched = false;
};

/// What load_weights did. Names are those of the module; left over are names of the file.
struct WeightsReport {
  std::vector<std::string> matched;     ///< loaded
  std::vector<std::string> missing;     ///< of the module, not in the file
  std::vector<std::string> left_over;   ///< of the file, not in the module
  std::vector<std::string> mismatched;  ///< with both shapes: "fc.weight: expected (10,512), got (1000,512)"

  /// Whether file and module have the same tensors.
  bool complete() const { return missing.empty() && left_over.empty() && mismatched.empty(); }

  /// One paragraph for people: counts, and the first names of what did not match.
  std::string text() const {
    std::string result = concat(matched.size(), " tensors loaded");
    if (complete()) return result + ": all of the network and of the file";
    const auto add = [&](const std::vector<std::string>& names, std::string_view what) {
      if (!names.empty()) result += concat("; ", names.size(), " ", what, ": ", first_of(names));
    };
    add(missing, "missing in the file");
    add(left_over, "left over in the file");
    add(mismatched, "of another shape");
    return result;
  }

  /// The first four names, for messages.
  static std::string first_of(const std::vector<std::string>& names) {
    constexpr std::size_t shown = 4;
    std::string result;
    for (std::size_t i = 0; i < std::min(shown, names.size()); ++i) result += (i > 0 ? ", " : "") + names[i];
    return result + (names.size() > shown ? ", ..." : "");
  }
};

namespace load_weights_impl {

template <class T>
std::vector<nn::Named<T>> parameters_and_buffers(const nn::Module<T>& module) {
  std::vector<nn::Named<T>> all = module.parameters();
  for (nn::Named<T>& buffer : module.buffers()) all.push_back(std::move(buffer));
  return all;
}

/// The file's tensors under the names of the module. A tensor of the very name comes before a translated one.
template <class T>
std::map<std::string, Tensor<float>> rename(const NamedTensors& file, const std::vector<nn::Named<T>>& wanted,
                                            std::vector<std::string>& left_over) {
  std::map<std::string, Tensor<float>> renamed;
  for (const nn::Named<T>& named : wanted) {
    const auto found = file.tensors.find(named.name);
    if (found != file.tensors.end()) renamed.insert(*found);
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (renamed.count(name) == 1) continue;
    const std::string own = translated_name(name);
    const bool is_wanted = std::any_of(wanted.begin(), wanted.end(),
                                       [&](const nn::Named<T>& named) { return named.name == own; });
    const bool taken = is_wanted && renamed.emplace(own, tensor).second;
    if (!taken && !name.ends_with("num_batches_tracked")) left_over.push_back(name);
  }
  return renamed;
}

}  // namespace load_weights_impl

/// Gives the module the tensors of its own names, or of the names that other libraries give the same networks
/// (io/weight_names.hpp). Throws, and changes nothing, when none fits, or when shapes differ and the option
/// does not allow it. What is missing in the file keeps its values.
template <std::floating_point T>
WeightsReport load_weights(nn::Module<T>& module, const NamedTensors& file,
                           const LoadWeightsOptions& options = {}) {
  WeightsReport report;
  const std::vector<nn::Named<T>> wanted = load_weights_impl::parameters_and_buffers(module);
  const auto found = load_weights_impl::rename(file, wanted, report.left_over);
  std::vector<std::pair<Var<T>, Tensor<float>>> pairs;
  for (const nn::Named<T>& named : wanted) {
    const auto it = found.find(named.name);
    if (it == found.end()) {
      report.missing.push_back(named.name);
    } else if (it->second.shape() != named.var.shape()) {
      report.mismatched.push_back(
          concat(named.name, ": expected ", named.var.shape(), ", got ", it->second.shape()));
    } else {
      report.matched.push_back(named.name);
      pairs.emplace_back(named.var, it->second);
    }
  }
  TL_CHECK(report.mismatched.empty() || options.skip_mismatched,
           "[load_weights] tensors have other shapes: ", WeightsReport::first_of(report.mismatched),
           ": build the network for as many classes, or allow it with skip_mismatched");
  TL_CHECK(!report.matched.empty(), "[load_weights] no tensor fits: expected names such as '",
           WeightsReport::first_of(report.missing), "', got '", WeightsReport::first_of(report.left_over),
           "': the file is of another network");
  for (auto& [var, value] : pairs) {
    const Tensor<float> source = value.to(var.value().layout());
    std::transform(source.span().begin(), source.span().end(), var.mutable_value().mutable_data(),
                   [](float x) { return static_cast<T>(x); });
  }
  return report;
}

}  // namespace tl::io
