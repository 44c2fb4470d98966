// Preprocessing: what a network expects to be done to an image before it sees it.
//
//   resize (shorter side, or exactly HxW), crop the centre, then per channel  y = (x - mean) / std
//
// with pixels x, mean and std on the 0-255 scale. Spec strings such as
//   resize=256,bicubic,crop=224,mean=127,std=128,rgb
// name the parts in any order; what is left out is not done. Geometry as torchvision's Resize, CenterCrop.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <tl/core/numbers.hpp>
#include <tl/data/resize.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::data {

/// Which channel comes first.
enum class ColourOrder { rgb, bgr };

/// What a network expects to be done to an image. Steps are done in this order; what is left out is not
/// done.
struct Preprocess {
  std::optional<Index> resize_short;     ///< the shorter side becomes this long
  std::optional<Size> resize_exact;      ///< or: exactly this size, whatever the proportions
  Filter filter = Filter::bilinear;      ///< of the resizing
  std::optional<Size> crop;              ///< the centre; a smaller image gets black borders
  std::array<double, 3> mean{0, 0, 0};   ///< 0-255 scale, in the network's order of channels
  std::array<double, 3> std{1, 1, 1};    ///< what channels are divided by, 0-255 scale
  ColourOrder order = ColourOrder::rgb;  ///< of the channels that the network sees

  /// torchvision's for ImageNet: short side 256 bilinear, crop 224.
  static Preprocess imagenet() {
    return {.resize_short = 256,
            .resize_exact = {},
            .filter = Filter::bilinear,
            .crop = Size{224, 224},
            .mean = {123.675, 116.28, 103.53},
            .std = {58.395, 57.12, 57.375},
            .order = ColourOrder::rgb};
  }

  /// Reads a spec string. Throws tl::Error, which names the faulty part.
  static Preprocess parse(std::string_view spec);
  /// The spec string; parse() gives the same preprocessing back.
  std::string to_string() const;
  /// Same spec string.
  friend bool operator==(const Preprocess& a, const Preprocess& b) { return a.to_string() == b.to_string(); }

  /// Throws tl::Error when a value makes no sense: sizes outside 1..10000, std not above 0, ...
  void check() const;

  /// The size every image gets, where it does not depend on the image.
  std::optional<Size> fixed_size() const { return crop ? crop : resize_exact; }
  /// The size that an image of this size gets.
  Size output_size(Size image) const {
    return crop           ? *crop
           : resize_exact ? *resize_exact
           : resize_short ? short_side_size(image, *resize_short)
                          : image;
  }

  /// Resize and crop. Computes only what the crop keeps.
  Image geometry(const Image& image) const;

  /// image (H,W) to (1,3,H',W') channels_last, normalised.
  Tensor<float> apply(const Image& image) const;
  /// The same into H'*W'*3 floats of a channels_last batch; the image must come out at `size`.
  void apply(const Image& image, Size size, float* slot) const;
};

/// Bytes to normalised floats by three tables of 256 exactly rounded values.
class Normaliser {
 public:
  /// Of its mean, std and order.
  explicit Normaliser(const Preprocess& preprocess) : reversed_(preprocess.order == ColourOrder::bgr) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t v = 0; v < 256; ++v) {
        table_[c][v] = static_cast<float>((static_cast<double>(v) - preprocess.mean[c]) / preprocess.std[c]);
      }
    }
  }

  /// Pixels of an image to as many floats, channel innermost.
  void operator()(const Image& image, float* to) const {
    const std::uint8_t* from = image.data();
    const int first = reversed_ ? 2 : 0, last = 2 - first;
    for (Index i = 0; i < image.height() * image.width(); ++i, from += 3, to += 3) {
      to[0] = table_[0][from[first]];
      to[1] = table_[1][from[1]];
      to[2] = table_[2][from[last]];
    }
  }

 private:
  bool reversed_;
  std::array<std::array<float, 256>, 3> table_;
};

namespace preprocess_impl {

inline constexpr Index largest = 10000;
inline constexpr Index most_pixels = 100'000'000;

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <class Number>
Number read_number(std::string_view text, std::string_view part) {
  const std::optional<Number> value = parse_number<Number>(text);
  TL_CHECK(value, "[preprocess] '", part, "': expected a number, got '", text, "'");
  return *value;
}

inline Index read_extent(std::string_view text, std::string_view part) {
  const Index value = read_number<Index>(text, part);
  TL_CHECK(value >= 1 && value <= largest, "[preprocess] '", part, "': expected a size of 1 to ", largest,
           ", got ", value);
  return value;
}

/// "224" or "HxW".
inline Size read_size(std::string_view text, std::string_view part) {
  const std::size_t times = text.find('x');
  if (times == std::string_view::npos) {
    const Index side = read_extent(text, part);
    return {side, side};
  }
  return {read_extent(text.substr(0, times), part), read_extent(text.substr(times + 1), part)};
}

/// "127" for all channels or "a/b/c".
inline std::array<double, 3> read_three(std::string_view text, std::string_view part) {
  std::vector<double> values;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    values.push_back(read_number<double>(text.substr(at, end - at), part));
    TL_CHECK(std::isfinite(values.back()), "[preprocess] '", part, "': expected a finite number");
    at = end + 1;
  }
  TL_CHECK(values.size() == 1 || values.size() == 3, "[preprocess] '", part,
           "': expected one value or three as a/b/c, got ", values.size());
  if (values.size() == 1) values.resize(3, values[0]);
  return {values[0], values[1], values[2]};
}

inline std::string three(const std::array<double, 3>& values) {
  std::string first = shortest(values[0]);
  if (values[0] == values[1] && values[0] == values[2]) return first;
  return first + "/" + shortest(values[1]) + "/" + shortest(values[2]);
}

/// The exact half of the difference, halves to even, as Python's round().
inline Index half(Index difference) {
  const Index down = difference / 2;
  return difference % 2 == 0 ? down : down + down % 2;
}

}  // namespace preprocess_impl

inline Preprocess Preprocess::parse(std::string_view spec) {
  using namespace preprocess_impl;
  Preprocess result;
  std::set<std::string_view> seen;
  for (std::size_t at = 0; at <= spec.size();) {
    const std::size_t end = std::min(spec.find(',', at), spec.size());
    const std::string_view part = trimmed(spec.substr(at, end - at));
    at = end + 1;
    const std::size_t equals = part.find('=');
    const std::string_view key = trimmed(part.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : trimmed(part.substr(equals + 1));
    const bool is_filter = key == "nearest" || key == "bilinear" || key == "bicubic";
    const bool is_order = key == "rgb" || key == "bgr";
    TL_CHECK(seen.insert(is_filter  ? "filter"
                         : is_order ? "colour order"
                                    : key)
                 .second,
             "[preprocess] '", part, "': expected it once, got it again in '", spec, "'");
    if (is_filter || is_order) {
      TL_CHECK(equals == std::string_view::npos, "[preprocess] '", part, "': expected no value");
      if (is_order) result.order = key == "rgb" ? ColourOrder::rgb : ColourOrder::bgr;
      if (key == "nearest") result.filter = Filter::nearest;
      if (key == "bicubic") result.filter = Filter::bicubic;
    } else if (key == "resize") {
      const Size size = read_size(value, part);
      if (value.find('x') == std::string_view::npos) {
        result.resize_short = size.height;
      } else {
        result.resize_exact = size;
      }
    } else if (key == "crop") {
      result.crop = read_size(value, part);
    } else if (key == "mean") {
      result.mean = read_three(value, part);
    } else if (key == "std") {
      result.std = read_three(value, part);
      for (double deviation : result.std) {
        TL_CHECK(deviation > 0, "[preprocess] '", part, "': expected values above 0");
      }
    } else {
      fail("[preprocess] '", part,
           "': expected one of resize=, crop=, mean=, std=, nearest, bilinear, bicubic, "
           "rgb, bgr");
    }
  }
  result.check();
  return result;
}

inline std::string Preprocess::to_string() const {
  using namespace preprocess_impl;
  std::string text;
  if (resize_short) text += concat("resize=", *resize_short, ',');
  if (resize_exact) text += concat("resize=", *resize_exact, ',');
  text += std::string(name_of(filter)) + ',';
  if (crop)
    text += (crop->height == crop->width ? concat("crop=", crop->height) : concat("crop=", *crop)) + ',';
  text += "mean=" + three(mean) + ",std=" + three(std);
  return text + (order == ColourOrder::rgb ? ",rgb" : ",bgr");
}

inline void Preprocess::check() const {
  const auto sane = [](const Size& size) {
    return size.height >= 1 && size.height <= preprocess_impl::largest && size.width >= 1 &&
           size.width <= preprocess_impl::largest;
  };
  TL_CHECK(!(resize_short && resize_exact),
           "[preprocess] expected one resize, got a short side and an exact size");
  TL_CHECK(!resize_short || sane({*resize_short, *resize_short}), "[preprocess] expected resize in 1 to ",
           preprocess_impl::largest, ", got ", *resize_short);
  TL_CHECK(!resize_exact || sane(*resize_exact), "[preprocess] expected resize in 1 to ",
           preprocess_impl::largest, ", got ", *resize_exact);
  TL_CHECK(!crop || sane(*crop), "[preprocess] expected crop in 1 to ", preprocess_impl::largest, ", got ",
           *crop);
  for (std::size_t c = 0; c < 3; ++c) {
    TL_CHECK(std::isfinite(mean[c]), "[preprocess] expected a finite mean, got ", mean[c]);
    TL_CHECK(std::isfinite(std[c]) && std[c] > 0, "[preprocess] expected std above 0, got ", std[c]);
  }
}

inline Image Preprocess::geometry(const Image& image) const {
  TL_CHECK(!image.empty(), "[preprocess] expected an image with pixels, got ", image.size());
  const Size resized = resize_exact   ? *resize_exact
                       : resize_short ? short_side_size(image.size(), *resize_short)
                                      : image.size();
  const Size size = crop.value_or(resized);
  TL_CHECK(size.width <= preprocess_impl::most_pixels / size.height, "[preprocess] an image of ",
           image.size(), " would become too large: ", size, "; use crop= or resize=HxW");
  Window kept{0, 0, std::min(size.height, resized.height), std::min(size.width, resized.width)};
  if (kept.height == size.height && kept.width == size.width) {
    kept.top = preprocess_impl::half(resized.height - size.height);
    kept.left = preprocess_impl::half(resized.width - size.width);
    return resize_window(image, resized, filter, whole(image), kept);
  }
  // torchvision pads first, the odd pixel right or below, and then crops what is too large.
  const Index top = (size.height - kept.height) / 2, left = (size.width - kept.width) / 2;
  kept.top = preprocess_impl::half(resized.height - kept.height);
  kept.left = preprocess_impl::half(resized.width - kept.width);
  const Image inner = resize_window(image, resized, filter, whole(image), kept);
  Image result(size);
  std::memset(result.data(), 0, static_cast<std::size_t>(result.bytes()));
  for (Index y = 0; y < inner.height(); ++y) {
    std::memcpy(result.row(top + y) + Image::channels * left, inner.row(y),
                static_cast<std::size_t>(inner.row_bytes()));
  }
  return result;
}

inline Tensor<float> Preprocess::apply(const Image& image) const {
  const Image input = geometry(image);
  auto tensor =
      Tensor<float>::empty({1, Image::channels, input.height(), input.width()}, Layout::channels_last);
  Normaliser{*this}(input, tensor.mutable_data());
  return tensor;
}

inline void Preprocess::apply(const Image& image, Size size, float* slot) const {
  const Image input = geometry(image);
  TL_CHECK(input.size() == size, "[preprocess] expected an image that comes out at ", size, ", got ",
           input.size());
  Normaliser{*this}(input, slot);
}

}  // namespace tl::data
