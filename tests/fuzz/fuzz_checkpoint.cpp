// Fuzz target: checkpoints of a fully connected layer. One that is refused changes neither layer nor
// optimizer.
#include <tl/io/checkpoint.hpp>
#include <tl/nn/layers.hpp>
#include <tl/optim/sgd.hpp>
#include <tl/train/fit_state.hpp>

#include "fuzz/target.hpp"

namespace {

struct Training {
  tl::nn::Dense<float> model{{.in = 3, .out = 2}};
  tl::optim::Sgd<float> sgd{{{.params = model.parameters(), .lr = 0.1}}, {.momentum = 0.9}};

  std::string state() {
    tl::io::NamedTensors all;
    for (const auto& entry : tl::io::training_state_impl::entries(model, sgd)) {
      if (entry.tensor->defined()) all.tensors[entry.name] = *entry.tensor;
    }
    return tl::io::encode_safetensors(all);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static tl::fuzz::MemoryFile file;
  Training training;
  const std::string before = training.state();
  const auto load = [&] {
    // Behind the checksum, which no file that was changed at random would pass.
    const tl::io::NamedTensors content = tl::io::read_safetensors(file.holding(tl::fuzz::text(data, size)));
    if (content.metadata.contains("fit")) (void)tl::train::kept_state(content, training.model, 2);
    tl::io::put_back(content, training.model, training.sgd);
  };
  if (!tl::fuzz::accepts(load))
    tl::fuzz::require(training.state() == before, "a refused checkpoint changes nothing");
  return 0;
}
