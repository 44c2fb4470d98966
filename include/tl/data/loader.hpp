// Loader: batches of decoded, augmented, normalised images, made ahead on threads of its own.
//
//   Loader loader(dataset, preprocess, {.batch_size = 32, .shuffle = true, .augment = Augment{}});
//   for (Batch& batch : loader.epoch(0)) use(batch.images, batch.labels);    // (N,3,H,W) channels_last, (N)
//
// The order and every random change depend on (seed, epoch, sample) alone: the same bits at any number of
// threads. A file that cannot be decoded is left out of its batch and listed by skipped(), or, when strict,
// ends the epoch with its error.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tl/core/rng.hpp>
#include <tl/data/loader_source.hpp>
#include <tl/tensor/tensor.hpp>

namespace tl::data {

/// Images that go through the network together.
struct Batch {
  Tensor<float> images;                                              ///< (N,3,H,W), channels_last
  Tensor<std::int64_t> labels;                                       ///< (N); -1 where unknown
  std::vector<Index> samples;                                        ///< the N indices into the data set
  Index size() const { return static_cast<Index>(samples.size()); }  ///< N
};

/// A file that could not be used, and why.
struct Skipped {
  std::filesystem::path path;  ///< of the file
  std::string reason;          ///< in one sentence, with the path
};

/// One pass over the data, begun when it is made: a range of batches, to be walked once. Destroying it early
/// stops its threads.
class Epoch {
 public:
  /// Pass number `epoch` from batch `first_batch` on; made by Loader::epoch.
  Epoch(std::shared_ptr<loader_impl::Source> source, std::uint64_t epoch, Index first_batch)
      : source_(std::move(source)), epoch_(epoch), order_(source_->samples()), taken_(first_batch) {
    const LoaderOptions& options = source_->options;
    if (options.shuffle) Rng(options.seed, epoch).shuffle(order_);
    total_ = static_cast<Index>(order_.size());
    if (options.drop_last) total_ -= total_ % options.batch_size;
    batches_ = (total_ + options.batch_size - 1) / options.batch_size;
    TL_CHECK(first_batch >= 0 && first_batch <= batches_, "[loader] expected to begin with one of ", batches_,
             " batches, got ", first_batch);
    begun_ = first_batch;
    const int wanted = decoding_threads(options.threads);
    try {
      for (int i = 0; i < wanted; ++i) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;
  ~Epoch() { stop(); }

  /// The next batch, or nothing at the end. Rethrows what went wrong on the way to it.
  std::optional<Batch> next() {
    for (;;) {
      std::unique_ptr<Job> job = take();
      if (!job) return {};
      if (job->error) {
        stop();
        std::rethrow_exception(job->error);
      }
      if (!job->broken.empty()) leave_out_broken(*job);
      if (!job->batch.samples.empty() || source_->options.share.count > 1) return std::move(job->batch);
    }
  }

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = Batch*;
    using reference = Batch&;

    Iterator() = default;
    explicit Iterator(Epoch* epoch) : epoch_(epoch) { ++*this; }
    Batch& operator*() const { return *epoch_->current_; }
    Batch* operator->() const { return &*epoch_->current_; }
    Iterator& operator++() {
      epoch_->current_.reset();
      epoch_->current_ = epoch_->next();
      if (!epoch_->current_) epoch_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.epoch_ == b.epoch_; }

   private:
    Epoch* epoch_ = nullptr;
  };
  /// To be called once.
  Iterator begin() { return Iterator(this); }
  Iterator end() { return {}; }  ///< behind the last batch

  /// Batches of this epoch up to the one that was given last, those without a readable image among them.
  Index batches_given() const { return taken_; }

 private:
  /// A batch in the making. Threads fill its slots; the last one hands it over.
  struct Job {
    Batch batch;
    float* images = nullptr;
    Index given_out = 0;                  ///< slots that a thread has taken
    Index pending = 0;                    ///< slots not yet filled
    std::map<Index, std::string> broken;  ///< reasons by slot
    Index error_slot = 0;
    std::exception_ptr error;  ///< of the first slot with one
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (stopped_) return;
      if (jobs_.empty() || jobs_.back()->given_out == jobs_.back()->batch.size()) {
        if (begun_ == batches_) return;
        if (begun_ >= taken_ + source_->options.ahead) {
          room_.wait(lock);
          continue;
        }
        try {
          jobs_.push_back(make_job(begun_++));
        } catch (...) {
          failure_ = std::current_exception();
          stopped_ = true;
          room_.notify_all();
        }
        ready_.notify_all();  // of a failure, or a batch of no image
        continue;
      }
      Job& job = *jobs_.back();
      const Index slot = job.given_out++;
      lock.unlock();
      fill(job, slot);
      lock.lock();
      if (--job.pending == 0) ready_.notify_all();
    }
  }

  std::unique_ptr<Job> make_job(Index number) const {
    const Index first = number * source_->options.batch_size;
    const Index whole = std::min(source_->options.batch_size, total_ - first);
    const Share& share = source_->options.share;
    const Index begin = first + share.begin(whole), count = first + share.end(whole) - begin;
    auto job = std::make_unique<Job>();
    job->pending = count;
    job->batch.images = Tensor<float>::empty(
        {count, Image::channels, source_->size.height, source_->size.width}, Layout::channels_last);
    job->images = job->batch.images.mutable_data();
    job->batch.labels = Tensor<std::int64_t>::empty({count});
    std::int64_t* labels = job->batch.labels.mutable_data();
    for (Index i = 0; i < count; ++i) {
      const Index sample = order_[static_cast<std::size_t>(begin + i)];
      job->batch.samples.push_back(sample);
      labels[i] = source_->dataset.samples[static_cast<std::size_t>(sample)].label;
    }
    return job;
  }

  Index slot_elements() const { return Image::channels * source_->size.height * source_->size.width; }

  void fill(Job& job, Index slot) {
    const Index sample = job.batch.samples[static_cast<std::size_t>(slot)];
    try {
      std::shared_ptr<const Image> image;
      try {
        image = source_->prepared(sample);
      } catch (const Error& error) {
        if (source_->options.strict) throw;
        const std::lock_guard lock(mutex_);
        job.broken.emplace(slot, error.what());
        return;
      }
      source_->finish(*image, sample, epoch_, job.images + slot * slot_elements());
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (job.error && job.error_slot < slot) return;
      job.error = std::current_exception();
      job.error_slot = slot;
    }
  }

  /// Waits for the next batch to be complete; null at the end.
  std::unique_ptr<Job> take() {
    std::unique_lock lock(mutex_);
    if (taken_ == batches_) return nullptr;
    ready_.wait(lock, [&] { return stopped_ || (!jobs_.empty() && jobs_.front()->pending == 0); });
    if (failure_) std::rethrow_exception(failure_);
    if (stopped_) return nullptr;
    std::unique_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    ++taken_;
    room_.notify_all();
    return job;
  }

  /// Notes the broken images of a batch and moves the others together.
  void leave_out_broken(Job& job) {
    {
      const std::lock_guard lock(source_->mutex);
      for (const auto& [slot, reason] : job.broken) {
        source_->broken.emplace(job.batch.samples[static_cast<std::size_t>(slot)], reason);
      }
    }
    const Batch& all = job.batch;
    const Index kept = all.size() - static_cast<Index>(job.broken.size());
    Batch good{Tensor<float>::empty({kept, Image::channels, source_->size.height, source_->size.width},
                                    Layout::channels_last),
               Tensor<std::int64_t>::empty({kept}),
               {}};
    float* images = good.images.mutable_data();
    std::int64_t* labels = good.labels.mutable_data();
    for (Index slot = 0; slot < all.size(); ++slot) {
      if (job.broken.contains(slot)) continue;
      images = std::copy_n(all.images.data() + slot * slot_elements(), slot_elements(), images);
      *labels++ = all.labels.data()[slot];
      good.samples.push_back(all.samples[static_cast<std::size_t>(slot)]);
    }
    job.batch = std::move(good);
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::shared_ptr<loader_impl::Source> source_;
  std::uint64_t epoch_;
  std::vector<Index> order_;
  Index total_ = 0;  ///< samples of this epoch, of all shares
  Index batches_ = 0;
  std::optional<Batch> current_;  ///< what the iterator shows

  std::mutex mutex_;
  std::condition_variable room_, ready_;  ///< for the threads; for the consumer
  std::deque<std::unique_ptr<Job>> jobs_;
  Index begun_ = 0, taken_ = 0;  ///< batches
  bool stopped_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

/// Makes epochs of batches from a data set. With a share of each batch, an epoch has the same batches in
/// every process, of which each has its part.
class Loader {
 public:
  /// Throws when an option makes no sense, or when the size of a batch is to be told from the images and none
  /// can be read.
  Loader(Dataset dataset, const Preprocess& preprocess, const LoaderOptions& options = {})
      : source_(std::make_shared<loader_impl::Source>(std::move(dataset), preprocess, options)) {}

  /// A pass over the data, from one of its batches on; another number gives another order and other random
  /// changes.
  Epoch epoch(std::uint64_t number, Index first_batch = 0) const {
    return Epoch(source_, number, first_batch);
  }

  const Dataset& dataset() const { return source_->dataset; }           ///< whose images are given
  const Preprocess& preprocess() const { return source_->preprocess; }  ///< what is done to each image
  /// Height and width of the images of a batch.
  Size size() const { return source_->size; }
  /// Batches of an epoch, where no whole batch is broken.
  Index batches() const {
    const Index n = static_cast<Index>(source_->samples().size()), size = source_->options.batch_size;
    return source_->options.drop_last ? n / size : (n + size - 1) / size;
  }
  /// The broken images met so far, each once, in the order of the data set.
  std::vector<Skipped> skipped() const {
    const std::lock_guard lock(source_->mutex);
    std::vector<Skipped> list;
    for (const auto& [sample, reason] : source_->broken) list.push_back({source_->path(sample), reason});
    return list;
  }

 private:
  std::shared_ptr<loader_impl::Source> source_;
};

}  // namespace tl::data
