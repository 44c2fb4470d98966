// A program with its own copy of stb_image, configured differently, in the same file as ours.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#define STBI_ONLY_PNG
#define STBI_FAILURE_USERMSG
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#else
#include <stb_image.h>
#endif
#pragma GCC diagnostic pop

#include <tl/data/decode.hpp>
#include <tl/data/encode.hpp>

#include "data/image_checks.hpp"

#if !defined(STB_IMAGE_IMPLEMENTATION) || !defined(STBI_ONLY_PNG) || !defined(STBI_NO_JPEG) || \
    !defined(STBI_FAILURE_USERMSG) || defined(STBI_NO_STDIO)
#error "the configuration of the program's own stb_image was changed"
#endif

using namespace tl;
using namespace tl::test;

TEST_CASE("a program's own stb_image and ours do not meet", "[data]") {
  const std::string png = read_file(data_fixture("png_rgb.png")),
                    jpeg = read_file(data_fixture("jpeg_420.jpg"));
  const auto read_with_own = [](const std::string& bytes) {
    int width = 0, height = 0, channels = 0;
    stbi_uc* pixels = stbi_load_from_memory(as_bytes(bytes).data(), static_cast<int>(bytes.size()), &width,
                                            &height, &channels, 3);
    stbi_image_free(pixels);
    return pixels != nullptr;
  };
  CHECK(read_with_own(png));
  CHECK(!read_with_own(jpeg));  // it was configured so
  CHECK(data::decode_image(as_bytes(png)).size() == data::Size{11, 18});
  CHECK(data::decode_image(as_bytes(jpeg)).size() == data::Size{21, 34});
}
