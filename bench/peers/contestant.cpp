// tl as one contestant of compare.py: runs one step for every line on standard input and answers with its
// milliseconds on a line of standard output.
//
//   contestant MODEL.onnx infer|train|head BATCH SIZE THREADS
//
// infer: a forward pass of the fused network. train: forward, cross-entropy, backward, an SGD step on every
// layer. head: the same with everything but the last layer frozen.
#include <chrono>
#include <iostream>
#include <string>

#include <tl/tl.hpp>

namespace {

using tl::Index;

class Contestant {
 public:
  Contestant(const std::string& file, const std::string& work, Index batch, Index size)
      : model_(tl::onnx::load_graph<float>(file)), work_(work) {
    images_ =
        tl::nn::random_uniform<float>({batch, 3, size, size}, 1, tl::Rng(1)).to(tl::Layout::channels_last);
    labels_ = tl::Tensor<std::int64_t>::zeros({batch});
    for (Index i = 0; i < batch; ++i) labels_.set(i % 10, i);
    if (work == "head") tl::transfer::freeze_all_but_last(model_, 1);
    sgd_.emplace(std::vector<tl::optim::ParameterGroup<float>>{{.params = model_.parameters(), .lr = 1e-4}});
  }

  void step() {
    if (work_ == "infer") {
      model_.predict(images_);
      return;
    }
    model_.train();
    tl::cross_entropy(model_.forward(tl::Var<float>(images_)), labels_).backward();
    sgd_->step();
    sgd_->zero_grad();
  }

 private:
  tl::Model<float> model_;
  std::string work_;
  tl::Tensor<float> images_;
  tl::Tensor<std::int64_t> labels_;
  std::optional<tl::optim::Sgd<float>> sgd_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    TL_CHECK(argc == 6, "usage: contestant MODEL.onnx infer|train|head BATCH SIZE THREADS");
    tl::set_num_threads(std::stoi(argv[5]));
    Contestant contestant(argv[1], argv[2], std::stoll(argv[3]), std::stoll(argv[4]));
    for (std::string line; std::getline(std::cin, line);) {
      const auto begin = std::chrono::steady_clock::now();
      contestant.step();
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
      std::cout << took.count() << ' ' << tl::MemoryPool::instance().peak_bytes() << std::endl;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "contestant: " << error.what() << '\n';
    return 2;
  }
}
