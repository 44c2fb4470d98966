// Fuzz target: specifications of preprocessing, which travel inside models.
#include <tl/data/preprocess.hpp>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tl::data::Preprocess;
  Preprocess steps;
  if (!tl::fuzz::accepts([&] { steps = Preprocess::parse(tl::fuzz::text(data, size)); })) return 0;
  tl::fuzz::require(Preprocess::parse(steps.to_string()) == steps,
                    "a specification is written and read again");

  static const tl::data::Image image = [] {
    tl::data::Image gray(5, 7);
    std::fill_n(gray.data(), gray.bytes(), std::uint8_t{128});
    return gray;
  }();
  const tl::data::Size result = steps.output_size(image.size());
  if (result.height * result.width > 10'000) return 0;  // takes long and tells nothing more
  tl::fuzz::accepts([&] {
    const bool fits = steps.apply(image).shape() == tl::Shape{1, 3, result.height, result.width};
    tl::fuzz::require(fits, "an image comes out at the size that was foretold");
  });
  return 0;
}
