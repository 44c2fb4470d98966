// Winograd convolution for one instruction set; described in conv_winograd.hpp.

namespace tl::kernels::TL_ISA {

inline constexpr int winograd_kernel = 3;
/// F(m x m, 3x3) reads tiles of (m+2) x (m+2) inputs, whose elements are the planes.
template <int m>
inline constexpr int winograd_in = m + winograd_kernel - 1;
template <int m>
inline constexpr Index winograd_planes = winograd_in<m>* winograd_in<m>;

/// One such convolution in tiles of m x m outputs: output position (0,0) reads the input from (base_h,base_w)
/// on.
template <int m>
struct WinogradShape {
  Index n = 0, h = 0, w = 0, c = 0;     // input
  Index grid_h = 0, grid_w = 0, o = 0;  // output
  Index base_h = 0, base_w = 0;

  Index tiles_h() const { return (grid_h + m - 1) / m; }
  Index tiles_w() const { return (grid_w + m - 1) / m; }
  Index tiles() const { return n * tiles_h() * tiles_w(); }
};

template <int m>
WinogradShape<m> winograd_forward(const ConvShape& s) {
  return {s.n, s.h, s.w, s.c, s.oh, s.ow, s.o, -s.pad_top, -s.pad_left};
}
template <int m>
WinogradShape<m> winograd_backward(const ConvShape& s) {
  return {s.n, s.oh, s.ow, s.o, s.h, s.w, s.c, s.pad_top - 2, s.pad_left - 2};
}

/// Where transformed tiles lie: element (plane, tile, channel) at plane*plane_step + tile*row + the channel's
/// offset, blocks of k_block channels block_step apart.
struct WinogradPlanes {
  Index row = 0, plane_step = 0, block_step = k_block;

  /// Rows of `row` elements; planes an odd number of cache lines apart, so that no two share cache sets.
  WinogradPlanes(Index tiles, Index row_) : row(row_) {
    constexpr Index line = 16, page = 64 * line;
    plane_step = (tiles * row + page - 1) / page * page + 5 * line;
  }
};

// One-dimensional transforms, those of F(2,3) by the points 0, 1, -1 and infinity, those of F(4,3) by six;
// the two-dimensional ones apply them to columns, then rows.
template <class T>
inline constexpr T point_a = T(0.70710678118654752440);
template <class T>
inline constexpr T point_b = T(1.41421356237309504880);

/// B^T d: as many values as inputs.
template <class T>
TL_INLINE void transform_input(const Vec<T> (&d)[4], Vec<T> (&r)[4]) {
  r[0] = d[0] - d[2];
  r[1] = d[1] + d[2];
  r[2] = d[2] - d[1];
  r[3] = d[1] - d[3];
}
template <class T>
TL_INLINE void transform_input(const Vec<T> (&d)[6], Vec<T> (&r)[6]) {
  using V = Vec<T>;
  const V a = V::set1(point_a<T>), b = V::set1(point_b<T>);
  const V two = V::set1(-2), half = V::set1(T(-0.5)), more = V::set1(T(-2.5));
  const V even_a = fma(two, d[2], d[4]), odd_a = fma(two, d[1], d[3]);
  const V even_b = fma(half, d[2], d[4]), odd_b = fma(half, d[1], d[3]);
  r[0] = fma(more, d[2], d[0] + d[4]);
  r[1] = fma(a, odd_a, even_a);
  r[2] = fma(-a, odd_a, even_a);
  r[3] = fma(b, odd_b, even_b);
  r[4] = fma(-b, odd_b, even_b);
  r[5] = fma(more, d[3], d[1] + d[5]);
}

/// A^T m: the outputs.
template <class T>
TL_INLINE void transform_output(const Vec<T> (&m)[4], Vec<T> (&r)[2]) {
  r[0] = m[0] + (m[1] + m[2]);
  r[1] = (m[1] - m[2]) - m[3];
}
template <class T>
TL_INLINE void transform_output(const Vec<T> (&m)[6], Vec<T> (&r)[4]) {
  using V = Vec<T>;
  const V even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
  r[0] = m[0] + (even_a + even_b);
  r[1] = fma(V::set1(point_a<T>), odd_a, V::set1(point_b<T>) * odd_b);
  r[2] = fma(V::set1(T(0.5)), even_a, V::set1(2) * even_b);
  r[3] = fma(V::set1(point_a<T> / 2), odd_a, fma(V::set1(point_b<T> * 2), odd_b, m[5]));
}

/// A y: the transpose of transform_output.
template <class T>
TL_INLINE void transform_output_gradient(const Vec<T> (&y)[2], Vec<T> (&r)[4]) {
  r[0] = y[0];
  r[1] = y[0] + y[1];
  r[2] = y[0] - y[1];
  r[3] = -y[1];
}
template <class T>
TL_INLINE void transform_output_gradient(const Vec<T> (&y)[4], Vec<T> (&r)[6]) {
  using V = Vec<T>;
  const V a = V::set1(point_a<T>), b = V::set1(point_b<T>), two = V::set1(2), half = V::set1(T(0.5));
  const V even_a = fma(half, y[2], y[0]), odd_a = fma(half, y[3], y[1]);
  const V even_b = fma(two, y[2], y[0]), odd_b = fma(two, y[3], y[1]);
  r[0] = y[0];
  r[1] = fma(a, odd_a, even_a);
  r[2] = fma(-a, odd_a, even_a);
  r[3] = fma(b, odd_b, even_b);
  r[4] = fma(-b, odd_b, even_b);
  r[5] = y[3];
}

/// G g: of a kernel's three values.
template <class T>
TL_INLINE void transform_kernel(const Vec<T> (&g)[3], Vec<T> (&r)[4]) {
  const Vec<T> half = Vec<T>::set1(T(0.5)), even = g[0] + g[2];
  r[0] = g[0];
  r[1] = half * (even + g[1]);
  r[2] = half * (even - g[1]);
  r[3] = g[2];
}
template <class T>
TL_INLINE void transform_kernel(const Vec<T> (&g)[3], Vec<T> (&r)[6]) {
  using V = Vec<T>;
  const V third = V::set1(T(-2) / 3), sixth = V::set1(T(1) / 6);
  const V even_a = fma(V::set1(T(0.5)), g[2], g[0]), odd_a = V::set1(point_a<T>) * g[1];
  const V even_b = fma(V::set1(2), g[2], g[0]), odd_b = V::set1(point_b<T>) * g[1];
  r[0] = g[0];
  r[1] = third * (even_a + odd_a);
  r[2] = third * (even_a - odd_a);
  r[3] = sixth * (even_b + odd_b);
  r[4] = sixth * (even_b - odd_b);
  r[5] = g[2];
}

/// G^T s: the transpose of transform_kernel.
template <class T>
TL_INLINE void transform_kernel_gradient(const Vec<T> (&s)[4], Vec<T> (&r)[3]) {
  const Vec<T> half = Vec<T>::set1(T(0.5)), even = half * (s[1] + s[2]);
  r[0] = s[0] + even;
  r[1] = half * (s[1] - s[2]);
  r[2] = even + s[3];
}
template <class T>
TL_INLINE void transform_kernel_gradient(const Vec<T> (&s)[6], Vec<T> (&r)[3]) {
  using V = Vec<T>;
  const V third = V::set1(T(-2) / 3), sixth = V::set1(T(1) / 6);
  const V even_a = third * (s[1] + s[2]), odd_a = third * (s[1] - s[2]);
  const V even_b = sixth * (s[3] + s[4]), odd_b = sixth * (s[3] - s[4]);
  r[0] = s[0] + (even_a + even_b);
  r[1] = fma(V::set1(point_a<T>), odd_a, V::set1(point_b<T>) * odd_b);
  r[2] = fma(V::set1(T(0.5)), even_a, fma(V::set1(2), even_b, s[5]));
}

/// Two dimensions: `load(i,j)` gives the in x in values, `store(i,j,value)` takes the out x out results of
/// the one-dimensional `transform` along columns, then rows.
template <class T, int in, int out, class Transform, class Load, class Store>
TL_INLINE void transform_square(const Transform& transform, const Load& load, const Store& store) {
  Vec<T> middle[out][in];
  TL_UNROLL for (int j = 0; j < in; ++j) {
    Vec<T> column[in], result[out];
    TL_UNROLL for (int i = 0; i < in; ++i) column[i] = load(i, j);
    transform(column, result);
    TL_UNROLL for (int i = 0; i < out; ++i) middle[i][j] = result[i];
  }
  TL_UNROLL for (int i = 0; i < out; ++i) {
    Vec<T> result[out];
    transform(middle[i], result);
    TL_UNROLL for (int j = 0; j < out; ++j) store(i, j, result[j]);
  }
}

/// Calls use(tile - begin, image, tile row, tile column) for each tile in [begin,end).
template <int m, class Use>
TL_INLINE void for_each_tile(const WinogradShape<m>& s, Index begin, Index end, const Use& use) {
  const Index tiles_h = s.tiles_h(), tiles_w = s.tiles_w();
  for (Index tile = begin; tile < end; ++tile) {
    use(tile - begin, tile / (tiles_h * tiles_w), tile / tiles_w % tiles_h, tile % tiles_w);
  }
}

/// The addresses of size x size pixels from (top,left) on; those outside the image are `zeros`.
template <int size, class T>
TL_INLINE void find_pixels(const T* image, Index h, Index w, Index channels, Index top, Index left,
                           const T* zeros, const T* (&pixels)[size * size]) {
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      const Index y = top + i, x = left + j;
      const bool inside = y >= 0 && y < h && x >= 0 && x < w;
      pixels[i * size + j] = inside ? image + (y * w + x) * channels : zeros;
    }
  }
}

/// Transforms pixels of tiles to planes: B^T d B of inputs, or A dY A^T of gradients of outputs.
template <int m, int size, class T, class Transform>
TL_INLINE void transform_pixels(const Transform& transform, const T* const (&pixels)[size * size],
                                Index channels, const WinogradPlanes& planes, T* to) {
  constexpr Index width = Vec<T>::width;
  for (Index c = 0; c < channels; c += width) {
    T* out = to + c / k_block * planes.block_step + c % k_block;
    const Index rest = channels - c;
    const auto store = [&](int i, int j, Vec<T> v) __attribute__((always_inline)) {
      v.store(out + (i * winograd_in<m> + j) * planes.plane_step);
    };
    if (rest >= width) {
      transform_square<T, size, winograd_in<m>>(
          transform,
          [&](int i, int j) __attribute__((always_inline)) { return Vec<T>::load(pixels[i * size + j] + c); },
          store);
    } else {
      transform_square<T, size, winograd_in<m>>(
          transform,
          [&](int i, int j)
              __attribute__((always_inline)) { return Vec<T>::load(pixels[i * size + j] + c, rest); },
          store);
    }
  }
}

template <int m, class T>
void transform_input_tiles(const WinogradShape<m>& s, const T* x, Index begin, Index end,
                           const WinogradPlanes& planes, const T* zeros, T* to) {
  constexpr int size = winograd_in<m>;
  for_each_tile(
      s, begin, end, [&](Index t, Index n, Index i, Index j) __attribute__((always_inline)) {
        const T* pixels[size * size];
        find_pixels<size>(x + n * s.h * s.w * s.c, s.h, s.w, s.c, i * m + s.base_h, j * m + s.base_w, zeros,
                          pixels);
        transform_pixels<m, size>(
            [](const Vec<T>(&d)[size], Vec<T>(&r)[size])
                __attribute__((always_inline)) { transform_input(d, r); },
            pixels, s.c, planes, to + t * planes.row);
      });
}

template <int m, class T>
void transform_gradient_tiles(const WinogradShape<m>& s, const T* dy, Index begin, Index end,
                              const WinogradPlanes& planes, const T* zeros, T* to) {
  for_each_tile(
      s, begin, end, [&](Index t, Index n, Index i, Index j) __attribute__((always_inline)) {
        const T* pixels[m * m];
        find_pixels<m>(dy + n * s.grid_h * s.grid_w * s.o, s.grid_h, s.grid_w, s.o, i * m, j * m, zeros,
                       pixels);
        transform_pixels<m, m>(
            [](const Vec<T>(&y)[m], Vec<T>(&r)[winograd_in<m>])
                __attribute__((always_inline)) { transform_output_gradient(y, r); },
            pixels, s.o, planes, to + t * planes.row);
      });
}

/// A^T m A, then bias, residual and activation, into y.
template <int m, class T>
void transform_output_tiles(const WinogradShape<m>& s, const T* from, const WinogradPlanes& planes,
                            Index begin, Index end, const ProductOutput<T>& out) {
  using V = Vec<T>;
  constexpr int size = winograd_in<m>;
  for_each_tile(
      s, begin, end, [&](Index t, Index n, Index i, Index j) __attribute__((always_inline)) {
        const Index rows = std::min<Index>(m, s.grid_h - i * m);
        const Index columns = std::min<Index>(m, s.grid_w - j * m);
        const Index corner = ((n * s.grid_h + i * m) * s.grid_w + j * m) * s.o;
        for (Index o = 0; o < s.o; o += V::width) {
          const T* sum = from + t * planes.row + o;
          const Index lanes = std::min<Index>(V::width, s.o - o);
          const bool full = lanes == V::width;
          const V bias = out.bias == nullptr ? V::zero()
                         : full              ? V::load(out.bias + o)
                                             : V::load(out.bias + o, lanes);
          const V low = V::zero(), high = V::set1(6);
          transform_square<T, size, m>(
              [](const V(&d)[size], V(&r)[m]) __attribute__((always_inline)) { transform_output(d, r); },
              [&](int p, int q) __attribute__((always_inline)) {
                return V::load(sum + (p * size + q) * planes.plane_step);
              },
              [&](int p, int q, V v) __attribute__((always_inline)) {
                if (p >= rows || q >= columns) return;
                const Index at = corner + (p * s.grid_w + q) * s.o + o;
                v += bias;
                if (out.start != nullptr)
                  v += full ? V::load(out.start + at) : V::load(out.start + at, lanes);
                if (out.activation != Activation::none) v = max(low, v);
                if (out.activation == Activation::relu6) v = min(high, v);
                full ? v.store(out.c + at) : v.store(out.c + at, lanes);
              });
        }
      });
}

template <int m, class T>
constexpr Index winograd_packed_size(Index c, Index o) {
  return winograd_planes<m> * packed_elements<T>(c, o);
}

/// G g G^T of all kernels: for each plane, block of k_block channels and panel of outputs, [channel][output].
/// Kernel (output j, channel i) begins at w[j*output_stride + i*channel_stride]; `turned` reads its nine
/// elements backwards.
template <int m, class T>
void winograd_pack(const T* w, Index c, Index o, Index output_stride, Index channel_stride, bool turned,
                   T* packed) {
  constexpr int size = winograd_in<m>;
  constexpr Index width = panel_width<T>, taps = winograd_kernel * winograd_kernel, step = 8;
  const Index panels = (o + width - 1) / width, plane = packed_elements<T>(c, o);
  parallel_for(panels, std::max<Index>(1, (Index{1} << 12) / (c * width)), [&](Index begin, Index end) {
    T kernels[step][taps][width] = {};
    for (Index panel = begin; panel < end; ++panel) {
      const Index outputs = std::min(width, o - panel * width);
      for (Index i0 = 0; i0 < c; i0 += step) {
        const Index channels = std::min(step, c - i0);
        for (Index j = 0; j < width; ++j) {
          for (Index i = 0; i < channels; ++i) {
            const T* kernel = w + (panel * width + j) * output_stride + (i0 + i) * channel_stride;
            for (Index tap = 0; tap < taps; ++tap) {
              kernels[i][turned ? taps - 1 - tap : tap][j] = j < outputs ? kernel[tap] : T(0);
            }
          }
        }
        for (Index i = 0; i < channels; ++i) {
          const Index k = i0 + i, k0 = k / k_block * k_block, count = std::min(k_block, c - k0);
          T* to = packed + panels * width * k0 + panel * width * count + (k - k0) * width;
          for (Index lane = 0; lane < width; lane += Vec<T>::width) {
            transform_square<T, winograd_kernel, size>(
                [](const Vec<T>(&g)[winograd_kernel], Vec<T>(&r)[size])
                    __attribute__((always_inline)) { transform_kernel(g, r); },
                [&](int r, int q) __attribute__((always_inline)) {
                  return Vec<T>::load(&kernels[i][r * winograd_kernel + q][lane]);
                },
                [&](int r, int q, Vec<T> v)
                    __attribute__((always_inline)) { v.store(to + (r * size + q) * plane + lane); });
          }
        }
      }
    }
  });
}

/// Tiles [begin,end): transform, a product for each plane, transform back. Runs in parallel unless called
/// from a thread that already does.
template <int m, class T>
void winograd_block(const WinogradShape<m>& s, const T* x, const T* packed, const T* zeros, Index begin,
                    Index end, const ProductOutput<T>& out) {
  constexpr Index width = panel_width<T>, plane_count = winograd_planes<m>;
  const Index tiles = end - begin, row_tiles = (tiles + tile_rows - 1) / tile_rows;
  const Index panels = (s.o + width - 1) / width;
  WinogradPlanes in(tiles, row_stride<T>);
  in.block_step = plane_count * in.plane_step;
  const WinogradPlanes middle(tiles, panels * width + 16);
  T* inputs = workspace<T, 18>((s.c + k_block - 1) / k_block * in.block_step);
  T* sums = workspace<T, 19>(plane_count * middle.plane_step);

  parallel_for(tiles, 4, [&](Index from, Index to) {
    transform_input_tiles(s, x, begin + from, begin + to, in, zeros, inputs + from * in.row);
  });
  const Index group = std::min<Index>(panels, 4), groups = (panels + group - 1) / group;
  parallel_for(plane_count * groups, 1, [&](Index from, Index to) {
    for (Index task = from; task < to; ++task) {
      const Index plane = task / groups, panel_begin = task % groups * group;
      const Index panel_end = std::min(panels, panel_begin + group);
      for (Index k0 = 0; k0 < s.c; k0 += k_block) {
        const Index count = std::min(k_block, s.c - k0);
        for (Index t = 0; t < row_tiles; ++t) {
          const Index row = even_split(tiles, row_tiles, t);
          const int rows = static_cast<int>(even_split(tiles, row_tiles, t + 1) - row);
          Index offsets[tile_rows];
          for (int r = 0; r < rows; ++r) offsets[r] = (row + r) * middle.row;
          for (Index panel = panel_begin; panel < panel_end; ++panel) {
            TileOutput<T> part{.c = sums + plane * middle.plane_step + panel * width,
                               .rows = offsets,
                               .columns = s.o - panel * width > Vec<T>::width ? width : Vec<T>::width};
            if (k0 > 0) part.start = part.c;
            multiply_tile<T, false>(
                rows, count, inputs + k0 / k_block * in.block_step + plane * in.plane_step + row * in.row, 1,
                packed + plane * packed_elements<T>(s.c, s.o) + panels * width * k0 + panel * width * count,
                width, part);
          }
        }
      }
    }
  });
  parallel_for(tiles, 4, [&](Index from, Index to) {
    transform_output_tiles(s, sums + from * middle.row, middle, begin + from, begin + to, out);
  });
}

template <int m, class T>
void winograd_conv(const WinogradShape<m>& s, const T* x, const T* packed, const ProductOutput<T>& out) {
  constexpr Index private_tiles = 28 * 36 / winograd_planes<m>, shared_tiles = 7 * private_tiles;
  const Index tiles = s.tiles();
  T* zeros = workspace<T, 20>(std::max(s.c, s.o));
  std::fill(zeros, zeros + s.c, T(0));
  // Weights beyond a thread's caches are worth reading less often than once for each few tiles.
  const bool shared =
      s.c * s.o > Index{256} * 256 || (s.c * s.o > Index{128} * 128 && tiles < 8 * private_tiles);
  if (shared) {
    const Index blocks = (tiles + shared_tiles - 1) / shared_tiles;
    for (Index b = 0; b < blocks; ++b) {
      winograd_block(s, x, packed, zeros, even_split(tiles, blocks, b), even_split(tiles, blocks, b + 1),
                     out);
    }
    return;
  }
  Index blocks = (tiles + private_tiles - 1) / private_tiles;
  blocks = std::min((blocks + 3) / 4 * 4, std::max<Index>(1, tiles / 6));
  parallel_for(blocks, 1, [&](Index from, Index to) {
    for (Index b = from; b < to; ++b) {
      winograd_block(s, x, packed, zeros, even_split(tiles, blocks, b), even_split(tiles, blocks, b + 1),
                     out);
    }
  });
}

/// dw (o,c,3,3) = G^T [ sum over tiles of (B^T d B) . (A dY A^T) ] G.
template <int m, class T>
void winograd_backward_weight(const WinogradShape<m>& s, const T* x, const T* dy, T* dw) {
  using V = Vec<T>;
  constexpr int size = winograd_in<m>;
  constexpr Index width = panel_width<T>, plane_count = winograd_planes<m>,
                  taps = winograd_kernel * winograd_kernel;
  const Index tiles = s.tiles(), columns = (s.c + width - 1) / width * width;
  const Index most_tiles = std::clamp<Index>((Index{1} << 20) / (plane_count * (s.c + s.o)), 128, 256);
  const Index blocks = (tiles + most_tiles - 1) / most_tiles, block_tiles = (tiles + blocks - 1) / blocks;
  const WinogradPlanes in(block_tiles, columns + 16);
  const WinogradPlanes out(block_tiles, (s.o + V::width - 1) / V::width * V::width + 16);
  T* inputs = workspace<T, 18>(plane_count * in.plane_step);
  T* gradients = workspace<T, 19>(plane_count * out.plane_step);
  T* sums = workspace<T, 17>(plane_count * s.o * columns);
  T* zeros = workspace<T, 20>(std::max(s.c, s.o));
  std::fill(zeros, zeros + std::max(s.c, s.o), T(0));
  const Index row_tiles = (s.o + tile_rows - 1) / tile_rows;
  const Index group = std::min<Index>(row_tiles, 10), groups = (row_tiles + group - 1) / group;

  for (Index b = 0; b < blocks; ++b) {
    const Index begin = even_split(tiles, blocks, b), count = even_split(tiles, blocks, b + 1) - begin;
    parallel_for(count, 4, [&](Index from, Index to) {
      transform_input_tiles(s, x, begin + from, begin + to, in, zeros, inputs + from * in.row);
      transform_gradient_tiles(s, dy, begin + from, begin + to, out, zeros, gradients + from * out.row);
    });
    parallel_for(plane_count * groups, 1, [&](Index from, Index to) {
      for (Index task = from; task < to; ++task) {
        const Index plane = task / groups, first = task % groups * group;
        for (Index t = first; t < std::min(row_tiles, first + group); ++t) {
          const Index output = even_split(s.o, row_tiles, t);
          const int rows = static_cast<int>(even_split(s.o, row_tiles, t + 1) - output);
          Index offsets[tile_rows];
          for (int r = 0; r < rows; ++r) offsets[r] = (output + r) * columns;
          for (Index column = 0; column < s.c; column += width) {
            TileOutput<T> part{.c = sums + plane * s.o * columns + column,
                               .rows = offsets,
                               .columns = s.c - column > V::width ? width : V::width};
            if (b > 0) part.start = part.c;
            multiply_tile<T, true>(rows, count, gradients + plane * out.plane_step + output, out.row,
                                   inputs + plane * in.plane_step + column, in.row, part);
          }
        }
      }
    });
  }
  parallel_for(s.o, std::max<Index>(1, (Index{1} << 10) / s.c), [&](Index from, Index to) {
    for (Index o = from; o < to; ++o) {
      for (Index c = 0; c < s.c; c += V::width) {
        const T* sum = sums + o * columns + c;
        T kernels[taps][V::width];
        transform_square<T, size, winograd_kernel>(
            [](const V(&d)[size], V(&r)[winograd_kernel])
                __attribute__((always_inline)) { transform_kernel_gradient(d, r); },
            [&](int i, int j)
                __attribute__((always_inline)) { return V::load(sum + (i * size + j) * s.o * columns); },
            [&](int i, int j, V v)
                __attribute__((always_inline)) { v.store(kernels[i * winograd_kernel + j]); });
        T* to_kernel = dw + (o * s.c + c) * taps;
        for (Index lane = 0; lane < std::min<Index>(V::width, s.c - c); ++lane) {
          for (Index tap = 0; tap < taps; ++tap) to_kernel[lane * taps + tap] = kernels[tap][lane];
        }
      }
    }
  });
}

}  // namespace tl::kernels::TL_ISA
