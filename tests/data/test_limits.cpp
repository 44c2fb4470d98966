// Images and folders of unusual size: a hundred megapixels, none at all, links that lead nowhere, very many
// files.
#include <ctime>
#include <map>
#include <thread>

#include <tl/data/decode.hpp>
#include <tl/data/folder.hpp>

#include "data/image_checks.hpp"
#include "data/large_png.hpp"
#include "support/memory_limit.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;
namespace fs = std::filesystem;

namespace {

std::size_t needed_for(const std::string& bytes) {
  return decoding_bytes(as_bytes(bytes), read_image_header(as_bytes(bytes), 1'000'000'000));
}

/// Links to one tiny image in folder/a and folder/b, `count` in all. File systems allow tens of thousands of
/// links to a file.
void make_links(const fs::path& folder, int count) {
  constexpr int links_of_one = 30'000;
  const std::string tiny = encode_png(plain_image(1, 1, 9));
  fs::path original;
  for (const char* name : {"a", "b"}) fs::create_directory(folder / name);
  for (int i = 0; i < count; ++i) {
    const fs::path path = folder / (i % 2 == 0 ? "a" : "b") / (std::to_string(i) + ".png");
    if (i % links_of_one == 0) {
      put_file(path, tiny);
      original = path;
    } else {
      fs::create_hard_link(original, path);
    }
  }
}

}  // namespace

TEST_CASE("an image of a hundred megapixels is decoded in the memory that was foretold", "[data]") {
  const std::string bytes = black_png(10'000, 10'000);
  MemoryPool& pool = MemoryPool::instance();
  const std::size_t needed = needed_for(bytes), before = pool.bytes_in_use();
  CHECK(needed < std::size_t{1'100'000'000});
  pool.reset_peak();
  const Image image = decode_image(as_bytes(bytes));
  CHECK(image.size() == Size{10'000, 10'000});
  CHECK(image.data()[0] + image.data()[image.bytes() / 2] + image.data()[image.bytes() - 1] == 0);
  CHECK(pool.peak_bytes() - before >= needed);
  CHECK(pool.bytes_in_use() - before < static_cast<std::size_t>(image.bytes()) + 1000);
}

TEST_CASE("an image of more than a hundred megapixels is refused, unless the caller wants it", "[data]") {
  const std::string bytes = black_png(10'001, 10'000);
  CHECK_THROWS_WITH(decode_image(as_bytes(bytes)),
                    contains("too large") && contains("at most 100000000 pixels, got 10001x10000"));
  CHECK(read_image_header(as_bytes(bytes), 200'000'000).size == Size{10'001, 10'000});
}

TEST_CASE("an image that takes more than the limit of memory is refused, and what fits is decoded",
          "[data]") {
  TemporaryFolder folder;
  const std::string large = black_png(1000, 2000), small = black_png(20, 30);
  put_file(folder / "large.png", large);
  put_file(folder / "small.png", small);
  {
    const ScopedLimit limit(needed_for(large) - 1);  // less than it takes, whatever else is in use
    CHECK_THROWS_AS(read_image(folder / "large.png"), Error);
    CHECK_THROWS_WITH(read_image(folder / "large.png"),
                      contains("large.png") && contains("too large: decoding 1000x2000 pixels takes up to "
                                                        "13.7 MiB of memory, the limit is 13.7 MiB"));
    CHECK(read_image(folder / "small.png").size() == Size{20, 30});
  }
  const AlignedArray<char> other(std::size_t{1} << 20);
  const ScopedLimit limit(ScopedLimit::above(needed_for(large) - 1));
  CHECK_THROWS_AS(read_image(folder / "large.png"), MemoryLimitError);
  CHECK_THROWS_WITH(read_image(folder / "large.png"), contains("large.png") && contains("would exceed"));
}

TEST_CASE("images that do not fit into memory together are decoded one after the other", "[data]") {
  const std::string bytes = black_png(1000, 2000);
  const ScopedLimit limit(
      ScopedLimit::above(needed_for(bytes) + 8 * 6'100'000));  // one in the making, eight that are there
  std::vector<Size> sizes(8);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < sizes.size(); ++t) {
    threads.emplace_back([&, t] {
      const Image image = decode_image(as_bytes(bytes));
      sizes[t] = image.size();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sizes == std::vector<Size>(8, Size{1000, 2000}));
}

TEST_CASE("an image without pixels is named so, whatever its format", "[data]") {
  using namespace std::string_view_literals;
  struct Place {
    const char* file;
    std::size_t height, width, bytes;
  };
  const auto frame_of = [](const char* file, std::string_view marker) {
    return read_file(data_fixture(file)).find(marker) + 5;
  };
  const std::size_t baseline = frame_of("jpeg_420.jpg", "\xFF\xC0"),
                    progressive = frame_of("jpeg_420_progressive.jpg", "\xFF\xC2");
  for (const Place& place : {Place{"jpeg_420.jpg", baseline, baseline + 2, 2},
                             Place{"jpeg_420_progressive.jpg", progressive, progressive + 2, 2},
                             Place{"png_rgb.png", 20, 16, 4}, Place{"png_interlaced.png", 20, 16, 4},
                             Place{"png_palette.png", 20, 16, 4}, Place{"bmp_rgb.bmp", 22, 18, 4},
                             Place{"bmp_palette.bmp", 22, 18, 4}, Place{"bmp_top_down.bmp", 22, 18, 4}}) {
    for (const std::size_t at : {place.height, place.width}) {
      INFO(place.file << " at " << at);
      const std::string whole = read_file(data_fixture(place.file));
      CHECK_NOTHROW(decode_image(as_bytes(whole)));
      std::string none = whole;
      none.replace(at, place.bytes, std::string(place.bytes, '\0'));
      const bool bmp = std::string_view(place.file).ends_with(".bmp");
      CHECK_THROWS_WITH(decode_image(as_bytes(none)), contains(bmp ? "damaged BMP (size " : "no pixels"));
    }
  }
}

TEST_CASE("the content tells the format, and the ending which files of a folder are looked at", "[data]") {
  TemporaryFolder folder;
  const Image image = plain_image(3, 4, 50);
  put_file(folder / "a/png.jpg", encode_png(image));
  put_file(folder / "a/png.bmp", encode_png(image));
  put_file(folder / "a/text.png", "not an image");
  put_file(folder / "a/jpeg.txt", read_file(data_fixture("jpeg_420.jpg")));
  put_file(folder / "a/jpeg", read_file(data_fixture("jpeg_420.jpg")));
  put_file(folder / "a/bmp.jpeg", read_file(data_fixture("bmp_rgb.bmp")));
  const Dataset found = image_files({folder / "a"});
  REQUIRE(found.size() == 4);
  CHECK(read_image(folder / "a/png.jpg") == image);
  CHECK(read_image(folder / "a/png.bmp") == image);
  CHECK(read_image(folder / "a/bmp.jpeg") == read_image(data_fixture("bmp_rgb.bmp")));
  CHECK_THROWS_WITH(read_image(folder / "a/text.png"),
                    contains("text.png") && contains("not an image that can be read"));
  const Dataset named = image_files({folder / "a/jpeg.txt", folder / "a/jpeg"});  // which somebody asked for
  CHECK(read_image(named.samples[0].path) == read_image(data_fixture("jpeg_420.jpg")));
  CHECK(named.size() == 2);
}

TEST_CASE("links that lead to themselves or to each other come to an end", "[data]") {
  TemporaryFolder root;
  put_file(root / "a/1.png", encode_png(plain_image(2, 2, 1)));
  put_file(root / "b/1.png", encode_png(plain_image(2, 2, 1)));
  fs::create_symlink("self.png", root / "a/self.png");
  fs::create_directory_symlink("round", root / "a/round");
  fs::create_symlink("pong.png", root / "b/ping.png");
  fs::create_symlink("ping.png", root / "b/pong.png");
  fs::create_directory_symlink("../b", root / "a/into_b");
  fs::create_directory_symlink("../a", root / "b/into_a");
  fs::create_directory_symlink(root.path(), root / "b/root");
  const ImageFolder folder = image_folder(root.path());
  CHECK(folder.classes() == std::vector<std::string>{"a", "b"});
  CHECK(folder.train.size() < 20);
  for (const Sample& sample : folder.train.samples) {
    const std::string name = sample.path.filename().string();
    INFO(sample.path);
    if (name == "1.png") {
      CHECK_NOTHROW(read_image(sample.path));
    } else {
      CHECK_THROWS_WITH(read_image(sample.path), contains(name) && contains("symbolic links"));
    }
  }
}

TEST_CASE("a folder of ten thousand files is listed in order", "[data]") {
  TemporaryFolder root;
  make_links(root.path(), 10'000);
  const ImageFolder folder = image_folder(root.path());
  CHECK(folder.train.class_counts() == std::vector<Index>{5'000, 5'000});
  CHECK(std::is_sorted(folder.train.samples.begin(), folder.train.samples.end(),
                       [](const Sample& x, const Sample& y) { return x.path < y.path; }));
}

TEST_CASE("a folder of a hundred thousand files is listed within seconds", "[data][.full]") {
  TemporaryFolder root;
  make_links(root.path(), 100'000);
  const std::clock_t begin = std::clock();  // of this process: other programs may keep the machine busy
  const ImageFolder folder = image_folder(root.path());
  CHECK(std::clock() - begin < 20 * CLOCKS_PER_SEC);
  CHECK(folder.train.class_counts() == std::vector<Index>{50'000, 50'000});
  CHECK(image_files({root.path()}).size() == 100'000);
}
