// Uses both libraries; included after them.
#pragma once

#include <string>

inline std::string use_both() {
  const auto x = tl::Tensor<float>::ones({2, 3});
#if __has_include(<tl/expected.hpp>)
  const tl::expected<tl::Index, std::string> size = x.size();
  return tl::concat("shape ", x.shape(), ", expected ", size.value());
#else
  return tl::concat("shape ", x.shape(), ", expected ", x.size());
#endif
}
