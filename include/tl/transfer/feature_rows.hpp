// Rows of features, one an image: in memory while they fit into a limit, otherwise in a file.
//
// A row holds the elements of one image in the order in which a batch of that layout has them. Files are read
// row by row: what is not in use takes no memory of the process.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::transfer {

/// What all rows have in common.
struct RowFormat {
  Shape shape;                    ///< of a batch of one image, (1, ...)
  Layout layout = Layout::plain;  ///< of a batch

  Index size() const { return shape.size(); }  ///< elements of a row
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(float); }  ///< of a row
  /// Of a batch of n images, (n, ...).
  Shape batch_shape(Index n) const {
    Shape batch = shape;
    batch[0] = n;
    return batch;
  }
  /// Of the rows of a batch (N, ...).
  static RowFormat of(const Tensor<float>& batch) {
    TL_CHECK(batch.rank() >= 1 && batch.shape(0) >= 1, "[features] expected a batch of values, got ",
             batch.shape());
    RowFormat format{batch.shape(), batch.layout()};
    format.shape[0] = 1;
    return format;
  }
  /// Same shape and layout.
  friend bool operator==(const RowFormat& a, const RowFormat& b) {
    return a.shape == b.shape && a.layout == b.layout;
  }
};

/// Any number of rows, which do not change.
class FeatureRows {
 public:
  /// `count` rows of this format.
  FeatureRows(RowFormat format, Index count) : format_(std::move(format)), count_(count) {}
  FeatureRows(const FeatureRows&) = delete;
  FeatureRows& operator=(const FeatureRows&) = delete;
  virtual ~FeatureRows() = default;

  const RowFormat& format() const { return format_; }  ///< of each row
  Index count() const { return count_; }               ///< rows
  /// Writes format().size() elements. Safe from several threads.
  virtual void copy(Index row, float* to) const = 0;

 private:
  RowFormat format_;
  Index count_;
};

/// The rows of tensors, one after the other.
class MemoryRows final : public FeatureRows {
 public:
  /// Of batches (N, ...) of one format, at least one.
  explicit MemoryRows(std::vector<Tensor<float>> batches)
      : FeatureRows(RowFormat::of(batches.at(0)), count(batches)), batches_(std::move(batches)) {
    for (const Tensor<float>& batch : batches_) begins_.push_back(begins_.back() + batch.shape(0));
  }

  void copy(Index row, float* to) const override {
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), row);
    const auto i = static_cast<std::size_t>(after - begins_.begin()) - 1;
    std::copy_n(batches_[i].data() + (row - begins_[i]) * format().size(), format().size(), to);
  }

 private:
  static Index count(const std::vector<Tensor<float>>& batches) {
    Index n = 0;
    for (const Tensor<float>& batch : batches) n += batch.shape(0);
    return n;
  }

  std::vector<Tensor<float>> batches_;
  std::vector<Index> begins_{0};  ///< rows before each batch
};

/// The rows of a nameless file.
class FileRows final : public FeatureRows {
 public:
  /// `file` has the rows one after the other, and nothing else.
  FileRows(RowFormat format, Index count, TemporaryFile file)
      : FeatureRows(std::move(format), count), file_(std::move(file)) {}

  void copy(Index row, float* to) const override {
    file_.read(static_cast<std::size_t>(row) * format().bytes(), reinterpret_cast<char*>(to),
               format().bytes());
  }

 private:
  TemporaryFile file_;
};

/// Takes batches one after the other. Up to `memory` bytes they stay as they are; then all go to a file in
/// `folder`.
class RowCollector {
 public:
  /// Keeps up to `memory` bytes in memory.
  RowCollector(std::size_t memory, std::filesystem::path folder)
      : memory_(memory), folder_(std::move(folder)) {}

  /// Adds the rows of a batch (N, ...); throws where their format is not that of the first.
  void append(const Tensor<float>& batch) {
    const RowFormat format = RowFormat::of(batch);
    TL_CHECK(count_ == 0 || format == format_, "[features] expected rows ", format_.shape, ", got ",
             format.shape);
    format_ = format;
    count_ += batch.shape(0);
    batches_.push_back(batch);
    if (!file_ && static_cast<std::size_t>(count_) * format.bytes() > memory_) file_.emplace(folder_);
    if (!file_) return;
    for (const Tensor<float>& one : batches_)
      file_->append({reinterpret_cast<const char*>(one.data()), one.span().size_bytes()});
    batches_.clear();
  }

  Index count() const { return count_; }  ///< rows so far
  /// To be called once, last.
  std::shared_ptr<const FeatureRows> finish() {
    TL_CHECK(count_ > 0, "[features] none of the images could be read");
    if (file_) return std::make_shared<FileRows>(format_, count_, std::move(*file_));
    return std::make_shared<MemoryRows>(std::move(batches_));
  }

 private:
  std::size_t memory_;
  std::filesystem::path folder_;
  RowFormat format_;
  Index count_ = 0;
  std::vector<Tensor<float>> batches_;
  std::optional<TemporaryFile> file_;
};

}  // namespace tl::transfer
