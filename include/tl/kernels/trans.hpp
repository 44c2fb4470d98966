// Whether a matrix is taken as stored or transposed.
#pragma once

namespace tl::kernels {

/// `no`: as stored; `yes`: rows are columns.
enum class Trans { no, yes };

}  // namespace tl::kernels
