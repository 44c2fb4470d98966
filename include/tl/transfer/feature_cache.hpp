// Features kept between runs, in a folder: what a network made of an image once need not be computed again.
//
//   folder/RECIPE/SEGMENT.rows
//
// RECIPE is the hash of all that features depend on beside the image: network, preprocessing, decoder,
// instruction set. A segment holds rows and, for each, the hash of the image's bytes. Segments appear whole
// (core/file.hpp) and never change, so a run may be killed at any moment, any number of runs may share the
// folder, and the user may delete it, or parts of it, at will. Of a damaged or foreign file nothing is taken.
//
// Segment, little-endian:  magic (16 bytes), rows, layout, rank, extents (8 bytes each), a key (32) for each
// row, SHA-256 of all before it (32), rows of float32.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tl/core/sha256.hpp>
#include <tl/transfer/feature_rows.hpp>

namespace tl::transfer {

/// Makes a folder for features, where there is none. Throws when files cannot be written to it.
inline void make_feature_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error && ::access(folder.c_str(), W_OK) != 0) error = std::error_code(errno, std::generic_category());
  TL_CHECK(!error, "cannot write to the folder '", folder.string(), "': ", error.message(),
           ": choose another one for the features");
}

/// Rows of features kept between runs, by the hash of the image's bytes.
class FeatureCache {
 public:
  using Key = Sha256Digest;  ///< of the image's bytes, and what else the row depends on

  /// Rows of one recipe below `folder`, which is made where it is missing.
  FeatureCache(const std::filesystem::path& folder, const Sha256Digest& recipe)
      : folder_(folder / hex(recipe).substr(0, 32)) {
    make_feature_folder(folder_);
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() == extension) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const std::filesystem::path& path : paths) open_segment(path);
  }

  bool contains(const Key& key) const { return places_.contains(key); }  ///< whether there is a row for it

  /// Adds a row for each key: values (N, ...). They are written when there are many, or at flush().
  void append(std::span<const Key> keys, const Tensor<float>& values) {
    const RowFormat format = RowFormat::of(values);
    TL_CHECK(static_cast<Index>(keys.size()) == values.shape(0),
             "[feature cache] expected a key for each of ", values.shape(0), " rows, got ", keys.size());
    TL_CHECK(!has_format_ || format == format_, "[feature cache] expected rows ", format_.shape, ", got ",
             format.shape);
    has_format_ = true;
    format_ = format;
    keys_.insert(keys_.end(), keys.begin(), keys.end());
    pending_.append(reinterpret_cast<const char*>(values.data()), values.span().size_bytes());
    const bool late = Clock::now() - flushed_ > std::chrono::seconds(20);
    if (pending_.size() >= segment_bytes || late) flush();
  }

  /// Writes the rows that were appended into a segment.
  void flush() {
    flushed_ = Clock::now();
    if (keys_.empty()) return;
    std::string head(magic);
    add_number(head, static_cast<Index>(keys_.size()));
    add_number(head, format_.layout == Layout::plain ? 0 : 1);
    add_number(head, format_.shape.rank());
    for (const Index extent : format_.shape) add_number(head, extent);
    for (const Key& key : keys_) head.append(reinterpret_cast<const char*>(key.data()), key.size());
    const Sha256Digest check = sha256(head);
    head.append(reinterpret_cast<const char*>(check.data()), check.size());
    // Named by its keys: two runs that computed the same write the same file.
    const std::filesystem::path path = folder_ / (hex(check).substr(0, 32) + std::string(extension));
    AtomicFile file(path);
    file.write(head);
    file.write(pending_);
    file.commit();
    pending_.clear();
    keys_.clear();
    open_segment(path);
  }

  /// The rows of these keys, all of which are contained, in this order. Flushes first.
  std::shared_ptr<const FeatureRows> rows(std::span<const Key> keys) {
    flush();
    TL_CHECK(!keys.empty(), "[features] none of the images could be read");
    std::vector<Place> places;
    for (const Key& key : keys) {
      const auto place = places_.find(key);
      TL_CHECK(place != places_.end(), "cannot read '", folder_.string(),
               "': a part of it is missing: try again");
      places.push_back(place->second);
    }
    return std::make_shared<CachedRows>(format_, std::move(places));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::string_view magic = "tl feature rows\n";
  static constexpr std::string_view extension = ".rows";
  static constexpr std::size_t segment_bytes = std::size_t{32} << 20;

  struct Place {
    std::shared_ptr<const OpenFile> file;
    std::size_t offset = 0;
  };

  class CachedRows final : public FeatureRows {
   public:
    CachedRows(RowFormat format, std::vector<Place> places)
        : FeatureRows(std::move(format), static_cast<Index>(places.size())), places_(std::move(places)) {}
    void copy(Index row, float* to) const override {
      const Place& place = places_[static_cast<std::size_t>(row)];
      place.file->read(place.offset, reinterpret_cast<char*>(to), format().bytes());
    }

   private:
    std::vector<Place> places_;
  };

  static void add_number(std::string& to, Index value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  /// Adds the rows of a segment; nothing when it is not whole.
  void open_segment(const std::filesystem::path& path) {
    try {
      read_segment(path);
    } catch (const Error&) {
      // Its rows are computed again.
    }
  }

  void read_segment(const std::filesystem::path& path) {
    const auto file = std::make_shared<const OpenFile>(path);
    std::string head;
    const auto take = [&](std::size_t count) {
      TL_CHECK(count <= file->size() - head.size(), "'", path.string(), "' ends early");
      const std::size_t begin = head.size();
      head.resize(begin + count);
      file->read(begin, head.data() + begin, count);
      return std::string_view(head).substr(begin);
    };
    const auto number = [&] {
      Index value = 0;
      std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
      return value;
    };
    TL_CHECK(take(magic.size()) == magic, "'", path.string(), "' holds no features");
    const Index count = number(), layout = number(), rank = number();
    TL_CHECK(count >= 1 && (layout == 0 || layout == 1) && rank >= 1 && rank <= Shape::max_rank, "'",
             path.string(), "' is damaged");
    std::vector<Index> extents;
    for (Index axis = 0; axis < rank; ++axis) extents.push_back(number());
    const RowFormat format{Shape(extents), layout == 0 ? Layout::plain : Layout::channels_last};
    const auto rows = static_cast<std::size_t>(count);
    const std::size_t room = file->size() - head.size();
    const bool fits = format.shape[0] == 1 && format.size() >= 1 &&
                      static_cast<std::size_t>(format.size()) <= room / sizeof(float) &&
                      rows <= room / (sizeof(Key) + format.bytes()) &&
                      room == rows * (sizeof(Key) + format.bytes()) + sizeof(Sha256Digest);
    TL_CHECK(fits, "'", path.string(), "' is damaged");
    TL_CHECK(!has_format_ || format == format_, "'", path.string(), "' holds other rows");
    std::vector<Key> keys(rows);
    std::memcpy(keys.data(), take(rows * sizeof(Key)).data(), rows * sizeof(Key));
    const Sha256Digest check = sha256(head);
    TL_CHECK(
        take(check.size()) == std::string_view(reinterpret_cast<const char*>(check.data()), check.size()),
        "'", path.string(), "' is damaged");
    has_format_ = true;
    format_ = format;
    for (std::size_t row = 0; row < rows; ++row)
      places_.insert_or_assign(keys[row], Place{file, head.size() + row * format.bytes()});
  }

  std::filesystem::path folder_;
  bool has_format_ = false;
  RowFormat format_;
  std::map<Key, Place> places_;
  std::vector<Key> keys_;
  std::string pending_;
  Clock::time_point flushed_ = Clock::now();
};

}  // namespace tl::transfer
