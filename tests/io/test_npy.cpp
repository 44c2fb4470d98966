// .npy files: round trips, both element orders, and damaged headers.
#include <filesystem>
#include <string>

#include <tl/io/npy.hpp>

#include "support/catch.hpp"

using tl::Index;
using tl::Shape;
using tl::Tensor;
using tl::test::contains;

namespace {

/// The bytes of a .npy file of version 1 or 2 with this header and these elements.
template <class T>
std::string npy(const std::string& header, std::initializer_list<T> values, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0', static_cast<char>(header.size()), '\0'};
  if (version > 1) bytes += {'\0', '\0'};
  bytes += header;
  for (const T& value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  return bytes;
}

template <class T>
void check_round_trip(const Tensor<T>& tensor) {
  const Tensor<T> back = tl::io::decode_npy<T>(tl::io::encode_npy(tensor));
  REQUIRE(back.shape() == tensor.shape());
  const Tensor<T> plain = tensor.plain();
  CHECK(std::equal(plain.data(), plain.data() + plain.size(), back.data()));
}

template <class T>
Tensor<T> counting(const Shape& shape, tl::Layout layout = tl::Layout::plain) {
  Tensor<T> tensor = Tensor<T>::empty(shape, layout);
  T* out = tensor.mutable_data();
  for (Index i = 0; i < tensor.size(); ++i) out[i] = static_cast<T>(3 * i + 1);
  return tensor;
}

}  // namespace

TEST_CASE("npy: every element type, rank and layout survives a round trip", "[npy]") {
  check_round_trip(counting<float>({2, 3}));
  check_round_trip(counting<double>({5}));
  check_round_trip(counting<std::int64_t>({}));
  check_round_trip(counting<std::uint8_t>({2, 1, 3, 4}));
  check_round_trip(counting<float>({0, 3}));
  check_round_trip(counting<float>({2, 3, 4, 5}, tl::Layout::channels_last));
}

TEST_CASE("npy: the bytes are those numpy.save writes", "[npy]") {
  const std::string bytes = tl::io::encode_npy(Tensor<float>::from({1, 2, 3}, {3}));
  REQUIRE(bytes.size() == 128 + 12);
  CHECK(bytes.substr(0, 10) == std::string("\x93NUMPY\1\0\x76\0", 10));
  CHECK(bytes.substr(10, 60) == "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }   ");
  CHECK(bytes[127] == '\n');
}

TEST_CASE("npy: Fortran order is read as logical rows and columns", "[npy]") {
  const auto file =
      npy<float>("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", {1, 4, 2, 5, 3, 6});
  const Tensor<float> tensor = tl::io::decode_npy<float>(file);
  for (int i = 0; i < 6; ++i) CHECK(tensor.data()[i] == static_cast<float>(i + 1));
}

TEST_CASE("npy: version 2, other key order, conversions", "[npy]") {
  const auto file = npy<double>("{\"shape\":(2,),'fortran_order':False,'descr':'<f8'}", {1.5, -2.5}, 2);
  CHECK(tl::io::decode_npy<float>(file).at(1) == -2.5f);
  const auto pixels =
      npy<std::uint8_t>("{'descr': '|u1', 'fortran_order': False, 'shape': (2, ), }", {7, 255});
  CHECK(tl::io::decode_npy<std::int64_t>(pixels).at(1) == 255);
  CHECK_THROWS_WITH(tl::io::decode_npy<std::int64_t>(file),
                    contains("expected elements of type <i8, got <f8"));
}

TEST_CASE("npy: damaged and hostile files are errors", "[npy]") {
  const std::string good = tl::io::encode_npy(counting<float>({2, 3}));
  for (std::size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    CHECK_THROWS_AS(tl::io::decode_npy<float>(good.substr(0, length)), tl::Error);
  }
  CHECK_THROWS_AS(tl::io::decode_npy<float>(good + "x"), tl::Error);
  const auto refused = [](const std::string& header) {
    CAPTURE(header);
    CHECK_THROWS_AS(tl::io::decode_npy<float>(npy<float>(header, {1})), tl::Error);
  };
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,), }");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }");
  refused("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }");
  refused("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }");
  refused("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }");
  refused("{'descr': '<f4', 'fortran_order': False}");
  refused("{'descr': '<f4");
  refused("");
}

TEST_CASE("npy: files on disk; messages name the file", "[npy]") {
  const auto path = std::filesystem::temp_directory_path() / "tl_test_npy.npy";
  tl::io::write_npy(path, counting<float>({2, 3}));
  CHECK(tl::io::read_npy<float>(path).at(1, 2) == 16.0f);
  tl::write_file_atomically(path, "not an array");
  CHECK_THROWS_WITH(tl::io::read_npy<float>(path), contains("tl_test_npy.npy"));
  std::filesystem::remove(path);
}
