// Augmentation: random changes of a training image that leave its class as it is.
//
// Every draw comes from Rng(seed, epoch, sample, operation): the same image in the same epoch looks the same
// at any number of threads and after a resume. Random resized crop and colour jitter follow torchvision; the
// arithmetic of brightness, contrast and saturation is that of Pillow's ImageEnhance.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include <tl/core/rng.hpp>
#include <tl/data/preprocess.hpp>

namespace tl::data {

/// Names the random numbers of one image in one epoch.
struct AugmentKey {
  std::uint64_t seed = 0;    ///< of the training
  std::uint64_t epoch = 0;   ///< from 0
  std::uint64_t sample = 0;  ///< index into the data set
};

/// Which part of an image is seen in training.
enum class AugmentCrop {
  none,            ///< as in evaluation: resize and centre
  random_resized,  ///< a random part of random proportions, resized
  padded,          ///< as in evaluation, then shifted by up to `padding` pixels: for small images
};

/// A random part of an image: `scale` of its area, width / height in `ratio`. After ten tries in vain, the
/// largest central part whose proportions are in `ratio`.
inline Box random_resized_crop_box(Size image, std::array<double, 2> scale, std::array<double, 2> ratio,
                                   Rng& rng) {
  const double area = static_cast<double>(image.height) * static_cast<double>(image.width);
  const auto box = [](Index top, Index left, Index height, Index width) {
    return Box{static_cast<float>(left), static_cast<float>(top), static_cast<float>(left + width),
               static_cast<float>(top + height)};
  };
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * rng.uniform(scale[0], scale[1]);
    const double proportions = std::exp(rng.uniform(std::log(ratio[0]), std::log(ratio[1])));
    const auto width = static_cast<Index>(std::nearbyint(std::sqrt(target * proportions)));
    const auto height = static_cast<Index>(std::nearbyint(std::sqrt(target / proportions)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const auto top = static_cast<Index>(rng.below(static_cast<std::uint64_t>(image.height - height + 1)));
    const auto left = static_cast<Index>(rng.below(static_cast<std::uint64_t>(image.width - width + 1)));
    return box(top, left, height, width);
  }
  Index height = image.height, width = image.width;
  const double whole_ratio = static_cast<double>(width) / static_cast<double>(height);
  if (whole_ratio < ratio[0]) {
    height = std::clamp<Index>(static_cast<Index>(std::nearbyint(static_cast<double>(width) / ratio[0])), 1,
                               height);
  } else if (whole_ratio > ratio[1]) {
    width = std::clamp<Index>(static_cast<Index>(std::nearbyint(static_cast<double>(height) * ratio[1])), 1,
                              width);
  }
  return box((image.height - height) / 2, (image.width - width) / 2, height, width);
}

/// Mirrors left and right in place.
inline void flip_horizontal(Image& image) {
  for (Index y = 0; y < image.height(); ++y) {
    std::uint8_t* left = image.row(y);
    std::uint8_t* right = left + image.row_bytes() - Image::channels;
    for (; left < right; left += Image::channels, right -= Image::channels) {
      std::swap_ranges(left, left + Image::channels, right);
    }
  }
}

/// The image moved `down` and `right` by so many pixels (negative: up, left); black comes in.
inline Image shifted(const Image& image, Index down, Index right) {
  Image result(image.size());
  std::memset(result.data(), 0, static_cast<std::size_t>(result.bytes()));
  const Index count = image.width() - std::abs(right);
  for (Index y = std::max<Index>(0, down); count > 0 && y < std::min(image.height(), image.height() + down);
       ++y) {
    std::memcpy(result.row(y) + Image::channels * std::max<Index>(0, right),
                image.row(y - down) + Image::channels * std::max<Index>(0, -right),
                static_cast<std::size_t>(Image::channels * count));
  }
  return result;
}

/// Turned counter-clockwise about the centre, bilinear; the border is repeated outwards.
inline Image rotated(const Image& image, double degrees) {
  const double angle = degrees * std::numbers::pi / 180, cosine = std::cos(angle), sine = std::sin(angle);
  const double middle_y = static_cast<double>(image.height() - 1) / 2;
  const double middle_x = static_cast<double>(image.width() - 1) / 2;
  Image result(image.size());
  std::uint8_t* to = result.data();
  for (Index y = 0; y < image.height(); ++y) {
    for (Index x = 0; x < image.width(); ++x, to += Image::channels) {
      const double dy = static_cast<double>(y) - middle_y, dx = static_cast<double>(x) - middle_x;
      const double from_y = std::clamp(middle_y + sine * dx + cosine * dy, 0.0, 2 * middle_y);
      const double from_x = std::clamp(middle_x + cosine * dx - sine * dy, 0.0, 2 * middle_x);
      const auto top = static_cast<Index>(from_y), left = static_cast<Index>(from_x);
      const double below = from_y - static_cast<double>(top), beside = from_x - static_cast<double>(left);
      const std::uint8_t* upper = image.row(top) + Image::channels * left;
      const std::uint8_t* lower = top + 1 < image.height() ? upper + image.row_bytes() : upper;
      const Index next = left + 1 < image.width() ? Image::channels : 0;
      for (Index c = 0; c < Image::channels; ++c) {
        const double above = upper[c] + beside * (upper[c + next] - upper[c]);
        const double under = lower[c] + beside * (lower[c + next] - lower[c]);
        to[c] = static_cast<std::uint8_t>(above + below * (under - above) + 0.5);
      }
    }
  }
  return result;
}

namespace augment_impl {

/// ITU-R BT.601 luma in 16-bit fixed point.
inline std::uint8_t luma(const std::uint8_t* pixel) {
  return static_cast<std::uint8_t>((pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16);
}

/// from + factor (to - from), cut off to a byte.
inline std::uint8_t blend(int from, int to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return value <= 0 ? std::uint8_t{0} : value >= 255 ? std::uint8_t{255} : static_cast<std::uint8_t>(value);
}

/// Blends all samples with one gray value, by a table.
inline void blend_with(Image& image, int gray, float factor) {
  std::array<std::uint8_t, 256> table;
  for (int v = 0; v < 256; ++v) table[static_cast<std::size_t>(v)] = blend(gray, v, factor);
  for (Index i = 0; i < image.bytes(); ++i) image.data()[i] = table[image.data()[i]];
}

}  // namespace augment_impl

/// Factor 0 gives black, 1 the image, more a brighter one.
inline void adjust_brightness(Image& image, float factor) { augment_impl::blend_with(image, 0, factor); }

/// Factor 0 gives the mean gray, 1 the image, more a stronger contrast.
inline void adjust_contrast(Image& image, float factor) {
  if (image.empty()) return;
  const Index pixels = image.height() * image.width();
  std::int64_t sum = 0;
  for (Index i = 0; i < pixels; ++i) sum += augment_impl::luma(image.data() + Image::channels * i);
  const double mean = static_cast<double>(sum) / static_cast<double>(pixels);
  augment_impl::blend_with(image, static_cast<int>(mean + 0.5), factor);
}

/// Factor 0 gives a gray image, 1 the image, more stronger colours.
inline void adjust_saturation(Image& image, float factor) {
  std::uint8_t* pixel = image.data();
  for (Index i = 0; i < image.height() * image.width(); ++i, pixel += Image::channels) {
    const int gray = augment_impl::luma(pixel);
    for (Index c = 0; c < Image::channels; ++c) pixel[c] = augment_impl::blend(gray, pixel[c], factor);
  }
}

/// The random changes of training images. The defaults suit photos and transfer learning.
struct Augment {
  AugmentCrop crop = AugmentCrop::random_resized;  ///< which part of the image is seen
  std::array<double, 2> scale{0.35, 1.0};          ///< part of the area, random_resized
  std::array<double, 2> ratio{3.0 / 4, 4.0 / 3};   ///< width / height, random_resized
  Index padding = 4;                               ///< pixels, padded
  double flip = 0.5;                               ///< probability of mirroring left and right
  double rotation = 0;                             ///< up to so many degrees either way
  double brightness = 0.2;                         ///< factor in [1 - value, 1 + value]
  double contrast = 0.2;                           ///< the same
  double saturation = 0.2;                         ///< the same

  /// No change at all: training sees what evaluation sees.
  static Augment none() {
    return {.crop = AugmentCrop::none,
            .scale = {1, 1},
            .ratio = {1, 1},
            .padding = 0,
            .flip = 0,
            .rotation = 0,
            .brightness = 0,
            .contrast = 0,
            .saturation = 0};
  }
  /// For images of a few dozen pixels, such as CIFAR's: shift by up to 4 and mirror.
  static Augment small_images() {
    Augment augment = none();
    augment.crop = AugmentCrop::padded;
    augment.padding = 4;
    augment.flip = 0.5;
    return augment;
  }

  /// Whether images stay as in evaluation.
  bool does_nothing() const {
    return crop == AugmentCrop::none && flip == 0 && rotation == 0 && brightness == 0 && contrast == 0 &&
           saturation == 0;
  }

  /// Throws tl::Error when a value makes no sense.
  void check() const {
    TL_CHECK(scale[0] > 0 && scale[0] <= scale[1] && scale[1] <= 1, "[augment] expected 0 < scale <= 1, got ",
             scale[0], " to ", scale[1]);
    TL_CHECK(ratio[0] > 0 && ratio[0] <= ratio[1] && std::isfinite(ratio[1]),
             "[augment] expected a ratio above 0, got ", ratio[0], " to ", ratio[1]);
    TL_CHECK(padding >= 0, "[augment] expected padding of at least 0, got ", padding);
    TL_CHECK(flip >= 0 && flip <= 1, "[augment] expected a probability of flips in 0 to 1, got ", flip);
    TL_CHECK(rotation >= 0 && rotation <= 180, "[augment] expected a rotation of 0 to 180 degrees, got ",
             rotation);
    for (double change : {brightness, contrast, saturation}) {
      TL_CHECK(change >= 0 && change <= 1, "[augment] expected colour changes in 0 to 1, got ", change);
    }
  }

  /// The image at its final place: `size` is what the preprocessing makes of it. Random where a random part
  /// is cut; otherwise always the same, so that it may be kept.
  Image place(const Image& image, const Preprocess& preprocess, Size size, const AugmentKey& key) const {
    if (crop != AugmentCrop::random_resized) return preprocess.geometry(image);
    Rng rng = random(key, cut);
    const Box part = random_resized_crop_box(image.size(), scale, ratio, rng);
    return resize(image, size.height, size.width, preprocess.filter, part);
  }

  /// The random changes that keep the size: shift, mirror, rotation, colours.
  Image vary(Image image, const AugmentKey& key) const {
    if (crop == AugmentCrop::padded && padding > 0) {
      Rng rng = random(key, shift);
      const auto span = static_cast<std::uint64_t>(2 * padding + 1);
      const Index down = static_cast<Index>(rng.below(span)) - padding;
      const Index right = static_cast<Index>(rng.below(span)) - padding;
      image = shifted(image, down, right);
    }
    if (flip > 0 && random(key, mirror).chance(flip)) flip_horizontal(image);
    if (rotation > 0) image = rotated(image, random(key, turn).uniform(-rotation, rotation));
    jitter(image, random(key, colour));
    return image;
  }

  /// place() and vary(): the image as training sees it, of `size`.
  Image apply(const Image& image, const Preprocess& preprocess, Size size, const AugmentKey& key) const {
    return vary(place(image, preprocess, size, key), key);
  }

 private:
  /// The numbers are part of the results: they may not change. 0 belongs to the order of an epoch.
  enum Operation : std::uint64_t { cut = 1, mirror = 2, turn = 3, colour = 4, shift = 5 };

  static Rng random(const AugmentKey& key, Operation operation) {
    return Rng(key.seed, key.epoch, key.sample, operation);
  }

  /// The three colour changes in random order.
  void jitter(Image& image, Rng rng) const {
    std::array<int, 3> order{0, 1, 2};
    rng.shuffle(order);
    for (int change : order) {
      const double width = change == 0 ? brightness : change == 1 ? contrast : saturation;
      const auto factor = static_cast<float>(rng.uniform(1 - width, 1 + width));
      if (width == 0) continue;
      if (change == 0) adjust_brightness(image, factor);
      if (change == 1) adjust_contrast(image, factor);
      if (change == 2) adjust_saturation(image, factor);
    }
  }
};

}  // namespace tl::data
