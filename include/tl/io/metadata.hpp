// Text that travels inside a model: the names of its classes, how images become its input, and a reference
// (reference.hpp).
//
// They stand in the model's metadata (an ONNX file's metadata_props) under the keys below.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/core/error.hpp>

namespace tl::io {

/// Text that travels with a model, as ONNX's metadata_props.
using Metadata = std::map<std::string, std::string>;

/// One name a line, in the order of the network's outputs.
inline constexpr const char* labels_key = "tl.labels";
/// A preprocessing specification, for example resize=256,bicubic,crop=224,mean=127,std=128,rgb.
inline constexpr const char* preprocess_key = "tl.preprocess";
/// A .npy file in base64 (io/reference.hpp).
inline constexpr const char* reference_input_key = "tl.reference.input";
/// A .npy file in base64.
inline constexpr const char* reference_output_key = "tl.reference.output";
/// A line for each value of the network.
inline constexpr const char* reference_layers_key = "tl.reference.layers";

/// Stores the names of the classes. They may not hold line feeds.
inline void set_labels(Metadata& metadata, const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) {
    TL_CHECK(label.find('\n') == std::string::npos, "[labels] expected names without line feeds, got '",
             label, "'");
    text += label + '\n';
  }
  metadata[labels_key] = std::move(text);
}

/// The names of the classes, empty where the model has none.
inline std::vector<std::string> labels(const Metadata& metadata) {
  std::vector<std::string> names;
  const auto it = metadata.find(labels_key);
  if (it == metadata.end()) return names;
  for (std::string_view rest = it->second; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

/// The preprocessing specification, empty where the model has none.
inline std::string preprocess_spec(const Metadata& metadata) {
  const auto it = metadata.find(preprocess_key);
  return it == metadata.end() ? std::string() : it->second;
}

/// Whether there are an input and its output.
inline bool has_reference(const Metadata& metadata) {
  return metadata.count(reference_input_key) > 0 && metadata.count(reference_output_key) > 0;
}

/// Removes the reference: it holds for the weights it was made with.
inline void drop_reference(Metadata& metadata) {
  for (const char* key : {reference_input_key, reference_output_key, reference_layers_key})
    metadata.erase(key);
}

}  // namespace tl::io
