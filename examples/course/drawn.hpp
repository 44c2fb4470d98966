// Drawn things to learn from where no photos are at hand: four kinds of flowers, each time of other size,
// place, colours, number of petals and noise, so that no single pixel or colour tells the kind.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <numbers>
#include <string>

#include <tl/core/rng.hpp>
#include <tl/data/encode.hpp>
#include <tl/data/image.hpp>

namespace course {

inline constexpr const char* kinds[] = {"bell", "daisy", "rose", "star"};

/// One flower of a kind, an index into kinds; `number` makes it another one each time. (side,side)
inline tl::data::Image draw(std::size_t kind, std::uint64_t number, tl::Index side = 64) {
  tl::Rng random(number, kind);
  const double centre_x = random.uniform(0.35, 0.65), centre_y = random.uniform(0.35, 0.65);
  const double size = random.uniform(0.2, 0.34), turn = random.uniform(0, 2 * std::numbers::pi);
  const double petals = static_cast<double>(5 + random.below(4));
  double petal_colour[3], ground[3];
  for (double& c : petal_colour) c = random.uniform(90, 255);
  for (double& c : ground) c = random.uniform(0, 140);
  tl::data::Image image(side, side);
  for (tl::Index y = 0; y < side; ++y) {
    std::uint8_t* pixel = image.row(y);
    for (tl::Index x = 0; x < side; ++x, pixel += 3) {
      const double dx = (static_cast<double>(x) + 0.5) / static_cast<double>(side) - centre_x;
      const double dy = (static_cast<double>(y) + 0.5) / static_cast<double>(side) - centre_y;
      const double r = std::sqrt(dx * dx + dy * dy) / size, angle = std::atan2(dy, dx) + turn;
      const double wave = std::cos(petals * angle);
      bool inside = false;
      switch (kind) {
        case 0:
          inside = std::abs(dx) < size * (0.35 + 0.5 * (dy / size + 0.6)) && std::abs(dy) < 0.6 * size;
          break;
        case 1:
          inside = r < 0.65 + 0.35 * std::sqrt(std::abs(wave)) && r > 0.3;
          break;
        case 2:
          inside = r < 1 && std::fmod(3.5 * r + angle / std::numbers::pi + 4, 1) < 0.6;
          break;
        default:
          inside = r < 0.45 + 0.55 * (1 - 2 / std::numbers::pi * std::acos(wave));
          break;
      }
      for (int c = 0; c < 3; ++c) {
        const double value = (inside ? petal_colour[c] : ground[c]) + 18 * random.normal();
        pixel[c] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
  return image;
}

/// Writes FOLDER/KIND/0.png and so on, `count` of each of the first `kinds_used` kinds; `first` tells sets
/// apart.
inline void draw_folder(const std::filesystem::path& folder, int count, std::size_t kinds_used = 4,
                        std::uint64_t first = 0) {
  for (std::size_t kind = 0; kind < kinds_used; ++kind) {
    std::filesystem::create_directories(folder / kinds[kind]);
    for (int i = 0; i < count; ++i)
      tl::data::write_png(folder / kinds[kind] / (std::to_string(i) + ".png"),
                          draw(kind, first + static_cast<std::uint64_t>(i)));
  }
}

}  // namespace course
