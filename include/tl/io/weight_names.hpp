// The names that other libraries give the weights of a network of tl::models.
//
// torchvision and timm name ResNets as tl does. EfficientNet-Lite0 has timm's names (tf_efficientnet_lite0)
// here; the Python package efficientnet_lite_pytorch has others, which are translated:
//
//   _conv_stem, _bn0, _conv_head, _bn1, _fc                    conv_stem, bn1, conv_head, bn2, classifier
//   _blocks.5._expand_conv, ._bn0, ._depthwise_conv, ._bn1,    blocks.3.0.conv_pw, .bn1, .conv_dw, .bn2,
//            ._project_conv, ._bn2                                        .conv_pwl, .bn3
#pragma once

#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace tl::io {

namespace weight_names_impl {

using Renaming = std::pair<std::string_view, std::string_view>;

/// "bn1.weight" for "_bn0.weight"; empty where no line of the table fits.
template <std::size_t lines>
std::string rename_first(std::string_view name, const std::array<Renaming, lines>& table) {
  const std::string_view first = name.substr(0, name.find('.'));
  for (const auto& [from, to] : table) {
    if (first == from) return std::string(to) + std::string(name.substr(first.size()));
  }
  return {};
}

/// "blocks.S.B." for the blocks counted through all stages of EfficientNet-Lite0; empty beyond the last.
inline std::string stage_prefix(int block) {
  constexpr int blocks[] = {1, 2, 2, 3, 3, 4, 1};
  for (int stage = 0; stage < 7; block -= blocks[stage++]) {
    if (block < blocks[stage]) return "blocks." + std::to_string(stage) + "." + std::to_string(block) + ".";
  }
  return {};
}

/// A name without its "_blocks.".
inline std::string rename_block(std::string_view name) {
  // The first block has no expansion, which shifts the numbers of what follows.
  constexpr std::array<Renaming, 4> first{
      {{"_depthwise_conv", "conv_dw"}, {"_bn1", "bn1"}, {"_project_conv", "conv_pw"}, {"_bn2", "bn2"}}};
  constexpr std::array<Renaming, 6> others{{{"_expand_conv", "conv_pw"},
                                            {"_bn0", "bn1"},
                                            {"_depthwise_conv", "conv_dw"},
                                            {"_bn1", "bn2"},
                                            {"_project_conv", "conv_pwl"},
                                            {"_bn2", "bn3"}}};
  int block = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), block);
  const auto digits = static_cast<std::size_t>(end - name.data());
  if (error != std::errc() || block < 0 || digits >= name.size() || name[digits] != '.') return {};
  const std::string_view inside = name.substr(digits + 1);
  const std::string prefix = stage_prefix(block);
  const std::string renamed = block == 0 ? rename_first(inside, first) : rename_first(inside, others);
  return prefix.empty() || renamed.empty() ? std::string() : prefix + renamed;
}

}  // namespace weight_names_impl

/// The name that tl gives the tensor which another library calls `name`; empty where there is none.
inline std::string translated_name(std::string_view name) {
  using namespace weight_names_impl;
  constexpr std::string_view blocks = "_blocks.";
  constexpr std::array<Renaming, 5> outside{{{"_conv_stem", "conv_stem"},
                                             {"_bn0", "bn1"},
                                             {"_conv_head", "conv_head"},
                                             {"_bn1", "bn2"},
                                             {"_fc", "classifier"}}};
  if (name.substr(0, blocks.size()) == blocks) return rename_block(name.substr(blocks.size()));
  return rename_first(name, outside);
}

}  // namespace tl::io
