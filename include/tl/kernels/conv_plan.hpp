// Which algorithm computes a convolution: chosen by shape. The number of threads does not matter.
//
// Winograd's F(4x4,3x3) needs 36 products where the direct sum needs 144, F(2x2,3x3) 16 where it needs 36,
// and both pay for transforms of the input, the weights and the output (conv_winograd.hpp). The environment
// variable TL_WINOGRAD forces one: 0 keeps to direct sums; 2 and 4 take F(2x2) and F(4x4) wherever they are
// possible.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <ostream>
#include <string_view>
#include <type_traits>

#include <tl/core/error.hpp>
#include <tl/kernels/conv_shape.hpp>

namespace tl::kernels {

/// The sum as it stands, or Winograd's with tiles of 2x2 or 4x4 outputs (Lavin, Gray 2015,
/// https://arxiv.org/abs/1509.09308).
enum class ConvAlgorithm { direct, winograd_2x2, winograd_4x4 };

/// "direct", "winograd 2x2" or "winograd 4x4"
constexpr std::string_view name_of(ConvAlgorithm algorithm) {
  return algorithm == ConvAlgorithm::direct         ? "direct"
         : algorithm == ConvAlgorithm::winograd_2x2 ? "winograd 2x2"
                                                    : "winograd 4x4";
}

/// The algorithm of each of the three products of a convolution.
struct ConvPlan {
  ConvAlgorithm forward = ConvAlgorithm::direct;          ///< of y
  ConvAlgorithm backward_input = ConvAlgorithm::direct;   ///< of dx
  ConvAlgorithm backward_weight = ConvAlgorithm::direct;  ///< of dw

  friend bool operator==(const ConvPlan&, const ConvPlan&) = default;  ///< all three equal
  /// For messages: "forward direct, backward input ..."
  friend std::ostream& operator<<(std::ostream& out, const ConvPlan& plan) {
    return out << "forward " << name_of(plan.forward) << ", backward input " << name_of(plan.backward_input)
               << ", backward weight " << name_of(plan.backward_weight);
  }
};

namespace internal {

inline constexpr int no_wish = -1;  ///< shapes decide

/// The ConvAlgorithm that TL_WINOGRAD asks for, or no_wish.
inline int parse_winograd(const char* value) {
  const std::string_view wish = value == nullptr ? "" : value;
  if (wish.empty()) return no_wish;
  if (wish == "0") return static_cast<int>(ConvAlgorithm::direct);
  if (wish == "2") return static_cast<int>(ConvAlgorithm::winograd_2x2);
  if (wish == "4") return static_cast<int>(ConvAlgorithm::winograd_4x4);
  fail("[conv] expected TL_WINOGRAD to be 0 (direct sums), 2 or 4 (output tiles of 2x2 or 4x4), got ", wish);
}

/// What ScopedConvPlan or the environment asks for, as parse_winograd says it. (A number: for the atomic of
/// an optional clang needs a library of its own.)
inline std::atomic<int>& conv_wish() {
  static std::atomic<int> wish{parse_winograd(std::getenv("TL_WINOGRAD"))};
  return wish;
}

/// The cheapest algorithm for n output grids, by counts that were measured on ResNet's shapes. The unit is
/// one multiply-add for each pair of channels; `fetch` is what one element of the (transformed) weights
/// costs.
inline ConvAlgorithm cheapest(Index n, Index grid_h, Index grid_w, Index in, Index out, Index fetch) {
  if (in < 32 || out < 32) return ConvAlgorithm::direct;  // transforms would cost more than products
  const auto winograd = [&](Index m) {
    const Index planes = (m + 2) * (m + 2);
    const Index products = n * ((grid_h + m - 1) / m) * ((grid_w + m - 1) / m) * planes;
    return products * 5 / 4 + fetch * planes;  // a quarter for the transforms
  };
  const Index direct = n * grid_h * grid_w * 9 + fetch * 9, two = winograd(2), four = winograd(4);
  if (direct <= std::min(two, four)) return ConvAlgorithm::direct;
  return two < four ? ConvAlgorithm::winograd_2x2 : ConvAlgorithm::winograd_4x4;
}

/// Packed weights come from memory; those of a gradient are transformed first, too. A single image is
/// computed fastest with 10 for packed weights; 20 costs it little, and saves what transformed weights take
/// more: a third of the memory of ResNet-50.
inline constexpr Index fetch_packed = 20, fetch_transformed = 30;

}  // namespace internal

/// The algorithms for elements of type T: double always takes direct sums.
template <class T>
ConvPlan conv_plan(const ConvShape& s) {
  const int asked = internal::conv_wish().load(std::memory_order_relaxed);
  const bool possible = std::is_same_v<T, float> && s.kh == 3 && s.kw == 3 && s.stride_h == 1 &&
                        s.stride_w == 1 && s.dilation_h == 1 && s.dilation_w == 1 && s.groups == 1;
  if (!possible) return {};
  if (asked != internal::no_wish) {
    const auto wish = static_cast<ConvAlgorithm>(asked);
    return {wish, wish, wish};
  }
  const auto gradient = [&](Index h, Index w, Index in, Index out) {
    return internal::cheapest(s.n, h, w, in, out, internal::fetch_transformed);
  };
  return {.forward = internal::cheapest(s.n, s.oh, s.ow, s.c, s.o, internal::fetch_packed),
          .backward_input = gradient(s.h, s.w, s.o, s.c),
          .backward_weight = gradient(s.oh, s.ow, s.c, s.o)};
}

/// Makes every convolution of the process direct, or Winograd wherever it is possible, for a while: for tests
/// and comparisons.
class ScopedConvPlan {
 public:
  /// Of the whole process, until the scope ends.
  explicit ScopedConvPlan(ConvAlgorithm algorithm)
      : before_(internal::conv_wish().exchange(static_cast<int>(algorithm))) {}
  ScopedConvPlan(const ScopedConvPlan&) = delete;
  ScopedConvPlan& operator=(const ScopedConvPlan&) = delete;
  ~ScopedConvPlan() { internal::conv_wish() = before_; }

 private:
  int before_;
};

}  // namespace tl::kernels
