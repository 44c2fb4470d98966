// Convolution with 3x3 kernels and stride 1 by Winograd's minimal filtering F(m x m, 3x3), m = 2 or 4,
// forward and backward.
//
//   Y  = A^T [ sum_c (G g G^T) . (B^T d B) ] A        m x m outputs from (m+2) x (m+2) inputs d, 3x3 kernel g
//   dg = G^T [ sum_tiles (B^T d B) . (A dY A^T) ] G   the gradient of the weights, from the same pieces
//
// ( . multiplies element by element.) So a convolution becomes one matrix product, (tiles,c) x (c,o), for
// each element of the (m+2) x (m+2) tile: 36 multiplications for 16 outputs, or 16 for 4, where the sum needs
// 9 each. The gradient of the input is the same convolution with turned kernels. F(4x4) multiplies less;
// F(2x2) has less than half the transformed weights to read and wastes less on small images: conv_plan.hpp
// chooses.
//
// A polynomial product is found from its values at m+2 points. For F(4x4) these are 0, +-1/sqrt(2), +-sqrt(2)
// and infinity: the error is about 1e-6 of the largest output, four times less than with the usual 0, +-1,
// +-2, and the transforms stay as short, for odd and even powers separate. After Lavin and Gray 2016, "Fast
// algorithms for convolutional neural networks"; on points, Barabasz et al. 2020, "Error analysis and
// improving the accuracy of Winograd convolution for deep neural networks".
//
// Channels are the vectors' lanes. Tiles are worked on in blocks whose transforms stay in the caches, one
// block a thread; where the weights are large the block is shared and its products are divided instead, so
// that the weights are read once. Sums run in the order of channels (of tiles, for the weights' gradient),
// whatever the number of threads.
#pragma once

#include <tl/kernels/gemm_tile.hpp>

#define TL_KERNELS_IMPL <tl/kernels/impl/conv_winograd.inl>
#include <tl/kernels/for_each_isa.hpp>
