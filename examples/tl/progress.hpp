// Progress: one line on standard error that moves, where standard error is a terminal; nothing elsewhere.
//
//   epoch 1/3  [###########         ]  55 %  610/1109  61.2/s  0:08 left  loss 0.412
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include <tl/core/shape.hpp>

namespace program {

class Progress {
 public:
  Progress(std::string title, tl::Index total)
      : title_(std::move(title)), total_(total), on_(::isatty(STDERR_FILENO) != 0) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  /// Never shows anything from now on: standard output is on the same terminal.
  void silence() { on_ = false; }

  /// `done` of the total are done; `text` says how it goes. Draws ten times a second at most.
  void update(tl::Index done, const std::string& text = {}) {
    const auto now = Clock::now();
    if (!on_ || (done < total_ && drawn_ && now - last_ < std::chrono::milliseconds(100))) return;
    last_ = now;
    const std::string line = describe(done, std::chrono::duration<double>(now - begin_).count(), text);
    std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
    drawn_ = true;
  }

  /// Removes the line, so that others can be written; the next update draws it again.
  void clear() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// The bar takes the room that the rest of the line leaves.
  std::string describe(tl::Index done, double seconds, const std::string& text) const {
    const double share =
        total_ > 0 ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total_)) : 1;
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
    char numbers[160];
    std::snprintf(numbers, sizeof numbers, "  %3.0f %%  %lld/%lld  %.*f/s  %lld:%02lld left", 100 * share,
                  static_cast<long long>(done), static_cast<long long>(total_), rate < 100 ? 1 : 0, rate,
                  static_cast<long long>(left) / 60, static_cast<long long>(left) % 60);
    std::string rest = numbers + (text.empty() ? "" : "  " + text);
    const std::size_t room = columns() - 1, used = title_.size() + rest.size();
    constexpr std::size_t frame = 4, longest = 20;
    if (used + frame < room) {
      const std::size_t width = std::min(longest, room - used - frame);
      std::string bar(static_cast<std::size_t>(share * static_cast<double>(width)), '#');
      bar.resize(width, ' ');
      rest.insert(0, "  [" + bar + "]");
    }
    return (title_ + rest).substr(0, room);
  }

  static std::size_t columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
  }

  std::string title_;
  tl::Index total_;
  bool on_, drawn_ = false;
  Clock::time_point begin_ = Clock::now(), last_{};
};

}  // namespace program
