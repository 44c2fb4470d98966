// The bytes of an .onnx file, without those of large weights.
//
//   ModelProto > graph (7) > initializer (5) > raw_data (9)
//
// Weights are most of a file, and most of them are needed later or in another form. So the messages on the
// way to them are followed, everything else is read, and large raw data are left out: memory that was never
// written to takes no room. Wire format: https://protobuf.dev/programming-guides/encoding.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include <tl/core/file.hpp>

namespace tl::onnx {

/// Raw data of fewer bytes are always read.
inline constexpr std::size_t least_left_out = 1 << 16;

/// Reads all of a file but large raw data of initializers into memory of the file's size. Of a file that is
/// no ONNX at all, or damaged before them, everything is read, for the decoder to judge.
class SparseReader {
 public:
  /// read(offset, to, count) fills `to` from the file.
  using Read = std::function<void(std::size_t, char*, std::size_t)>;

  SparseReader(Read read, char* bytes, std::size_t size, std::size_t least = least_left_out)
      : read_(std::move(read)), bytes_(bytes), size_(size), least_(least) {}

  void run() {
    if (!follow(size_, 0)) need(size_);
  }

 private:
  static constexpr std::array<std::uint64_t, 3> path{7, 5, 9};
  static constexpr std::size_t block = 1 << 14;  ///< read at least so many bytes

  /// Walks the fields of a message that ends at `end`. False when they are not as protobuf has them.
  bool follow(std::size_t end, std::size_t depth) {
    while (position_ < end) {
      std::uint64_t key = 0, length = 0;
      if (!varint(end, key)) return false;
      switch (key & 7) {
        case 0:
          if (!varint(end, length)) return false;
          continue;
        case 1:
          length = 8;
          break;
        case 2:
          if (!varint(end, length)) return false;
          break;
        case 5:
          length = 4;
          break;
        default:
          return false;
      }
      if (length > end - position_) return false;
      const std::size_t field_end = position_ + static_cast<std::size_t>(length);
      const bool on_path = (key & 7) == 2 && key >> 3 == path[depth];
      if (on_path && depth + 1 < path.size()) {
        if (!follow(field_end, depth + 1)) return false;
      } else if (on_path && length >= least_) {
        filled_ = std::max(filled_, field_end);
      } else {
        need(field_end);
      }
      position_ = field_end;
    }
    return true;
  }

  bool varint(std::size_t end, std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (position_ == end) return false;
      need(position_ + 1);
      const auto byte = static_cast<std::uint8_t>(bytes_[position_++]);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  /// Has everything before `end` read that was not left out.
  void need(std::size_t end) {
    if (end <= filled_) return;
    const std::size_t to = std::max(end, std::min(size_, filled_ + block));
    read_(filled_, bytes_ + filled_, to - filled_);
    filled_ = to;
  }

  Read read_;
  char* bytes_;
  std::size_t size_, least_;
  std::size_t position_ = 0, filled_ = 0;
};

/// An open .onnx file and its bytes.
class ModelFile {
 public:
  explicit ModelFile(std::shared_ptr<const OpenFile> opened)
      : source_(std::move(opened)),
        size_(source_->size()),
        bytes_(new char[std::max<std::size_t>(1, size_)]) {
    const auto read = [this](std::size_t offset, char* to, std::size_t count) {
      source_->read(offset, to, count);
    };
    SparseReader(read, bytes_.get(), size_).run();
  }

  /// All of the file; what was left out has no value.
  std::string_view bytes() const { return {bytes_.get(), size_}; }
  const std::shared_ptr<const OpenFile>& source() const { return source_; }

  /// Whether bytes are part of the file's, and not put in their place since.
  bool holds(std::string_view part) const {
    const std::less_equal<> before;
    return before(bytes_.get(), part.data()) && before(part.data() + part.size(), bytes_.get() + size_);
  }
  std::size_t offset_of(std::string_view part) const {
    return static_cast<std::size_t>(part.data() - bytes_.get());
  }
  /// Reads a part of bytes() that may have been left out.
  void complete(std::string_view part) const {
    const std::size_t offset = offset_of(part);
    if (part.size() >= least_left_out) source_->read(offset, bytes_.get() + offset, part.size());
  }

 private:
  std::shared_ptr<const OpenFile> source_;
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;  ///< not cleared, and given back to the system afterwards
};

}  // namespace tl::onnx
