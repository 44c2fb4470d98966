// One 3x3 convolution, computed in ways that become faster, each compared with the first.
//
//   x (n,h,w,c), a border of zeros around it      w (o,c,3,3)      y (n,h,w,o)
//   y[n,p,q,o] = sum over r, t, i of  x[n, p+r-1, q+t-1, i] w[o,i,r,t]
//
//   course_12_fast           what each way gives, and what it costs by count
//   course_12_fast time      how much faster each is than the first, measured in turn
//
// Source: Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>
#include <tuple>
#include <vector>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/core/rng.hpp>
#include <tl/kernels/conv.hpp>
#include <tl/kernels/for_each_isa.hpp>

namespace {

using tl::Index;
using tl::kernels::ConvAlgorithm;
using tl::kernels::Isa;
using Floats = std::vector<float>;

constexpr Index images = 4, side = 28, in = 64, out = 64;
constexpr Index rows = images * side * side, depth = 9 * in;  // of the matrix product
constexpr tl::kernels::ConvShape shape{images, side, side, in, side, side, out, 3, 3, 1, 1, 1, 1};

Floats zeros(Index n) { return Floats(static_cast<std::size_t>(n)); }
bool inside(Index a, Index b) { return a >= 0 && a < side && b >= 0 && b < side; }

// [plain]
/// The formula, loop by loop.
void plain_loops(const float* x, const float* w, float* y) {
  for (Index n = 0; n < images; ++n)
    for (Index p = 0; p < side; ++p)
      for (Index q = 0; q < side; ++q)
        for (Index o = 0; o < out; ++o) {
          float sum = 0;
          for (Index r = 0; r < 3; ++r)
            for (Index t = 0; t < 3; ++t) {
              if (!inside(p + r - 1, q + t - 1)) continue;
              const float* pixel = x + ((n * side + p + r - 1) * side + q + t - 1) * in;
              for (Index i = 0; i < in; ++i) sum += pixel[i] * w[((o * in + i) * 3 + r) * 3 + t];
            }
          y[((n * side + p) * side + q) * out + o] = sum;
        }
}
// [/plain]

// [rows]
/// A (rows,depth): under each output position the nine pixels, one after the other.
Floats as_rows(const float* x) {
  Floats a = zeros(rows * depth);
  float* to = a.data();
  for (Index row = 0; row < rows; ++row)
    for (Index tap = 0; tap < 9; ++tap, to += in) {
      const Index p = row / side % side + tap / 3 - 1, q = row % side + tap % 3 - 1;
      if (inside(p, q)) std::copy_n(x + ((row / (side * side) * side + p) * side + q) * in, in, to);
    }
  return a;
}
/// B (depth,out), in the same order.
Floats as_columns(const float* w) {
  Floats b = zeros(depth * out);
  for (Index k = 0; k < depth; ++k)
    for (Index o = 0; o < out; ++o)
      b[static_cast<std::size_t>(k * out + o)] = w[(o * in + k % in) * 9 + k / in];
  return b;
}
/// The innermost loop runs along memory, and its sums do not wait for each other.
void row_by_row(const float* x, const float* w, float* y) {
  const Floats a = as_rows(x), b = as_columns(w);
  std::fill_n(y, rows * out, 0.0f);
  for (Index row = 0; row < rows; ++row, y += out)
    for (Index k = 0; k < depth; ++k) {
      const float factor = a[static_cast<std::size_t>(row * depth + k)];
      for (Index o = 0; o < out; ++o) y[o] += factor * b[static_cast<std::size_t>(k * out + o)];
    }
}
// [/rows]

// [tile]
using Four = float __attribute__((vector_size(16)));  // four floats in one register
constexpr Index tile_rows = 4, panel = 8;

/// C (4,8) = A (4,depth) B (depth,8). The 32 sums stay in eight registers until they are done.
void tile(const float* a, const float* b, float* c) {
  Four sums[tile_rows][2] = {};
  for (Index k = 0; k < depth; ++k, ++a, b += panel) {
    Four left, right;
    std::memcpy(&left, b, sizeof left);
    std::memcpy(&right, b + 4, sizeof right);
    TL_UNROLL for (Index row = 0; row < tile_rows; ++row) {
      const float factor = a[row * depth];
      sums[row][0] += factor * left;
      sums[row][1] += factor * right;
    }
  }
  for (Index row = 0; row < tile_rows; ++row) std::memcpy(c + row * out, sums[row], sizeof sums[row]);
}
void tile_by_tile(const float* x, const float* w, float* y) {
  const Floats a = as_rows(x), b = as_columns(w);
  Floats packed = zeros(depth * panel);  // eight columns of B side by side, read in order
  for (Index o = 0; o < out; o += panel) {
    for (Index k = 0; k < depth; ++k) std::copy_n(b.data() + k * out + o, panel, packed.data() + k * panel);
    for (Index row = 0; row < rows; row += tile_rows)
      tile(a.data() + row * depth, packed.data(), y + row * out + o);
  }
}
// [/tile]

/// The library's convolution, held to an instruction set, an algorithm and a number of threads.
void library(Isa isa, ConvAlgorithm algorithm, int threads, const float* x, const float* w, float* y) {
  const int before = tl::num_threads();
  tl::set_num_threads(threads);
  {
    const tl::kernels::ScopedIsa instruction_set(isa);
    const tl::kernels::ScopedConvPlan plan(algorithm);
    tl::AlignedArray<float> packed(static_cast<std::size_t>(tl::kernels::conv_packed_size<float>(shape)));
    tl::kernels::conv_pack(shape, w, packed.data());
    tl::kernels::conv_forward(shape, x, packed.data(), nullptr, {}, y);
  }
  tl::set_num_threads(before);
}

struct Way {
  std::string name;
  Index products;
  std::function<void(const float* x, const float* w, float* y)> run;
};

std::vector<Way> ways(const std::vector<Isa>& isas, int threads) {
  constexpr Index direct = rows * depth * out, pairs = in * out;
  std::vector<Way> all{{"plain loops", direct, plain_loops},
                       {"matrix product, row by row", direct, row_by_row},
                       {"4 x 8 sums in registers", direct, tile_by_tile}};
  const auto add = [&all](const std::string& name, Index products, Isa isa, ConvAlgorithm algorithm, int t) {
    all.push_back({"library, " + name, products,
                   [=](const float* x, const float* w, float* y) { library(isa, algorithm, t, x, w, y); }});
  };
  for (const Isa isa : isas) add(std::string(name_of(isa)), direct, isa, ConvAlgorithm::direct, 1);
  const Isa best = isas.back();
  if (threads > 1) add(std::to_string(threads) + " threads", direct, best, ConvAlgorithm::direct, threads);
  add("Winograd 2x2", rows / 4 * 16 * pairs, best, ConvAlgorithm::winograd_2x2, threads);
  add("Winograd 4x4", rows / 16 * 36 * pairs, best, ConvAlgorithm::winograd_4x4, threads);
  return all;
}

double largest(const Floats& a, const Floats& minus) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(minus[i])));
  return most;
}

void compare(const Floats& x, const Floats& w) {
  std::cout << images << " images of " << side << 'x' << side << ", " << in << " channels to " << out
            << ", 3x3\n"
            << std::flush;
  std::printf("%-28s %18s   difference / largest output\n", "", "million products");
  Floats first = zeros(rows * out), y = first;
  const Floats none = y;
  plain_loops(x.data(), w.data(), first.data());
  for (const Way& way : ways({Isa::portable, Isa::avx2}, 1)) {
    way.run(x.data(), w.data(), y.data());
    const double difference = largest(y, first) / largest(first, none);
    std::printf("%-28s %18.1f   %s\n", way.name.c_str(), static_cast<double>(way.products) * 1e-6,
                difference == 0     ? "0"
                : difference < 2e-6 ? "below 2e-6"
                                    : "TOO LARGE");
  }
  std::printf("\nproducts of vectors for each one loaded\n");
  for (const auto& [r, v, what] : {std::tuple(1, 1, "one sum"), std::tuple(4, 2, "4 rows x 2 vectors"),
                                   std::tuple(6, 2, "6 x 2, AVX2"), std::tuple(14, 2, "14 x 2, AVX-512")})
    std::printf("  %-20s %.2f\n", what, static_cast<double>(r * v) / static_cast<double>(r + v));

  const double flops = 2.0 * static_cast<double>(rows * depth * out);
  const double bytes =
      4.0 * static_cast<double>(shape.input_size() + shape.weight_size() + shape.output_size());
  std::printf("\noperations for each byte moved: convolution %.0f, ReLU %.3f\n", flops / bytes, 1.0 / 8);

  bool same = true;
  Floats other = y;
  library(Isa::avx2, ConvAlgorithm::winograd_4x4, 1, x.data(), w.data(), y.data());
  for (const int threads : {2, 3, 7}) {
    library(Isa::avx2, ConvAlgorithm::winograd_4x4, threads, x.data(), w.data(), other.data());
    same = same && std::memcmp(y.data(), other.data(), y.size() * sizeof(float)) == 0;
  }
  std::printf("the same bits with 1, 2, 3 and 7 threads: %s\n", same ? "yes" : "no");
}

// [time]
/// Every round runs each way, so that all share the machine's moods; a round gives one ratio a way.
void measure(const Floats& x, const Floats& w) {
  const std::vector<Way> all = ways(tl::kernels::available_isas(), tl::num_threads());
  std::vector<std::vector<double>> ratios(all.size());
  Floats y = zeros(rows * out);
  for (int round = 0; round < 21; ++round) {
    std::vector<double> seconds;
    for (const Way& way : all) {
      double best = 1e300;
      for (int run = 0; run < 3; ++run) {
        const auto start = std::chrono::steady_clock::now();
        way.run(x.data(), w.data(), y.data());
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        best = std::min(best, time.count());
      }
      seconds.push_back(best);
    }
    for (std::size_t i = 0; i < all.size(); ++i) ratios[i].push_back(seconds[0] / seconds[i]);
  }
  // [/time]
  std::printf("| way | times as fast as plain loops (middle half) |\n|---|---|\n");
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::sort(ratios[i].begin(), ratios[i].end());
    std::printf("| %s | %.1f (%.1f to %.1f) |\n", all[i].name.c_str(), ratios[i][10], ratios[i][5],
                ratios[i][15]);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  Floats x = zeros(shape.input_size()), w = zeros(shape.weight_size());
  tl::Rng random(12);
  for (float& value : x) value = static_cast<float>(random.uniform(-1, 1));
  for (float& value : w) value = static_cast<float>(random.uniform(-1, 1));
  if (argc == 2 && std::string(argv[1]) == "time") {
    measure(x, w);
  } else {
    compare(x, w);
  }
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
