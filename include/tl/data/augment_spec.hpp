// Augmentation as text: what `tl finetune --augment` reads.
//
//   none | photos | light | small        as it is; photos are the defaults of augment.hpp
//   flip=0.5,rotation=10,scale=0.5/1     these alone
//   light,rotation=10                    these in place of the preset's
//
//   flip=P           probability of mirroring left and right
//   rotation=D       up to D degrees either way
//   scale=A/B        a random part of the image, A to B of its area
//   ratio=A/B        its width / height, with scale
//   shift=N          moved by up to N pixels, in place of scale
//   color=X          brightness, contrast and saturation in [1 - X, 1 + X]; brightness=, contrast=,
//   saturation=
//                    one by one
#pragma once

#include <array>
#include <cmath>
#include <optional>
#include <string_view>

#include <tl/core/numbers.hpp>
#include <tl/data/augment.hpp>

namespace tl::data {

namespace augment_impl {

inline double read_number(std::string_view text, std::string_view part) {
  const std::optional<double> value = parse_number<double>(text);
  TL_CHECK(value && std::isfinite(*value), "[augment] '", part, "': expected a number, got '", text, "'");
  return *value;
}

/// "A/B"; "A" is A/1.
inline std::array<double, 2> read_range(std::string_view text, std::string_view part) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {read_number(text, part), 1};
  return {read_number(text.substr(0, slash), part), read_number(text.substr(slash + 1), part)};
}

inline Augment preset(std::string_view name) {
  if (name == "none") return Augment::none();
  if (name == "photos") return {};
  if (name == "small") return Augment::small_images();
  TL_CHECK(name == "light", "[augment] '", name,
           "': expected none, light, photos or small, or what is varied, such as flip=0.5,rotation=10");
  Augment light = Augment::none();
  light.crop = AugmentCrop::random_resized;
  light.scale = {0.7, 1};
  light.flip = 0.5;
  return light;
}

inline void set(Augment& augment, std::string_view part) {
  const std::size_t equals = part.find('=');
  const std::string_view key = part.substr(0, equals), value = part.substr(equals + 1);
  const auto number = [&] { return read_number(value, part); };
  if (key == "flip") {
    augment.flip = number();
  } else if (key == "rotation") {
    augment.rotation = number();
  } else if (key == "scale") {
    augment.crop = AugmentCrop::random_resized;
    augment.scale = read_range(value, part);
  } else if (key == "ratio") {
    augment.ratio = read_range(value, part);
  } else if (key == "shift") {
    const double pixels = number();
    TL_CHECK(pixels >= 0 && pixels <= 1000 && pixels == std::floor(pixels), "[augment] '", part,
             "': expected whole pixels, 0 to 1000");
    augment.crop = AugmentCrop::padded;
    augment.padding = static_cast<Index>(pixels);
  } else if (key == "color") {
    augment.brightness = augment.contrast = augment.saturation = number();
  } else if (key == "brightness") {
    augment.brightness = number();
  } else if (key == "contrast") {
    augment.contrast = number();
  } else if (key == "saturation") {
    augment.saturation = number();
  } else {
    fail("[augment] '", part,
         "': expected flip=, rotation=, scale=, ratio=, shift=, color=, brightness=, contrast= or "
         "saturation=");
  }
}

}  // namespace augment_impl

/// Reads a specification as above; throws tl::Error when it makes no sense.
inline Augment parse_augment(std::string_view spec) {
  Augment augment = Augment::none();
  augment.ratio = Augment{}.ratio;
  for (std::size_t at = 0; at <= spec.size();) {
    const std::size_t end = std::min(spec.find(',', at), spec.size());
    const std::string_view part = spec.substr(at, end - at);
    if (part.find('=') != std::string_view::npos) {
      augment_impl::set(augment, part);
    } else {
      TL_CHECK(at == 0, "[augment] '", part, "': expected a preset at the beginning of '", spec, "' only");
      augment = augment_impl::preset(part);
    }
    at = end + 1;
  }
  augment.check();
  return augment;
}

}  // namespace tl::data
