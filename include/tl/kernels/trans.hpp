// Whether a matrix is taken as stored or transposed.
#pragma once

namespace tl::kernels {

enum class Trans { no, yes };

}  // namespace tl::kernels
