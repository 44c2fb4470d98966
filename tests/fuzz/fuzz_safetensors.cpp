// Fuzz target: .safetensors files. What was read is written and read again.
#include <tl/io/safetensors.hpp>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tl::io::NamedTensors content;
  if (!tl::fuzz::accepts([&] { content = tl::io::decode_safetensors(tl::fuzz::text(data, size)); })) return 0;
  const std::string written = tl::io::encode_safetensors(content);
  const tl::io::NamedTensors again = tl::io::decode_safetensors(written);
  tl::fuzz::require(again.tensors.size() == content.tensors.size() && again.metadata == content.metadata &&
                        tl::io::encode_safetensors(again) == written,
                    "tensors that were read are written and read again");
  return 0;
}
