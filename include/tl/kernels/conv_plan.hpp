// Which algorithm computes a convolution: chosen by shape. The number of threads does not matter, nor for the
// forward pass the number of images, so that weights packed once serve any batch.
//
// Winograd's F(4x4,3x3) needs 36 products where the direct sum needs 144, and pays for transforms of the
// input, the weights and the output (conv_winograd.hpp). The environment variable TL_WINOGRAD=0 keeps to
// direct sums.
#pragma once

#include <atomic>
#include <cstdlib>
#include <ostream>
#include <string_view>
#include <type_traits>

#include <tl/kernels/conv_shape.hpp>

namespace tl::kernels {

enum class ConvAlgorithm { direct, winograd };

constexpr std::string_view name_of(ConvAlgorithm algorithm) {
  return algorithm == ConvAlgorithm::direct ? "direct" : "winograd";
}

/// The algorithm of each of the three products of a convolution.
struct ConvPlan {
  ConvAlgorithm forward = ConvAlgorithm::direct;
  ConvAlgorithm backward_input = ConvAlgorithm::direct;
  ConvAlgorithm backward_weight = ConvAlgorithm::direct;

  friend bool operator==(const ConvPlan&, const ConvPlan&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ConvPlan& plan) {
    return out << "forward " << name_of(plan.forward) << ", backward input " << name_of(plan.backward_input)
               << ", backward weight " << name_of(plan.backward_weight);
  }
};

namespace internal {

/// What ScopedConvPlan or the environment asks for.
enum class ConvWish { by_shape, direct, winograd };

inline std::atomic<ConvWish>& conv_wish() {
  static std::atomic<ConvWish> wish{[] {
    const char* value = std::getenv("TL_WINOGRAD");
    return value != nullptr && std::string_view(value) == "0" ? ConvWish::direct : ConvWish::by_shape;
  }()};
  return wish;
}

/// True where F(4x4,3x3) over a grid of outputs is worth its transforms, measured on ResNet's shapes.
/// Gradients also transform weights, which takes at least a dozen tiles to pay.
inline bool winograd_pays(Index grid_h, Index grid_w, Index in, Index out) {
  const Index products = (grid_h + 3) / 4 * ((grid_w + 3) / 4) * 36;
  return in >= 32 && out >= 32 && products * 2 <= grid_h * grid_w * 9;
}
inline bool winograd_gradient_pays(Index n, Index grid_h, Index grid_w, Index in, Index out) {
  return n * ((grid_h + 3) / 4) * ((grid_w + 3) / 4) >= 12 && winograd_pays(grid_h, grid_w, in, out);
}

}  // namespace internal

/// The algorithms for elements of type T: double always takes direct sums.
template <class T>
ConvPlan conv_plan(const ConvShape& s) {
  const internal::ConvWish wish = internal::conv_wish().load(std::memory_order_relaxed);
  const bool possible = std::is_same_v<T, float> && s.kh == 3 && s.kw == 3 && s.stride_h == 1 &&
                        s.stride_w == 1 && s.dilation_h == 1 && s.dilation_w == 1 && s.groups == 1;
  if (!possible || wish == internal::ConvWish::direct) return {};
  const auto choose = [&](bool pays) {
    return pays || wish == internal::ConvWish::winograd ? ConvAlgorithm::winograd : ConvAlgorithm::direct;
  };
  return {.forward = choose(internal::winograd_pays(s.oh, s.ow, s.c, s.o)),
          .backward_input = choose(internal::winograd_gradient_pays(s.n, s.h, s.w, s.o, s.c)),
          .backward_weight = choose(internal::winograd_gradient_pays(s.n, s.oh, s.ow, s.c, s.o))};
}

/// Makes every convolution of the process direct, or Winograd wherever it is possible, for a while: for tests
/// and comparisons. Weights packed outside the scope are of no use inside it.
class ScopedConvPlan {
 public:
  explicit ScopedConvPlan(ConvAlgorithm algorithm)
      : before_(internal::conv_wish().exchange(
            algorithm == ConvAlgorithm::direct ? internal::ConvWish::direct : internal::ConvWish::winograd)) {
  }
  ScopedConvPlan(const ScopedConvPlan&) = delete;
  ScopedConvPlan& operator=(const ScopedConvPlan&) = delete;
  ~ScopedConvPlan() { internal::conv_wish() = before_; }

 private:
  internal::ConvWish before_;
};

}  // namespace tl::kernels
