// Threads that play the processes of a group, each with a network of its own: what several processes do, in
// one program that sanitizers can watch.
#pragma once

#include <barrier>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include <tl/core/parallel.hpp>
#include <tl/core/process_group.hpp>

namespace tl::test {

/// What the threads share. A thread that ended by an exception makes the calls of the others throw.
class Meeting {
 public:
  explicit Meeting(int size) : barrier_(size), places_(static_cast<std::size_t>(size)) {}

  /// Every thread shows an address; `use` reads those of all while nobody goes on.
  template <class Use>
  void meet(int rank, void* mine, const Use& use) {
    places_[static_cast<std::size_t>(rank)] = mine;
    wait();
    use(places_);
    wait();
  }
  void leave() {
    has_left_ = true;
    barrier_.arrive_and_drop();
  }
  int size() const { return static_cast<int>(places_.size()); }

  std::mutex asserting;

 private:
  void wait() {
    barrier_.arrive_and_wait();
    if (has_left_) fail("another process has ended");
  }

  std::barrier<> barrier_;
  std::vector<void*> places_;
  std::atomic<bool> has_left_ = false;
};

class ThreadGroup final : public ProcessGroup {
 public:
  ThreadGroup(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return meeting_.size(); }
  void sum(std::span<float> values) override { sum_of(values); }
  void sum(std::span<double> values) override { sum_of(values); }
  void begin_sum(std::span<float> values) override { begin_sum_of(values); }
  void begin_sum(std::span<double> values) override { begin_sum_of(values); }
  void advance() override {}
  void finish() override {
    for (const auto& sum : std::exchange(begun_, {})) sum();
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    meeting_.meet(rank_, &bytes, [&](const std::vector<void*>& all) {
      const auto& from = *static_cast<std::span<std::byte>*>(all[static_cast<std::size_t>(root)]);
      TL_CHECK(from.size() == bytes.size(), "[thread_group] expected ", bytes.size(), " bytes, got ",
               from.size());
      if (root != rank_) std::copy(from.begin(), from.end(), bytes.begin());
    });
  }

  std::size_t sums_begun = 0;  ///< in the background
  /// To be held for assertions, which one thread may make at a time.
  std::unique_lock<std::mutex> alone() { return std::unique_lock(meeting_.asserting); }

 private:
  template <class T>
  void sum_of(std::span<T> values) {
    std::vector<T> sums(values.size(), T{0});
    meeting_.meet(rank_, &values, [&](const std::vector<void*>& all) {
      for (const void* place : all) {
        const auto& part = *static_cast<const std::span<T>*>(place);
        TL_CHECK(part.size() == sums.size(), "[thread_group] expected ", sums.size(), " values, got ",
                 part.size());
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += part[i];
      }
    });
    std::copy(sums.begin(), sums.end(), values.begin());
  }
  template <class T>
  void begin_sum_of(std::span<T> values) {
    ++sums_begun;
    begun_.emplace_back([this, values] { sum_of(values); });
  }

  Meeting& meeting_;
  int rank_;
  std::vector<std::function<void()>> begun_;
};

/// Runs work(group) as so many processes, one thread each for kernels; the first exception, if any, is thrown
/// again.
template <class Work>
void as_processes(int count, const Work& work) {
  Meeting meeting(count);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      set_num_threads(1);
      try {
        ThreadGroup group(meeting, rank);
        work(group);
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
        meeting.leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::exception_ptr first;
  for (const std::exception_ptr& error : errors) {
    if (!error) continue;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      if (!first || std::string_view(e.what()).find("another process has ended") == std::string_view::npos)
        first = error;
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace tl::test
