// Fuzz target: JPEG, PNG and BMP files, from the bytes to what a network reads.
#include <tl/data/decode.hpp>
#include <tl/data/preprocess.hpp>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tl::data::Preprocess preprocess =
      tl::data::Preprocess::parse("resize=9,bicubic,crop=7x8,mean=127,std=128");
  // A few bytes may stand for many pixels of one colour: a low limit keeps each run short.
  const tl::data::DecodeOptions options{.max_pixels = 1 << 18};
  tl::fuzz::accepts([&] {
    const tl::data::Image image = tl::data::decode_image({data, size}, options);
    tl::fuzz::require(image.height() * image.width() <= options.max_pixels,
                      "an image is as small as was asked for");
    const bool fits = preprocess.apply(image).shape() == tl::Shape{1, 3, 7, 8};
    tl::fuzz::require(fits, "every image comes out at the size of the crop");
  });
  return 0;
}
