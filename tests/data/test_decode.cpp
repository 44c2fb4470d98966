// Decoding against the pixels Pillow reads from the same files (make_fixtures.py), and hostile files.
#include <cstdlib>
#include <map>
#include <tl/data/decode.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

namespace {

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.size() == b.size());
  int largest = 0;
  for (Index i = 0; i < a.bytes(); ++i) largest = std::max(largest, std::abs(a.data()[i] - b.data()[i]));
  return largest;
}

Image decoded(const std::string& bytes, const DecodeOptions& options = {}) {
  return decode_image(as_bytes(bytes), options);
}

}  // namespace

TEST_CASE("lossless formats decode to Pillow's pixels", "[data]") {
  for (const char* name :
       {"png_rgb.png", "png_rgba.png", "png_gray.png", "png_gray_alpha.png", "png_1bit.png",
        "png_palette.png", "png_palette_alpha.png", "png_rgb_key.png", "png_exif.png", "png_rgb16.png",
        "png_gray16.png", "png_interlaced.png", "bmp_rgb.bmp", "bmp_palette.bmp", "bmp_1bit.bmp",
        "bmp_top_down.bmp", "bmp_32bit.bmp"}) {
    INFO(name);
    const auto path = data_fixture(name);
    CHECK(read_image(path) == read_ppm(std::filesystem::path(path).replace_extension(".ppm")));
  }
}

TEST_CASE("JPEG of every kind decodes to within a few levels of libjpeg", "[data]") {
  // 4:2:2 has more: stb_image weighs the last chroma column but one the wrong way round.
  const std::map<std::string, int> tolerances = {{"jpeg_444", 3},
                                                 {"jpeg_422", 7},
                                                 {"jpeg_420", 3},
                                                 {"jpeg_rgb", 1},
                                                 {"jpeg_gray", 1},
                                                 {"jpeg_gray_progressive", 1},
                                                 {"jpeg_cmyk", 2},
                                                 {"jpeg_ycck", 3},
                                                 {"jpeg_cmyk_without_adobe", 2},
                                                 {"jpeg_restart", 3},
                                                 {"jpeg_420_progressive", 3}};
  for (const auto& [name, tolerance] : tolerances) {
    INFO(name);
    CHECK(largest_difference(read_image(data_fixture(name + ".jpg")),
                             read_ppm(data_fixture(name + ".ppm"))) <= tolerance);
  }
}

TEST_CASE("all eight EXIF orientations stand upright", "[data]") {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    INFO("orientation " << orientation);
    const std::string name = "exif_" + std::to_string(orientation);
    const Image image = read_image(data_fixture(name + ".jpg"));
    CHECK(image.size() == (orientation < 5 ? Size{9, 14} : Size{14, 9}));
    CHECK(largest_difference(image, read_ppm(data_fixture(name + ".ppm"))) <= 3);
  }
}

TEST_CASE("orientations of a numbered image", "[data]") {
  // 1 2 3        columns and rows swapped, mirrored as the EXIF table says
  // 4 5 6
  const std::map<int, std::string> expected = {{1, "123456"}, {2, "321654"}, {3, "654321"}, {4, "456123"},
                                               {5, "142536"}, {6, "415263"}, {7, "635241"}, {8, "362514"}};
  for (const auto& [orientation, pixels] : expected) {
    Image image(2, 3);
    for (Index i = 0; i < image.bytes(); ++i) image.data()[i] = static_cast<std::uint8_t>('1' + i / 3);
    const Image turned = upright(std::move(image), orientation);
    std::string seen;
    for (Index i = 0; i < turned.bytes(); i += 3) seen += static_cast<char>(turned.data()[i]);
    CHECK(turned.width() == (orientation < 5 ? 3 : 2));
    CHECK(seen == pixels);
  }
}

TEST_CASE("damaged EXIF blocks mean upright", "[data]") {
  const std::string good("II\x2A\0\x8\0\0\0\x1\0\x12\x1\x3\0\x1\0\0\0\x6\0\0\0\0\0\0\0", 26);
  CHECK(exif_orientation(as_bytes(good)) == 6);
  const std::string motorola("MM\0\x2A\0\0\0\x8\0\x1\x1\x12\0\x3\0\0\0\x1\0\x8\0\0\0\0\0\0", 26);
  CHECK(exif_orientation(as_bytes(motorola)) == 8);
  for (std::size_t length = 0; length < 22; ++length) {
    const std::string cut = good.substr(0, length);  // of its own: reading beyond it shows under a sanitizer
    CHECK(exif_orientation(as_bytes(cut)) == 1);
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int value : {0, 1, 7, 0x7F, 0x80, 0xFF}) {
      std::string changed = good;
      changed[at] = static_cast<char>(value);
      const int orientation = exif_orientation(as_bytes(changed));
      CHECK((orientation >= 1 && orientation <= 8));
    }
  }
  std::string far = good;
  far.replace(4, 4, "\xFF\xFF\xFF\xFF");
  CHECK(exif_orientation(as_bytes(far)) == 1);
  std::string many = good;
  many.replace(8, 4, "\xFF\xFF\x13\x01");  // 65,535 entries, none of which is there
  CHECK(exif_orientation(as_bytes(many)) == 1);
}

TEST_CASE("a file that is no image names itself", "[data]") {
  TemporaryFolder folder;
  put_file(folder / "notes.jpg", "These are notes, not a photo.\n");
  put_file(folder / "empty.png", "");
  CHECK_THROWS_WITH(read_image(folder / "notes.jpg"),
                    contains("notes.jpg") && contains("expected JPEG, PNG or BMP"));
  CHECK_THROWS_WITH(read_image(folder / "empty.png"), contains("empty.png") && contains("empty"));
  CHECK_THROWS_WITH(read_image(folder / "missing.png"), contains("missing.png"));
  CHECK_THROWS_AS(read_image(folder.path()), Error);
  // The content tells the format, not the name.
  put_file(folder / "really_png.jpg", encode_png(plain_image(2, 3, 77)));
  CHECK(read_image(folder / "really_png.jpg") == plain_image(2, 3, 77));
  std::string png = encode_png(plain_image(2, 3, 77));
  png.insert(33, std::string("\0\0\0\0IDAT\0\0\0\0", 12));  // an empty chunk of pixels before the others
  CHECK(decoded(png) == plain_image(2, 3, 77));
}

TEST_CASE("truncated files are refused", "[data]") {
  for (const char* name : {"jpeg_420.jpg", "jpeg_420_progressive.jpg", "exif_6.jpg", "png_rgb.png",
                           "png_palette.png", "png_rgb16.png", "bmp_rgb.bmp", "bmp_palette.bmp"}) {
    INFO(name);
    const std::string whole = read_file(data_fixture(name));
    // A PNG is complete without its last chunk of 12 bytes, and its checksum of the pixels is not read.
    const std::size_t tail = std::string_view(name).ends_with(".png") ? 20 : 1;
    for (std::size_t length = 0; length + tail <= whole.size(); length += 1 + length / 40) {
      CHECK_THROWS_AS(decoded(whole.substr(0, length)), Error);
    }
    CHECK_THROWS_AS(decoded(whole.substr(0, whole.size() - tail)), Error);
  }
}

TEST_CASE("sizes are checked before memory is taken", "[data]") {
  const auto with = [](std::string bytes, std::size_t at, std::string_view value) {
    return bytes.replace(at, value.size(), value);
  };
  const std::string png = read_file(data_fixture("png_rgb.png")),
                    bmp = read_file(data_fixture("bmp_rgb.bmp")),
                    jpeg = read_file(data_fixture("jpeg_420.jpg"));
  const std::size_t frame = jpeg.find("\xFF\xC0") + 5;  // height, width
  using namespace std::string_view_literals;
  CHECK_THROWS_WITH(decoded(with(png, 16, "\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF"sv)), contains("too large"));
  CHECK_THROWS_WITH(decoded(with(png, 16, "\0\0\x20\0\0\0\x20\0"sv)), contains("cannot hold"));
  CHECK_THROWS_WITH(decoded(with(png, 16, "\0\0\0\0"sv)), contains("no pixels"));
  CHECK_THROWS_WITH(decoded(with(png, 20, "\0\0\0\0"sv)), contains("no pixels"));
  CHECK_THROWS_WITH(decoded(with(jpeg, frame, "\xFF\xFF\xFF\xFF"sv)), contains("too large"));
  CHECK_THROWS_WITH(decoded(with(jpeg, frame, "\x20\0\x20\0"sv)), contains("cannot hold"));
  CHECK_THROWS_AS(decoded(with(jpeg, frame, "\0\0"sv)), Error);
  CHECK_THROWS_WITH(decoded(with(jpeg, frame + 2, "\0\0"sv)), contains("no pixels"));
  CHECK_THROWS_WITH(decoded(with(bmp, 18, "\xFF\xFF\xFF\x7F"sv)), contains("truncated"));
  CHECK_THROWS_WITH(decoded(with(bmp, 22, "\0\0\0\x80"sv)), contains("truncated"));
  CHECK_THROWS_AS(decoded(with(bmp, 18, "\0\0\0\0"sv)), Error);
  CHECK_THROWS_AS(decoded(with(bmp, 18, "\xFF\xFF\xFF\xFF"sv)), Error);
  CHECK_THROWS_WITH(decoded(png, {.max_pixels = 11 * 18 - 1}), contains("at most 197 pixels, got 11x18"));
  CHECK(decoded(png, {.max_pixels = 11 * 18}).size() == Size{11, 18});
}

TEST_CASE("a PNG does not inflate beyond its picture", "[data]") {
  // One block of fixed Huffman codes: a zero, then 258 more of them again and again, 100 MB in all.
  std::string data = "\x78\x01";
  unsigned bits = 0, count = 0;
  const auto put = [&](std::string_view code) {
    for (const char bit : code) {
      bits |= static_cast<unsigned>(bit - '0') << count;
      if (++count < 8) continue;
      data += static_cast<char>(bits);
      bits = count = 0;
    }
  };
  put("110");       // last block, fixed codes
  put("00110000");  // literal 0
  for (int i = 0; i < 400'000; ++i) put("1100010100000");
  put("00000000000000");  // end of block, and the last byte's rest
  std::string length;
  for (int shift = 24; shift >= 0; shift -= 8) length += static_cast<char>(data.size() >> shift);
  const std::string whole = read_file(data_fixture("png_rgb.png")), header = whole.substr(0, 33);
  const std::string end = whole.substr(whole.size() - 12);
  CHECK_THROWS_WITH(decoded(header + length + "IDAT" + data + "0000" + end), contains("outofmem"));
}

TEST_CASE("a JPEG of endless scans is refused", "[data]") {
  const std::string whole = read_file(data_fixture("jpeg_gray_progressive.jpg"));
  const std::size_t scan = whole.rfind("\xFF\xDA");
  std::string bytes = whole.substr(0, scan);
  for (int i = 0; i < 600; ++i) bytes += whole.substr(scan, whole.size() - 2 - scan);
  CHECK_THROWS_WITH(decoded(bytes + "\xFF\xD9"), contains("scans"));
}

TEST_CASE("a JPEG with too many Huffman codes is refused", "[data]") {
  std::string bytes = read_file(data_fixture("jpeg_420.jpg"));
  bytes[bytes.find("\xFF\xC4") + 5 + 9] = '\xFF';
  CHECK_THROWS_WITH(decoded(bytes), contains("Huffman"));
}

TEST_CASE("changed bytes give an image or an error", "[data]") {
  std::uint64_t state = 1;
  int images = 0, errors = 0;
  for (const char* name :
       {"jpeg_420.jpg", "jpeg_420_progressive.jpg", "jpeg_ycck.jpg", "jpeg_restart.jpg", "png_interlaced.png",
        "png_palette_alpha.png", "png_rgb_key.png", "bmp_palette.bmp", "bmp_32bit.bmp", "bmp_1bit.bmp"}) {
    const std::string whole = read_file(data_fixture(name));
    for (int round = 0; round < 300; ++round) {
      std::string bytes = whole;
      for (int change = 0; change <= round % 3; ++change) {
        state = mix64(state);
        // Half of the changes in the first 64 bytes, where the sizes and kinds stand.
        const std::size_t span = state & 1 ? std::size_t{64} : bytes.size();
        bytes[(state >> 8) % span] = static_cast<char>(state >> 56);
      }
      try {
        const Image image = decoded(bytes, {.max_pixels = 1'000'000});
        CHECK(!image.empty());
        ++images;
      } catch (const Error&) {
        ++errors;
      }
    }
  }
  CHECK(images > 300);
  CHECK(errors > 300);
}

TEST_CASE("PNG files that were written read the same", "[data]") {
  TemporaryFolder folder;
  const Image image = hashed_image("written", 19, 31);
  write_png(folder / "image.png", image);
  CHECK(read_image(folder / "image.png") == image);
  CHECK_THROWS_WITH(encode_png(Image(0, 5)), contains("[encode_png]"));
}
