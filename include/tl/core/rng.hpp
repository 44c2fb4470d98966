// Random numbers keyed by what they are for.
//
// A stream is named by (seed, a, b, c), for example (seed, epoch, sample, operation). Its numbers depend on
// the name alone, not on what was drawn before elsewhere, so results are the same at any thread count and
// after a resume. Mixing: SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
// generators").
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

namespace tl {

/// Bijective 64-bit mixing function, the finaliser of SplitMix64.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// A stream of random numbers, named by what they are for; the same on every platform.
class Rng {
 public:
  /// The stream of that name, from its start.
  explicit constexpr Rng(std::uint64_t seed, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0)
      : state_(mix64(mix64(mix64(mix64(seed) ^ a) ^ b) ^ c)) {}

  /// The next 64 random bits.
  constexpr std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15u;
    return mix64(state_);
  }
  /// Uniform in [0, 1), 53 bits.
  constexpr double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// Uniform in [low, high).
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [0, n), n >= 1 (the bias of at most n / 2^64 is of no account).
  constexpr std::uint64_t below(std::uint64_t n) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(bits()) * n) >> 64);
  }
  /// True with that probability, in [0, 1].
  constexpr bool chance(double probability) { return uniform() < probability; }
  /// Standard normal (Box-Muller).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

  /// Gamma-distributed with this shape, above 0, and scale 1 (Marsaglia, Tsang 2000, "A simple method for
  /// generating gamma variables"). std::gamma_distribution differs from library to library.
  double gamma(double shape) {
    if (shape < 1) return gamma(shape + 1) * std::pow(1.0 - uniform(), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal(), root = 1 + c * x, v = root * root * root;
      if (root > 0 && std::log(1.0 - uniform()) < 0.5 * x * x + d * (1 - v + std::log(v))) return d * v;
    }
  }
  /// Beta-distributed in [0, 1].
  double beta(double a, double b) {
    const double x = gamma(a), y = gamma(b);
    // Where a and b are so small that both are 0, the distribution is all but a coin's.
    return x + y > 0 ? x / (x + y) : chance(a / (a + b)) ? 1 : 0;
  }

  /// Fisher-Yates; the order is the same on every platform, unlike std::shuffle's.
  template <class Range>
  void shuffle(Range& range) {
    for (std::size_t i = range.size(); i > 1; --i) std::swap(range[i - 1], range[below(i)]);
  }

 private:
  std::uint64_t state_;
};

/// The random numbers of one step: while a scope lives, operations that need a stream (dropout) get
/// (seed, step, k) for the k-th of them, so that a step repeats itself exactly after a resume.
/// Without a scope, streams are numbered on from the start of the thread.
class RandomScope {
 public:
  /// Streams of this thread are (seed, step, 0), (seed, step, 1), ... until it ends.
  RandomScope(std::uint64_t seed, std::uint64_t step) : saved_(current()) { current() = {seed, step, 0}; }
  ~RandomScope() { current() = saved_; }
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

  /// The next stream of this thread.
  static Rng next_stream() {
    State& state = current();
    return Rng(state.seed, state.step, state.drawn++);
  }

 private:
  struct State {
    std::uint64_t seed = 0, step = 0, drawn = 0;
  };
  static State& current() {
    thread_local State state;
    return state;
  }
  State saved_;
};

}  // namespace tl
