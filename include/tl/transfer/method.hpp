// Which layers a fine-tuning trains.
//
//   features    none: the last layer is computed from the features before it (transfer/classifiers/)
//   head        the new last layer; everything before it is frozen
//   last:N      the last N layers, the head among them
//   full        every layer
//   two-stage   the same, by the name that fastai gives to beginning with the head
//   gradual     the head, and with every epoch one more stage below it (layers.hpp): Howard, Ruder 2018,
//               https://arxiv.org/abs/1801.06146
//
// last:N and full begin with an epoch of the head alone (train/fine_tune.hpp).
#pragma once

#include <charconv>
#include <ostream>
#include <string_view>

#include <tl/core/shape.hpp>

namespace tl::transfer {

/// Which layers are trained; transfer/method.hpp says what each means.
enum class MethodKind { features, head, last, full, two_stage, gradual };

/// Which layers a fine-tuning trains.
struct Method {
  MethodKind kind = MethodKind::two_stage;  ///< two_stage: every layer, the head first
  Index layers = 0;                         ///< of last:N

  /// Reads "features", "head", "last:3", "full", "two-stage" or "gradual".
  static Method parse(std::string_view text) {
    if (text == "features") return {MethodKind::features};
    if (text == "head") return {MethodKind::head};
    if (text == "full") return {MethodKind::full};
    if (text == "two-stage") return {MethodKind::two_stage};
    if (text == "gradual") return {MethodKind::gradual};
    constexpr std::string_view prefix = "last:";
    Method method{MethodKind::last};
    const bool numbered = text.substr(0, prefix.size()) == prefix;
    const std::string_view number = numbered ? text.substr(prefix.size()) : std::string_view{};
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), method.layers);
    TL_CHECK(numbered && error == std::errc{} && end == number.data() + number.size() && method.layers >= 1,
             "unknown method '", text,
             "': expected features, head, last:N (such as last:3), full, two-stage or gradual");
    return method;
  }
  /// As parse() reads it.
  friend std::ostream& operator<<(std::ostream& out, const Method& method) {
    switch (method.kind) {
      case MethodKind::features:
        return out << "features";
      case MethodKind::head:
        return out << "head";
      case MethodKind::full:
        return out << "full";
      case MethodKind::two_stage:
        return out << "two-stage";
      case MethodKind::gradual:
        return out << "gradual";
      case MethodKind::last:
        break;
    }
    return out << "last:" << method.layers;
  }
};

}  // namespace tl::transfer
