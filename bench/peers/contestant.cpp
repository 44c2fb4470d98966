// tl as one contestant of compare.py: answers every line on standard input with the milliseconds of one step.
//
//   contestant MODEL.onnx WORK BATCH SIZE THREADS [PHOTOS]
//
//   infer    a forward pass of random images
//   train    forward, cross-entropy, backward, an SGD step on every layer
//   head     the same with everything but the last layer frozen
//   photos   all JPEG files of a folder, from the disk to logits
//   peak     multiply-adds in registers and nothing else; the answer is GFLOP/s
//
// The first line of standard output holds the milliseconds from the file to the first result, and the
// resident memory in kB that the program had before.
#include <chrono>
#include <fstream>
#include <iostream>
#include <string>

#include <tl/tl.hpp>
#include "kernels/peak.hpp"

namespace {

using tl::Index;

class Contestant {
 public:
  Contestant(const std::string& file, std::string work, Index batch, Index size, const std::string& photos)
      : model_(tl::onnx::load_graph<float>(file)), work_(std::move(work)) {
    if (work_ == "photos") {
      std::vector<std::filesystem::path> paths;
      for (const auto& entry : std::filesystem::directory_iterator(photos)) paths.push_back(entry.path());
      std::sort(paths.begin(), paths.end());
      loader_.emplace(tl::data::image_files(paths),
                      tl::data::Preprocess::parse("resize=256,bilinear,crop=224,mean=127,std=128,rgb"),
                      tl::data::LoaderOptions{.batch_size = batch});
      return;
    }
    images_ =
        tl::nn::random_uniform<float>({batch, 3, size, size}, 1, tl::Rng(1)).to(tl::Layout::channels_last);
    labels_ = tl::Tensor<std::int64_t>::zeros({batch});
    for (Index i = 0; i < batch; ++i) labels_.set(i % 10, i);
    if (work_ == "infer" || work_ == "peak") return;
    if (work_ == "head") tl::transfer::freeze_all_but_last(model_, 1);
    model_.train();
    sgd_.emplace(std::vector<tl::optim::ParameterGroup<float>>{{.params = model_.parameters(), .lr = 1e-4}});
  }

  void step() {
    if (loader_) {
      for (const tl::data::Batch& batch : loader_->epoch(0)) model_.predict(batch.images);
    } else if (!sgd_) {
      model_.predict(images_);
    } else {
      tl::cross_entropy(model_.forward(tl::Var<float>(images_)), labels_).backward();
      sgd_->step();
      sgd_->zero_grad();
    }
  }

 private:
  tl::Model<float> model_;
  std::string work_;
  std::optional<tl::data::Loader> loader_;
  tl::Tensor<float> images_;
  tl::Tensor<std::int64_t> labels_;
  std::optional<tl::optim::Sgd<float>> sgd_;
};

/// Resident memory in kB, as Linux tells it.
std::string resident() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:" && status >> word) return word;
  }
  return "0";
}

template <class Work>
double milliseconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    TL_CHECK(argc == 6 || argc == 7,
             "usage: contestant MODEL.onnx infer|train|head|photos|peak BATCH SIZE THREADS [PHOTOS]");
    tl::set_num_threads(std::stoi(argv[5]));
    const std::string before = resident();
    std::optional<Contestant> contestant;
    const double load = milliseconds([&] {
      contestant.emplace(argv[1], argv[2], std::stoll(argv[3]), std::stoll(argv[4]),
                         argc == 7 ? argv[6] : "");
      contestant->step();
    });
    std::cout << load << ' ' << before << std::endl;
    const bool peak = argv[2] == std::string_view("peak");
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << (peak ? tl_bench::peak_flops<float>() / 1e9 : milliseconds([&] { contestant->step(); }))
                << std::endl;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "contestant: " << error.what() << '\n';
    return 2;
  }
}
