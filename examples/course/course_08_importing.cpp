// What an import must get right: folded batch normalisation, names, and the preparation of images.
//
//   y = gamma (w x - mean) / sqrt(var + epsilon) + beta  =  w' x + b'
//   w' = s w    b' = beta - s mean    s = gamma / sqrt(var + epsilon), one a channel
//
// Source of the folding: Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2. First argument: an
// .onnx file with batch normalisation.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <tl/tl.hpp>

#include "drawn.hpp"
#include "pretrained.hpp"

namespace {

using tl::Index;
using tl::Tensor;
using tl::Var;

/// The largest difference, over the largest value.
double difference(const Tensor<float>& a, const Tensor<float>& b) {
  double most = 0, largest = 0;
  const Tensor<float> x = a.plain(), y = b.plain();
  for (Index i = 0; i < x.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(x.data()[i]) - static_cast<double>(y.data()[i])));
    largest = std::max(largest, std::abs(static_cast<double>(x.data()[i])));
  }
  return most / largest;
}

Var<float> leaf(const tl::Graph<float>& graph, const std::string& name) {
  const tl::ValueId id = graph.find(name);
  TL_CHECK(id >= 0, "the network has no '", name, "'");
  return graph.value(id).var;
}

// [fold]
struct Folded {
  std::vector<double> s;
  Tensor<float> weight, bias;
};

Folded fold(const Tensor<float>& w, const Tensor<float>& gamma, const Tensor<float>& beta,
            const Tensor<float>& mean, const Tensor<float>& var, double epsilon) {
  Folded f{{}, w.plain().clone(), Tensor<float>::empty({w.shape(0)})};
  const Index row = w.size() / w.shape(0);
  float* weight = f.weight.mutable_data();
  float* bias = f.bias.mutable_data();
  for (Index o = 0; o < w.shape(0); ++o) {
    f.s.push_back(static_cast<double>(gamma.data()[o]) /
                  std::sqrt(static_cast<double>(var.data()[o]) + epsilon));
    const auto s = static_cast<float>(f.s.back());
    for (Index i = 0; i < row; ++i) *weight++ *= s;
    bias[o] = beta.data()[o] - s * mean.data()[o];
  }
  return f;
}
// [/fold]

Folded fold(const tl::Graph<float>& graph, const std::string& conv, const std::string& norm) {
  return fold(leaf(graph, conv + ".weight").value(), leaf(graph, norm + ".weight").value(),
              leaf(graph, norm + ".bias").value(), leaf(graph, norm + ".running_mean").value(),
              leaf(graph, norm + ".running_var").value(), 1e-5);
}

void show_folding(const tl::Model<float>& model, const Tensor<float>& images) {
  const Folded stem = fold(model.graph(), "conv1", "bn1");
  const tl::ops::Conv2d convolution{.stride = {2, 2}, .padding = {1, 1, 1, 1}};
  const auto two = batch_norm(conv2d(Var<float>(images), leaf(model.graph(), "conv1.weight"), convolution),
                              leaf(model.graph(), "bn1.weight"), leaf(model.graph(), "bn1.bias"),
                              leaf(model.graph(), "bn1.running_mean"), leaf(model.graph(), "bn1.running_var"),
                              tl::Mode{}, {.epsilon = 1e-5});
  const auto one = conv2d(Var<float>(images), Var<float>(stem.weight), Var<float>(stem.bias), convolution);
  std::printf("folded by hand: conv1 and bn1 as one, difference %s\n",
              difference(two.value(), one.value()) < 1e-5 ? "below 1e-5" : "too large");

  // [whole]
  const tl::Model<float> folded(tl::with_folded_batch_norm(model.graph()));
  // [/whole]
  const auto elements = [](const tl::Model<float>& m) {
    Index count = 0;
    for (const auto& p : m.parameters()) count += p.var.value().size();
    return static_cast<long long>(count);
  };
  std::printf("the network:    %zu nodes, %lld parameters, %zu running statistics\n",
              model.graph().nodes().size(), elements(model), model.buffers().size());
  std::printf(
      "folded:         %zu nodes, %lld parameters, %zu running statistics; logits %s\n",
      folded.graph().nodes().size(), elements(folded), folded.buffers().size(),
      difference(model.predict(images), folded.predict(images)) < 1e-4 ? "as before, to 1e-4" : "differ");

  std::puts("\nlayer                  s: lowest  median  highest   steps of w' for w's: 1 / s^2");
  for (const auto& [conv, norm] : std::vector<std::pair<std::string, std::string>>{
           {"conv1", "bn1"}, {"layer2.0.conv1", "layer2.0.bn1"}, {"layer4.1.conv2", "layer4.1.bn2"}}) {
    std::vector<double> s = fold(model.graph(), conv, norm).s;
    std::sort(s.begin(), s.end());
    const double low = s.front(), middle = s[s.size() / 2], high = s.back();
    std::printf("%-20s  %10.3f %7.3f %8.3f   %.2g to %.2g\n", conv.c_str(), low, middle, high,
                1 / (high * high), 1 / (low * low));
  }
}

void show_names(tl::Model<float>& model, const Tensor<float>& images) {
  // [names]
  tl::io::NamedTensors file;
  for (const auto& p : model.parameters()) file.tensors[p.name] = p.var.value();
  for (const auto& b : model.buffers()) file.tensors[b.name] = b.var.value();

  const auto same = tl::models::resnet_small(200);
  std::printf("\n200 classes: %s\n", tl::io::load_weights(*same, file).text().c_str());
  same->eval();
  const auto four = tl::models::resnet_small(4);
  const auto report = tl::io::load_weights(*four, file, {.skip_mismatched = true});
  // [/names]
  const bool alike = difference(same->forward(images).value(), model.predict(images)) < 1e-4;
  std::printf("             logits %s those of the file\n4 classes:   %s\n", alike ? "are" : "are not",
              report.text().c_str());
  tl::io::NamedTensors foreign;
  for (const auto& [name, tensor] : file.tensors) foreign.tensors["backbone/" + name] = tensor;
  try {
    tl::io::load_weights(*same, foreign);
  } catch (const tl::Error& error) {
    std::printf("renamed:     %s\n", error.what());
  }
}

void show_preparations(const tl::Model<float>& model, const std::vector<tl::data::Image>& pictures) {
  // [preparations]
  const std::string right = tl::transfer::preprocess_of(model.graph()).steps.to_string();
  std::printf("\nthe file says: %s\n", right.c_str());
  const std::pair<const char*, const char*> wrongs[] = {
      {"as the file says", ""},
      {"blue for red", "resize=64,bicubic,crop=64,mean=123.675/116.28/103.53,std=58.395/57.12/57.375,bgr"},
      {"one mean, one deviation", "resize=64,bicubic,crop=64,mean=127,std=64,rgb"},
      {"0..255, nothing subtracted", "resize=64,bicubic,crop=64,mean=0,std=1,rgb"},
      {"0..1, nothing subtracted", "resize=64,bicubic,crop=64,mean=0,std=255,rgb"}};
  // [/preparations]
  std::puts(
      "prepared                     mean and deviation of the input   same class as with the right one");
  std::vector<std::int64_t> expected;
  for (const auto& [name, spec] : wrongs) {
    const auto preprocess = tl::data::Preprocess::parse(*spec == '\0' ? right : spec);
    double sum = 0, squares = 0, count = 0;
    std::vector<std::int64_t> found;
    for (const tl::data::Image& picture : pictures) {
      const Tensor<float> input = preprocess.apply(picture);
      for (const float v : input.span()) {
        sum += static_cast<double>(v);
        squares += static_cast<double>(v) * static_cast<double>(v);
      }
      count += static_cast<double>(input.size());
      found.push_back(tl::transfer::best_classes(model.predict(input)).item());
    }
    if (expected.empty()) expected = found;
    std::size_t agree = 0;
    for (std::size_t i = 0; i < found.size(); ++i) agree += found[i] == expected[i] ? 1 : 0;
    const double mean = sum / count;
    std::printf("%-26s  %15.2f %8.2f  %16zu of %zu\n", name, mean, std::sqrt(squares / count - mean * mean),
                agree, found.size());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  auto model = tl::onnx::load<float>(course::pretrained(argc, argv));
  std::vector<tl::data::Image> pictures;
  for (std::uint64_t i = 0; i < 40; ++i) pictures.push_back(course::draw(i % 4, i));
  const Tensor<float> image = tl::transfer::preprocess_of(model.graph()).steps.apply(pictures[1]);

  show_folding(model, image);
  show_names(model, image);
  show_preparations(model, pictures);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
