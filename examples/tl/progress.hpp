// Progress on standard error: on a terminal one line that moves, in a log a line every ten seconds, so that a
// short run has none. Nothing with --quiet.
//
//   epoch 1/3  [###########         ]  55 %  34/62  61.2 images/s  0:08 left  loss 0.412
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include <tl/core/shape.hpp>

namespace program {

/// --quiet: standard error has errors alone.
inline bool quiet = false;

class Progress {
 public:
  /// `unit` is what is done in a second; `pause` is the time between two lines of a log.
  Progress(std::string title, tl::Index total, std::string unit = "images",
           std::chrono::milliseconds pause = std::chrono::seconds(10))
      : title_(std::move(title)),
        unit_(std::move(unit)),
        total_(total),
        terminal_(::isatty(STDERR_FILENO) != 0),
        on_(!quiet),
        pause_(terminal_ ? std::chrono::milliseconds(100) : pause) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  /// Never shows anything from now on: standard output is on the same terminal.
  void silence() { on_ = false; }

  /// `done` of the total are done; `text` says how it goes. Units a second are measured unless they are
  /// given.
  void update(tl::Index done, const std::string& text = {}, std::optional<double> rate = {}) {
    const auto now = Clock::now();
    const bool at_once = terminal_ && (!drawn_ || done >= total_);
    if (!on_ || (!at_once && now - last_ < pause_)) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - begin_).count();
    if (terminal_) {
      std::fprintf(stderr, "\r\x1b[K%s", with_bar(done, numbers(done, seconds, text, rate)).c_str());
    } else {
      std::fprintf(stderr, "%s%s\n", title_.c_str(), numbers(done, seconds, text, rate).c_str());
    }
    drawn_ = terminal_;
  }

  /// Removes the line, so that others can be written; the next update draws it again.
  void clear() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;

  double share(tl::Index done) const {
    return total_ > 0 ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total_)) : 1;
  }

  std::string numbers(tl::Index done, double seconds, const std::string& text,
                      std::optional<double> given) const {
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    const double shown = given.value_or(rate);
    const auto left = static_cast<long long>(rate > 0 ? static_cast<double>(total_ - done) / rate : 0);
    char line[200];
    std::snprintf(line, sizeof line, "  %3.0f %%  %lld/%lld  %.*f %s/s  %lld:%02lld left", 100 * share(done),
                  static_cast<long long>(done), static_cast<long long>(total_), shown < 100 ? 1 : 0, shown,
                  unit_.c_str(), left / 60, left % 60);
    return line + (text.empty() ? "" : "  " + text);
  }

  /// The bar takes the room that the rest of the line leaves.
  std::string with_bar(tl::Index done, std::string rest) const {
    const std::size_t room = columns() - 1, used = title_.size() + rest.size();
    constexpr std::size_t frame = 4, longest = 20;
    if (used + frame < room) {
      const std::size_t width = std::min(longest, room - used - frame);
      std::string bar(static_cast<std::size_t>(share(done) * static_cast<double>(width)), '#');
      bar.resize(width, ' ');
      rest.insert(0, "  [" + bar + "]");
    }
    return (title_ + rest).substr(0, room);
  }

  static std::size_t columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
  }

  std::string title_, unit_;
  tl::Index total_;
  bool terminal_, on_, drawn_ = false;
  std::chrono::milliseconds pause_;
  Clock::time_point begin_ = Clock::now(), last_ = begin_;
};

}  // namespace program
