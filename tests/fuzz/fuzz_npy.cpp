// Fuzz target: .npy files, read as each element type. What was read is written and read again.
#include <tl/io/npy.hpp>

#include "fuzz/target.hpp"

namespace {

template <class T>
void read_as(std::string_view bytes) {
  tl::Tensor<T> tensor;
  if (!tl::fuzz::accepts([&] { tensor = tl::io::decode_npy<T>(bytes); })) return;
  const std::string written = tl::io::encode_npy(tensor);
  const tl::Tensor<T> again = tl::io::decode_npy<T>(written);
  tl::fuzz::require(again.shape() == tensor.shape() && tl::io::encode_npy(again) == written,
                    "an array that was read is written and read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = tl::fuzz::text(data, size);
  read_as<float>(bytes);
  read_as<double>(bytes);
  read_as<std::int64_t>(bytes);
  read_as<std::uint8_t>(bytes);
  return 0;
}
