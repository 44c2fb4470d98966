// Fuzz target: PyTorch's .pth files, in both formats.
#include <tl/io/pth.hpp>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tl::fuzz::accepts([&] { tl::io::decode_pth(tl::fuzz::text(data, size)); });
  return 0;
}
