// Safetensors: round trips, the bytes of the format, and damaged files, which are errors and never crashes.
#include <tl/io/safetensors.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using io::decode_safetensors;
using io::encode_safetensors;
using io::NamedTensors;

namespace {

/// A file of this header and so many bytes of elements.
std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + std::string(data_bytes, '\0');
}

std::string entry(const std::string& name, const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "\"F32\"") {
  return concat("\"", name, "\":{\"dtype\":", dtype, ",\"shape\":", shape, ",\"data_offsets\":", offsets,
                "}");
}

}  // namespace

TEST_CASE("tensors and text come back as they were") {
  NamedTensors content;
  content.tensors["b.weight"] = hash_tensor<float>("w", {2, 3, 4, 5});
  content.tensors["a"] = hash_tensor<float>("images", {2, 3, 4, 5}, 1, 0, Layout::channels_last);
  content.tensors["scalar"] = Tensor<float>::scalar(NAN);
  content.tensors["nothing"] = Tensor<float>::empty({0, 3});
  content.metadata = {{"epochs", "3"}, {"text", "naïve \"quoted\"\n"}};
  const TemporaryFolder folder;
  io::write_safetensors(folder / "x.safetensors", content);
  const NamedTensors back = io::read_safetensors(folder / "x.safetensors");
  CHECK(back.metadata == content.metadata);
  REQUIRE(back.tensors.size() == 4);
  for (const auto& [name, tensor] : content.tensors) {
    INFO(name);
    CHECK(same_bits(back.tensors.at(name), tensor));
  }
  CHECK(encode_safetensors(back) == encode_safetensors(content));
  CHECK(decode_safetensors(encode_safetensors({})).tensors.empty());
}

TEST_CASE("the bytes are those of the format") {
  NamedTensors content;
  content.tensors["x"] = Tensor<float>::from({1, -2}, {2, 1});
  const std::string bytes = encode_safetensors(content);
  const std::string header = "{" + entry("x", "[2,1]", "[0,8]") + "}";
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(bytes.size() == 8 + length + 8);
  CHECK(nlohmann::json::parse(bytes.substr(8, length)) == nlohmann::json::parse(header));
  const unsigned char elements[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
  CHECK(std::memcmp(bytes.data() + 8 + length, elements, 8) == 0);
}

TEST_CASE("a header without blanks, in another order, is read") {
  std::string bytes =
      file_of("{" + entry("late", "[1]", "[4,8]") + "," + entry("early", "[]", "[0,4]") + "}", 8);
  const float two = 2;
  std::memcpy(bytes.data() + bytes.size() - 8, &two, 4);
  const NamedTensors content = decode_safetensors(bytes);
  CHECK(content.tensors.at("early").item() == 2);
  CHECK(content.tensors.at("early").rank() == 0);
  CHECK(content.tensors.at("late").item() == 0);
}

TEST_CASE("other floating-point numbers become float, and whole numbers are left out") {
  std::string bytes = file_of("{" + entry("half", "[2]", "[0,4]", "\"F16\"") + "," +
                                  entry("brain", "[2]", "[4,8]", "\"BF16\"") + "," +
                                  entry("double", "[1]", "[8,16]", "\"F64\"") + "," +
                                  entry("num_batches_tracked", "[]", "[16,24]", "\"I64\"") + "}",
                              24);
  const std::uint16_t numbers[] = {0x3c00, 0xc000, 0x3f80, 0xc000};  // 1 and -2, twice
  const double number = 3.25;
  std::memcpy(bytes.data() + bytes.size() - 24, numbers, 8);
  std::memcpy(bytes.data() + bytes.size() - 16, &number, 8);
  const NamedTensors content = decode_safetensors(bytes);
  CHECK(content.tensors.size() == 3);
  CHECK(values_of(content.tensors.at("half")) == std::vector<float>{1, -2});
  CHECK(values_of(content.tensors.at("brain")) == std::vector<float>{1, -2});
  CHECK(content.tensors.at("double").item() == 3.25f);
}

TEST_CASE("every beginning of a file, and one with more behind it, is an error") {
  NamedTensors content;
  content.tensors["x"] = hash_tensor<float>("x", {3, 2});
  content.tensors["y"] = Tensor<float>::ones({1});
  content.metadata["k"] = "v";
  const std::string bytes = encode_safetensors(content);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    INFO(length << " bytes");
    CHECK_THROWS_AS(decode_safetensors(bytes.substr(0, length)), Error);
  }
  CHECK_THROWS_AS(decode_safetensors(bytes + '\0'), Error);
}

TEST_CASE("a changed byte is an error or gives other values, and never a crash") {
  NamedTensors content;
  content.tensors["x"] = hash_tensor<float>("x", {3, 2});
  content.metadata["k"] = "v";
  const std::string bytes = encode_safetensors(content);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int change : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      try {
        decode_safetensors(damaged);
      } catch (const Error&) {
        SUCCEED();
      }
    }
  }
}

TEST_CASE("headers that say what cannot be are errors") {
  std::string huge(16, '\xff');
  CHECK_THROWS_WITH(decode_safetensors(huge), "it ends inside its header");
  CHECK_THROWS_WITH(decode_safetensors(""), "it ends inside its header");
  for (const char* text : {"", "x", "{", "[]", "3", "null", "{}x", "{\"x\":1}", "{\"x\":[]}", "{\"x\":{}}",
                           "{\"__metadata__\":{\"epochs\":3}}", "{\"__metadata__\":[]}", "{\"\xff\":1}"}) {
    INFO(text);
    CHECK_THROWS_AS(decode_safetensors(file_of(text)), Error);
  }
  const std::string deep(200'000, '[');
  CHECK_THROWS_AS(decode_safetensors(file_of(deep)), Error);
  const std::string nested = deep + std::string(deep.size(), ']');
  CHECK_THROWS_AS(decode_safetensors(file_of(nested)), Error);
  for (const std::string& part : {"\"dtype\":" + nested, "\"dtype\":\"F32\",\"shape\":" + nested})
    CHECK_THROWS_WITH(decode_safetensors(file_of("{\"x\":{" + part + "}}")), contains("got an array"));

  struct Case {
    const char *shape, *offsets, *dtype;
  };
  const char* f32 = "\"F32\"";
  const std::vector<Case> cases{
      {"[2]", "[0,8]", "\"F16\""},
      {"[2]", "[0,8]", "\"f32\""},
      {"[8]", "[0,8]", "\"F8_E4M3\""},
      {"[2]", "[0,8]", "\"I64\""},
      {"[2]", "[0,8]", "32"},
      {"[3]", "[0,8]", f32},
      {"[1]", "[0,8]", f32},
      {"[2]", "[0,16]", f32},
      {"[2]", "[4,12]", f32},
      {"[2]", "[8,0]", f32},
      {"[2]", "[0]", f32},
      {"[2]", "[0,8,8]", f32},
      {"[2]", "[]", f32},
      {"[2]", "\"0,8\"", f32},
      {"[2]", "{}", f32},
      {"2", "[0,8]", f32},
      {"[-2]", "[0,8]", f32},
      {"[-1,-2]", "[0,8]", f32},
      {"[2.0]", "[0,8]", f32},
      {"[1e300]", "[0,8]", f32},
      {"[true,2]", "[0,8]", f32},
      {"[null]", "[0,8]", f32},
      {"[4294967296,4294967296]", "[0,0]", f32},
      {"[4611686018427387904,4]", "[0,0]", f32},
      {"[4611686018427387906]", "[0,8]", f32},
      {"[18446744073709551615]", "[0,8]", f32},
      {"[1,1,1,1,1,1,1,1,2]", "[0,8]", f32},
      {"[2]", "[-8,0]", f32},
      {"[1]", "[18446744073709551612,0]", f32},
      {"[2]", "[18446744073709551608,18446744073709551616]", f32},
      {"[2]", "[0,8.5]", f32},
  };
  for (const Case& c : cases) {
    INFO(c.shape << ' ' << c.offsets << ' ' << c.dtype);
    CHECK_THROWS_AS(decode_safetensors(file_of("{" + entry("x", c.shape, c.offsets, c.dtype) + "}", 8)),
                    Error);
  }
  CHECK_NOTHROW(decode_safetensors(file_of("{" + entry("x", "[2]", "[0,8]") + "}", 8)));
  const std::string nothing = entry("x", "[0,4611686018427387904,4611686018427387904]", "[0,0]");
  CHECK(decode_safetensors(file_of("{" + nothing + "}")).tensors.at("x").size() == 0);
}

TEST_CASE("tensors that overlap or leave gaps are errors") {
  const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) {
    return file_of("{" + entry("a", "[2]", a) + "," + entry("b", "[2]", b) + "}", bytes);
  };
  CHECK_NOTHROW(decode_safetensors(two("[0,8]", "[8,16]", 16)));
  CHECK_THROWS_WITH(decode_safetensors(two("[0,8]", "[0,8]", 8)), contains("overlap"));
  CHECK_THROWS_WITH(decode_safetensors(two("[4,12]", "[0,8]", 12)), contains("overlap"));
  CHECK_THROWS_WITH(decode_safetensors(two("[0,8]", "[12,20]", 20)), contains("gaps"));
  CHECK_THROWS_WITH(decode_safetensors(two("[0,8]", "[8,16]", 20)),
                    contains("take 16 bytes, but there are 20"));
}

TEST_CASE("errors name the file, and what cannot be written is one") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "bad.safetensors", "nothing");
  CHECK_THROWS_WITH(io::read_safetensors(folder / "bad.safetensors"),
                    contains("[safetensors] cannot read '") && contains("bad.safetensors"));
  CHECK_THROWS_WITH(io::read_safetensors(folder / "missing"), contains("missing"));
  NamedTensors content;
  content.metadata["text"] = "\xff\xfe";
  CHECK_THROWS_WITH(encode_safetensors(content), contains("UTF-8"));
}
