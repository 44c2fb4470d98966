// The one door to protozero: a cursor over the fields of one protobuf message, and a writer.
//
// Wire format: https://protobuf.dev/programming-guides/encoding. protozero checks that every length lies
// inside the message before it hands out a view; Fields adds what it leaves to asserts (that a field arrives
// in the encoding it must have) and a limit on nesting.
#pragma once

#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include <tl/core/error.hpp>

namespace tl::onnx {

using ProtobufError = protozero::exception;

/// The fields of one message in the order of the file:
///
///   while (in.next()) in.take(1, node.inputs) || in.take(3, node.name) || in.skip();
///
/// take(number, member) reads the field into the member when it has that number. Lists grow by what a field
/// holds; a struct is read by the function read(Fields, Struct&).
class Fields {
 public:
  static constexpr int deepest = 40;

  explicit Fields(std::string_view message, int depth = 0)
      : reader_(message.data(), message.size()), depth_(depth) {
    TL_CHECK(depth <= deepest, "messages nested more than ", deepest, " deep");
  }

  bool next() { return reader_.next(); }
  std::uint32_t field() const { return reader_.tag(); }
  bool skip() { return reader_.skip(), true; }

  template <class Member>
  bool take(std::uint32_t number, Member& member) {
    if (field() != number) return false;
    get(member);
    return true;
  }

 private:
  using Wire = protozero::pbf_wire_type;

  void expect(Wire type) const {
    TL_CHECK(reader_.wire_type() == type, "field ", field(), " has another encoding than expected");
  }

  void get(std::int64_t& value) { expect(Wire::varint), value = reader_.get_int64(); }
  void get(float& value) { expect(Wire::fixed32), value = reader_.get_float(); }
  void get(std::string_view& value) {
    expect(Wire::length_delimited);
    const protozero::data_view view = reader_.get_view();
    value = {view.data(), view.size()};
  }
  void get(std::string& value) { value = std::string(bytes()); }
  void get(std::vector<std::string>& list) { list.emplace_back(bytes()); }

  template <class Struct>
  void get(Struct& value) {
    if constexpr (std::is_enum_v<Struct>) {
      std::int64_t number = 0;
      get(number);
      value = Struct{static_cast<std::underlying_type_t<Struct>>(number)};
    } else {
      read(Fields(bytes(), depth_ + 1), value);
    }
  }
  template <class Item>
  void get(std::vector<Item>& list) {
    if constexpr (std::is_integral_v<Item>) {
      append_varints(list);
    } else if constexpr (std::is_floating_point_v<Item>) {
      append_fixed(list, sizeof(Item) == 4 ? Wire::fixed32 : Wire::fixed64);
    } else {
      get(list.emplace_back());
    }
  }

  std::string_view bytes() {
    std::string_view view;
    get(view);
    return view;
  }

  // Repeated numbers come packed into one field or as one field each.
  template <class T>
  void append_varints(std::vector<T>& list) {
    if (reader_.wire_type() == Wire::varint) {
      list.push_back(static_cast<T>(reader_.get_int64()));
      return;
    }
    const std::string_view packed = bytes();
    const char* position = packed.data();
    const char* end = position + packed.size();
    while (position != end) list.push_back(static_cast<T>(protozero::decode_varint(&position, end)));
  }

  template <class T>
  void append_fixed(std::vector<T>& list, Wire single) {
    if (reader_.wire_type() == single) {
      if constexpr (sizeof(T) == 4) {
        list.push_back(reader_.get_float());
      } else {
        list.push_back(reader_.get_double());
      }
      return;
    }
    const std::string_view packed = bytes();
    TL_CHECK(packed.size() % sizeof(T) == 0, "field ", field(), " holds a fraction of a number");
    if (packed.empty()) return;
    const std::size_t before = list.size();
    list.resize(before + packed.size() / sizeof(T));
    std::memcpy(list.data() + before, packed.data(), packed.size());
  }

  protozero::pbf_reader reader_;
  int depth_;
};

/// Writes one message into a string.
class FieldWriter {
 public:
  explicit FieldWriter(std::string& to) : writer_(to), to_(&to) {}

  void integer(std::uint32_t field, std::int64_t value) { writer_.add_int64(field, value); }
  void float32(std::uint32_t field, float value) { writer_.add_float(field, value); }
  void bytes(std::uint32_t field, std::string_view value) {
    TL_CHECK(value.size() <= largest, "[onnx] expected at most 2 GB in one field, got ", value.size(),
             " bytes");
    writer_.add_bytes(field, value.data(), value.size());
  }
  /// Text that protobuf leaves out when it is empty.
  void text(std::uint32_t field, std::string_view value) {
    if (!value.empty()) bytes(field, value);
  }
  void packed(std::uint32_t field, const std::vector<std::int64_t>& v) {
    writer_.add_packed_int64(field, v.begin(), v.end());
  }
  void packed(std::uint32_t field, const std::vector<std::int32_t>& v) {
    writer_.add_packed_int32(field, v.begin(), v.end());
  }
  void packed(std::uint32_t field, const std::vector<std::uint64_t>& v) {
    writer_.add_packed_uint64(field, v.begin(), v.end());
  }
  void packed(std::uint32_t field, const std::vector<float>& v) {
    writer_.add_packed_float(field, v.begin(), v.end());
  }
  void packed(std::uint32_t field, const std::vector<double>& v) {
    writer_.add_packed_double(field, v.begin(), v.end());
  }
  /// A message in a field, written by fill(FieldWriter&).
  template <class Fill>
  void message(std::uint32_t field, const Fill& fill) {
    const std::size_t before = to_->size();
    {
      FieldWriter inner(protozero::pbf_writer(writer_, field), to_);
      fill(inner);
    }
    if (to_->size() == before) bytes(field, {});  // protozero leaves empty messages out, but they count
  }

  static constexpr std::size_t largest = 0x7fffffff;

  /// What stands before a message or bytes of this length in a field.
  static std::string header(std::uint32_t field, std::size_t length) {
    std::string bytes;
    const auto type = static_cast<std::uint32_t>(protozero::pbf_wire_type::length_delimited);
    protozero::write_varint(std::back_inserter(bytes), field << 3 | type);
    protozero::write_varint(std::back_inserter(bytes), length);
    return bytes;
  }

 private:
  FieldWriter(protozero::pbf_writer writer, std::string* to) : writer_(std::move(writer)), to_(to) {}

  protozero::pbf_writer writer_;
  std::string* to_;
};

}  // namespace tl::onnx
