// Direct convolution for one instruction set; described in conv.hpp.

namespace tl::kernels::TL_ISA {

/// Taps of the kernel along one axis that a sum uses: kernel index first + t*step, and where in the input the
/// output at position 0 finds tap t: base + t*distance.
struct Taps {
  Index count = 0, first = 0, step = 1, base = 0, distance = 1;
};

/// From one panel of copied positions to the next; not a power of two, lest all share cache sets.
template <class T>
inline constexpr Index panel_pitch = (k_block + 3) * panel_width<T>;

/// The rows of the implicit matrix: for each position of an output grid, the input under the taps.
template <class T>
struct Patches {
  static constexpr bool k_major = false;
  const T* x = nullptr;  // the first channel used
  Index h = 0, w = 0;    // of the input image
  Index pixel = 0;       // elements from one pixel to the next
  Index channels = 0;    // used, contiguous
  Index grid_h = 0, grid_w = 0, stride_h = 1, stride_w = 1;
  Taps rows, columns;
  Index out_image = 0, out_row = 0,
        out_column = 0;  // elements between images, grid rows, grid positions of y

  Index k() const { return rows.count * columns.count * channels; }

  struct Position {
    Index n, i, j;
  };
  TL_INLINE Position position(Index row) const {
    return {row / (grid_h * grid_w), row / grid_w % grid_h, row % grid_w};
  }
  TL_INLINE void advance(Position& at) const {
    if (++at.j == grid_w) {
      at.j = 0;
      if (++at.i == grid_h) at.i = 0, ++at.n;
    }
  }

  /// k in [k_begin,k_end) of `count` grid positions from `row` on, row_stride apart.
  TL_INLINE void copy(Index row, Index count, Index k_begin, Index k_end, T* to) const {
    for_each_patch(
        row, count, k_begin, [&](const Patch& patch) __attribute__((always_inline)) {
          copy_patch(patch, k_begin, k_end, to);
          to += row_stride<T>;
        });
  }
  /// The same as panels of columns, [panel][position][panel_width].
  TL_INLINE void copy_panels(Index row, Index count, Index k_begin, Index k_end, T* to) const {
    constexpr Index width = panel_width<T>;
    alignas(64) T line[row_stride<T>] = {};
    for_each_patch(
        row, count, k_begin, [&](const Patch& patch) __attribute__((always_inline)) {
          copy_patch(patch, k_begin, k_end, line);
          for (Index column = 0; column < k_end - k_begin; column += width) {
            T* panel = to + column / width * panel_pitch<T>;
            Vec<T>::load(line + column).store(panel);
            Vec<T>::load(line + column + Vec<T>::width).store(panel + Vec<T>::width);
          }
          to += width;
        });
  }
  TL_INLINE void offsets(Index row, int count, Index* offset) const {
    Position at = position(row);
    for (int r = 0; r < count; ++r) {
      offset[r] = at.n * out_image + at.i * out_row + at.j * out_column;
      advance(at);
    }
  }

 private:
  struct Patch {
    const T* image;
    Index top, left, first_run;
    bool joined;  // a kernel row is one run of memory
  };
  template <class Use>
  TL_INLINE void for_each_patch(Index row, Index count, Index k_begin, const Use& use) const {
    Position at = position(row);
    const bool joined = columns.distance == 1 && pixel == channels;
    const Index first_run = k_begin / (joined ? columns.count * channels : channels);
    for (Index r = 0; r < count; ++r) {
      use(Patch{x + at.n * h * w * pixel, at.i * stride_h + rows.base, at.j * stride_w + columns.base,
                first_run, joined});
      advance(at);
    }
  }
  TL_INLINE void copy_patch(const Patch& patch, Index k_begin, Index k_end, T* to) const {
    patch.joined ? copy_joined(patch, k_begin, k_end, to) : copy_apart(patch, k_begin, k_end, to);
  }
  TL_INLINE void copy_joined(const Patch& patch, Index k_begin, Index k_end, T* to) const {
    const T* image = patch.image;
    const Index top = patch.top, left = patch.left;
    const Index run = columns.count * channels;
    const Index inside_begin = std::clamp<Index>(-left, 0, columns.count) * channels;
    const Index inside_end = std::clamp<Index>(w - left, 0, columns.count) * channels;
    for (Index r = patch.first_run; r * run < k_end; ++r) {
      const Index begin = std::max<Index>(k_begin - r * run, 0), end = std::min(k_end - r * run, run);
      const Index y = top + r * rows.distance;
      const bool inside = y >= 0 && y < h;
      if (inside && inside_begin <= begin && end <= inside_end) {
        copy_over(image + (y * w + left) * pixel + begin, end - begin, to);
      } else {
        const Index from = inside ? std::clamp(inside_begin, begin, end) : end;
        const Index until = inside ? std::clamp(inside_end, from, end) : end;
        zero_over(from - begin, to);
        copy_over(image + (y * w + left) * pixel + from, until - from, to + (from - begin));
        zero_over(end - until, to + (until - begin));
      }
      to += end - begin;
    }
  }
  TL_INLINE void copy_apart(const Patch& patch, Index k_begin, Index k_end, T* to) const {
    const T* image = patch.image;
    const Index top = patch.top, left = patch.left;
    for (Index tap = patch.first_run; tap * channels < k_end; ++tap) {
      const Index begin = std::max<Index>(k_begin - tap * channels, 0);
      const Index end = std::min(k_end - tap * channels, channels);
      const Index y = top + tap / columns.count * rows.distance;
      const Index z = left + tap % columns.count * columns.distance;
      if (y >= 0 && y < h && z >= 0 && z < w) {
        copy_over(image + (y * w + z) * pixel + begin, end - begin, to);
      } else {
        zero_over(end - begin, to);
      }
      to += end - begin;
    }
  }
};

/// The weights of one sum as panels over its n outputs. Element (output j, channel i, tap r,s) is
/// w[j*output_stride + i*channel_stride + r*kernel_w + s].
template <class T>
void pack_weights(const T* w, Index n, Index output_stride, Index channels, Index channel_stride,
                  Index kernel_w, const Taps& rows, const Taps& columns, T* packed) {
  constexpr Index width = panel_width<T>, step = 16;
  const Index taps = rows.count * columns.count, panels = (n + width - 1) / width;
  const KBlocks blocks(taps * channels);
  parallel_for(panels, std::max<Index>(1, (Index{1} << 15) / (blocks.k * width)),
               [&](Index begin, Index end) {
                 for (Index panel = begin; panel < end; ++panel) {
                   const Index j0 = panel * width, outputs = std::min(width, n - j0);
                   for (Index i0 = 0; i0 < channels; i0 += step) {
                     for (Index tap = 0; tap < taps; ++tap) {
                       const Index r = rows.first + tap / columns.count * rows.step;
                       const Index s = columns.first + tap % columns.count * columns.step;
                       for (Index i = i0; i < std::min(channels, i0 + step); ++i) {
                         const Index k = tap * channels + i, k0 = k / blocks.step * blocks.step;
                         const Index count = std::min(blocks.step, blocks.k - k0);
                         T* to = packed + panels * width * k0 + j0 * count + (k - k0) * width;
                         const T* from = w + j0 * output_stride + i * channel_stride + r * kernel_w + s;
                         for (Index j = 0; j < outputs; ++j) to[j] = from[j * output_stride];
                         for (Index j = outputs; j < width; ++j) to[j] = T(0);
                       }
                     }
                   }
                 }
               });
}

template <class T>
Patches<T> forward_patches(const ConvShape& s, const T* x) {
  Patches<T> p;
  p.x = x, p.h = s.h, p.w = s.w, p.pixel = s.c, p.channels = s.c / s.groups;
  p.grid_h = s.oh, p.grid_w = s.ow, p.stride_h = s.stride_h, p.stride_w = s.stride_w;
  p.rows = {.count = s.kh, .base = -s.pad_top, .distance = s.dilation_h};
  p.columns = {.count = s.kw, .base = -s.pad_left, .distance = s.dilation_w};
  p.out_image = s.oh * s.ow * s.o, p.out_row = s.ow * s.o, p.out_column = s.o;
  return p;
}

/// Calls use(std::integral_constant<int, m>) where the algorithm is F(m x m, 3x3); false where it is the
/// direct sum, as always for double, for which Winograd is not compiled.
template <class T, class Use>
TL_INLINE bool with_winograd([[maybe_unused]] ConvAlgorithm algorithm, [[maybe_unused]] const Use& use) {
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm == ConvAlgorithm::winograd_2x2) return use(std::integral_constant<int, 2>()), true;
    if (algorithm == ConvAlgorithm::winograd_4x4) return use(std::integral_constant<int, 4>()), true;
  }
  return false;
}

template <class T>
Index conv_packed_size(const ConvShape& s) {
  Index size = 0;
  if (with_winograd<T>(conv_plan<T>(s).forward,
                       [&](auto m) { size = winograd_packed_size<m.value, T>(s.c, s.o); })) {
    return size;
  }
  return s.groups * packed_elements<T>(s.kh * s.kw * (s.c / s.groups), s.o / s.groups);
}

template <class T>
void conv_pack(const ConvShape& s, const T* w, T* packed) {
  if (with_winograd<T>(conv_plan<T>(s).forward,
                       [&](auto m) { winograd_pack<m.value>(w, s.c, s.o, s.c * 9, 9, false, packed); })) {
    return;
  }
  const Index channels = s.c / s.groups, outputs = s.o / s.groups, taps = s.kh * s.kw;
  for (Index g = 0; g < s.groups; ++g) {
    pack_weights(w + g * outputs * channels * taps, outputs, channels * taps, channels, taps, s.kw,
                 Taps{.count = s.kh}, Taps{.count = s.kw},
                 packed + g * packed_elements<T>(taps * channels, outputs));
  }
}

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* packed, const T* bias,
                  const ConvEpilogue<T>& epilogue, T* y) {
  const ProductOutput<T> out{y, epilogue.residual, bias, epilogue.activation};
  if (with_winograd<T>(conv_plan<T>(s).forward,
                       [&](auto m) { winograd_conv(winograd_forward<m.value>(s), x, packed, out); })) {
    return;
  }
  if (s.pointwise()) {  // a product of the image as it lies there
    return multiply_packed(s.n * s.oh * s.ow, s.o, s.c, PlainRows<T>{x, s.c, s.o}, packed, out);
  }
  const Index channels = s.c / s.groups, outputs = s.o / s.groups;
  for (Index g = 0; g < s.groups; ++g) {
    const Patches<T> patches = forward_patches(s, x + g * channels);
    const Index column = g * outputs;
    multiply_packed(s.n * s.oh * s.ow, outputs, patches.k(), patches,
                    packed + g * packed_elements<T>(patches.k(), outputs),
                    ProductOutput<T>{.c = y + column,
                                     .start = epilogue.residual ? epilogue.residual + column : nullptr,
                                     .bias = bias ? bias + column : nullptr,
                                     .activation = epilogue.activation});
  }
}

/// The taps that reach input positions of one residue modulo the stride, in ascending order of the output
/// position they come from.
inline Taps backward_taps(Index residue, Index kernel, Index stride, Index pad, Index dilation) {
  Taps taps;
  taps.step = -(stride / std::gcd(stride, dilation));
  for (Index r = 0; r < kernel; ++r) {
    if ((residue + pad - r * dilation) % stride == 0) {
      ++taps.count;
      taps.first = r;
    }
  }
  taps.base = (residue + pad - taps.first * dilation) / stride;
  taps.distance = -taps.step * dilation / stride;
  return taps;
}

template <class T>
void conv_backward_input(const ConvShape& s, const T* dy, const T* w, T* dx) {
  if (with_winograd<T>(conv_plan<T>(s).backward_input, [&](auto m) {
        T* turned = workspace<T, 17>(winograd_packed_size<m.value, T>(s.o, s.c));
        winograd_pack<m.value>(w, s.o, s.c, 9, s.c * 9, true, turned);
        winograd_conv(winograd_backward<m.value>(s), dy, turned, ProductOutput<T>{.c = dx});
      })) {
    return;
  }
  const Index channels = s.c / s.groups, outputs = s.o / s.groups, kernel = s.kh * s.kw;
  T* packed = workspace<T, 15>(packed_elements<T>(kernel * outputs, channels));
  for (Index a = 0; a < std::min(s.stride_h, s.h); ++a) {
    for (Index b = 0; b < std::min(s.stride_w, s.w); ++b) {
      Patches<T> p;
      p.h = s.oh, p.w = s.ow, p.pixel = s.o, p.channels = outputs;
      p.grid_h = (s.h - a + s.stride_h - 1) / s.stride_h, p.grid_w = (s.w - b + s.stride_w - 1) / s.stride_w;
      p.rows = backward_taps(a, s.kh, s.stride_h, s.pad_top, s.dilation_h);
      p.columns = backward_taps(b, s.kw, s.stride_w, s.pad_left, s.dilation_w);
      p.out_image = s.h * s.w * s.c, p.out_row = s.stride_h * s.w * s.c, p.out_column = s.stride_w * s.c;
      T* to = dx + (a * s.w + b) * s.c;
      if (p.k() == 0) {
        parallel_for(s.n * p.grid_h, std::max<Index>(1, (Index{1} << 14) / (p.grid_w * s.c)),
                     [&](Index begin, Index end) {
                       for (Index row = begin; row < end; ++row) {
                         T* pixel = to + row / p.grid_h * p.out_image + row % p.grid_h * p.out_row;
                         for (Index j = 0; j < p.grid_w; ++j, pixel += p.out_column) {
                           std::fill(pixel, pixel + s.c, T(0));
                         }
                       }
                     });
        continue;
      }
      for (Index g = 0; g < s.groups; ++g) {
        p.x = dy + g * outputs;
        pack_weights(w + g * outputs * channels * kernel, channels, kernel, outputs, channels * kernel, s.kw,
                     p.rows, p.columns, packed);
        multiply_packed(s.n * p.grid_h * p.grid_w, channels, p.k(), p, packed,
                        ProductOutput<T>{.c = to + g * channels});
      }
    }
  }
}

/// The rows [row,row+count) of dy as k-major tiles of its outputs, tiles [begin,end) of `tiles` even ones:
/// each row of memory is read once and in order.
template <class T>
void copy_output_tiles(const TransposedRows<T>& dy, Index outputs, Index tiles, Index begin, Index end,
                       Index row, Index count, T* to) {
  for (Index p = 0; p < count; ++p) {
    const T* from = dy.a + (row + p) * dy.lda;
    for (Index t = begin; t < end; ++t) {
      const Index output = even_split(outputs, tiles, t);
      copy_over(from + output, even_split(outputs, tiles, t + 1) - output,
                to + (t - begin) * tile_elements<T> + p * k_stride);
    }
  }
}

/// One part of the weights' gradient, sums[o][k] for k in [k_begin,k_end), over output positions
/// [row_begin,row_end).
template <class T>
void sum_weight_gradient(const Patches<T>& patches, const TransposedRows<T>& dy, Index outputs, Index k_begin,
                         Index k_end, Index row_begin, Index row_end, T* sums) {
  constexpr Index width = panel_width<T>, most_tiles = 8;
  T* image = workspace<T, 16>((k_block / width + 1) * panel_pitch<T>);
  T* tile = workspace<T, 10>(most_tiles * tile_elements<T>);
  const Index tiles = (outputs + tile_rows - 1) / tile_rows;
  const KBlocks positions(row_end - row_begin), taps(k_end - k_begin);
  for (Index row = row_begin; row < row_end; row += positions.step) {
    const Index count = std::min(positions.step, row_end - row);
    for (Index k0 = k_begin; k0 < k_end; k0 += taps.step) {
      const Index k1 = std::min(k_end, k0 + taps.step);
      patches.copy_panels(row, count, k0, k1, image);
      for (Index t = 0; t < tiles; ++t) {
        if (t % most_tiles == 0 && (k0 == k_begin || tiles > most_tiles)) {
          copy_output_tiles(dy, outputs, tiles, t, std::min(tiles, t + most_tiles), row, count, tile);
        }
        const Index output = even_split(outputs, tiles, t);
        const int height = static_cast<int>(even_split(outputs, tiles, t + 1) - output);
        Index offsets[tile_rows];
        dy.offsets(output, height, offsets);
        for (Index column = 0; column < k1 - k0; column += width) {
          TileOutput<T> part{
              .c = sums + k0 + column, .rows = offsets, .columns = std::min(width, k1 - k0 - column)};
          if (row > row_begin) part.start = part.c;
          multiply_tile<T, true>(height, count, tile + t % most_tiles * tile_elements<T>, k_stride,
                                 image + column / width * panel_pitch<T>, width, part);
        }
      }
    }
  }
}

template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw) {
  if (with_winograd<T>(conv_plan<T>(s).backward_weight,
                       [&](auto m) { winograd_backward_weight(winograd_forward<m.value>(s), x, dy, dw); })) {
    return;
  }
  const Index channels = s.c / s.groups, outputs = s.o / s.groups, taps = s.kh * s.kw, k = taps * channels;
  const Index positions = s.n * s.oh * s.ow;
  // Tasks are stretches of positions, whose sums are then added in order, while these sums are small: x and
  // dy are read once. Otherwise they are blocks of k.
  constexpr Index wanted_tasks = 16, fewest_positions = 2 * k_block, small_sums = Index{200} << 10;
  const KBlocks blocks(k);
  const Index step = outputs * k <= small_sums ? k : blocks.step, k_parts = (k + step - 1) / step;
  const Index parts =
      std::clamp<Index>(wanted_tasks / k_parts, 1, (positions + fewest_positions - 1) / fewest_positions);
  T* sums = workspace<T, 17>(parts * outputs * k);
  for (Index g = 0; g < s.groups; ++g) {
    const Patches<T> patches = forward_patches(s, x + g * channels);
    const TransposedRows<T> gradient{dy + g * outputs, s.o, k};
    parallel_for(k_parts * parts, 1, [&](Index begin, Index end) {
      for (Index task = begin; task < end; ++task) {
        const Index part = task / k_parts, k0 = task % k_parts * step;
        sum_weight_gradient(patches, gradient, outputs, k0, std::min(k, k0 + step),
                            even_split(positions, parts, part), even_split(positions, parts, part + 1),
                            sums + part * outputs * k);
      }
    });
    parallel_for(outputs, std::max<Index>(1, (Index{1} << 14) / (k * parts)), [&](Index begin, Index end) {
      for (Index o = begin; o < end; ++o) {
        T* total = sums + o * k;
        for (Index part = 1; part < parts; ++part) {
          const T* more = total + part * outputs * k;
          for (Index i = 0; i < k; ++i) total[i] += more[i];
        }
        internal::transpose_tile(channels, taps, total, channels, dw + (g * outputs + o) * k, taps);
      }
    });
  }
}

template <class T>
void conv_backward_bias(const ConvShape& s, const T* dy, T* db) {
  constexpr Index stretch = 1024;
  const Index positions = s.n * s.oh * s.ow, parts = (positions + stretch - 1) / stretch;
  T* sums = workspace<T, 17>(std::max<Index>(1, parts) * s.o);
  parallel_for(parts, std::max<Index>(1, (Index{1} << 5) / s.o), [&](Index begin, Index end) {
    for (Index part = begin; part < end; ++part) {
      T* total = sums + part * s.o;
      std::fill(total, total + s.o, T(0));
      for (Index row = part * stretch; row < std::min(positions, (part + 1) * stretch); ++row) {
        for (Index o = 0; o < s.o; ++o) total[o] += dy[row * s.o + o];
      }
    }
  });
  std::fill(db, db + s.o, T(0));
  for (Index part = 0; part < parts; ++part) {
    for (Index o = 0; o < s.o; ++o) db[o] += sums[part * s.o + o];
  }
}

}  // namespace tl::kernels::TL_ISA
