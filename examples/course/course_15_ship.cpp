// A fine-tuned network as an .onnx file: what has to travel with the weights, and how a receiver can prove
// that it computes the same.
//
//   folded:  w'(o) = w(o) s(o)    b'(o) = beta(o) - mean(o) s(o)    s = gamma / sqrt(var + epsilon)
//
// Writes flowers.onnx, folded.onnx, and flower.png, input.npy and logits.npy for other programs to compare
// with.
//
//   course_15_ship [WEIGHTS.onnx]
//
// Source: https://onnx.ai/onnx/intro/concepts.html
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <tl/io/reference.hpp>
#include <tl/tl.hpp>

#include "drawn.hpp"

namespace {

#ifdef TL_SOURCE_WEIGHTS
constexpr const char* default_weights = TL_SOURCE_WEIGHTS "/resnet_small.onnx";
#else
constexpr const char* default_weights = "weights/resnet_small.onnx";
#endif

double megabytes(const char* file) { return static_cast<double>(std::filesystem::file_size(file)) * 1e-6; }

/// The largest difference of two networks' logits over the largest logit.
double difference(const tl::Model<float>& a, const tl::Model<float>& b, const tl::Tensor<float>& images) {
  return tl::io::relative_difference(a.predict(images), b.predict(images));
}

// [check]
/// Where a network begins to differ from the reference in its file; empty where it does not.
std::string first_difference(const tl::Graph<float>& graph) {
  const tl::io::Reference reference = tl::io::reference(graph.metadata);
  const std::vector<tl::Tensor<float>> values = tl::io::layer_values(graph, reference.input);
  for (std::size_t n = 0; n < values.size(); ++n) {
    const std::string& name = graph.value(graph.nodes()[n].output).name;
    for (const tl::io::Fingerprint& expected : reference.layers) {
      if (expected.name != name) continue;
      if (tl::io::relative_difference(tl::io::fingerprint(name, values[n]), expected) > 1e-4) return name;
    }
  }
  return {};
}
// [/check]

/// Right of the flowers, when images are prepared by these steps.
double accuracy(const tl::Model<float>& model, const std::string& steps) {
  const auto preprocess = tl::data::Preprocess::parse(steps);
  tl::train::Evaluation figures(4);
  for (std::size_t kind = 0; kind < 4; ++kind)
    for (std::uint64_t i = 0; i < 25; ++i)
      figures.add(model.predict(preprocess.apply(course::draw(kind, 2000 + i, 96))),
                  tl::Tensor<std::int64_t>::from({static_cast<std::int64_t>(kind)}, {1}));
  return figures.accuracy();
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string weights = argc > 1 ? argv[1] : default_weights;
  course::draw_folder("flowers", 30);
  // [train]
  const auto photos = tl::data::image_folder("flowers");
  auto model = tl::onnx::load<float>(weights);
  tl::transfer::replace_head(model, photos.classes());
  const auto result = tl::train::fine_tune(
      model, photos,
      {.method = tl::transfer::Method::parse("head"), .epochs = 20, .augment = tl::data::Augment::none()});
  // [/train]
  std::printf("right for %lld of %lld flowers held out\n", static_cast<long long>(result.valid->correct()),
              static_cast<long long>(result.valid->count()));

  // [save]
  model.edit([](tl::Graph<float>& graph) {
    tl::io::set_reference(graph, tl::io::reference_input({1, 3, 64, 64}));
  });
  tl::onnx::save(model, "flowers.onnx");
  const auto again = tl::onnx::load<float>("flowers.onnx");
  // [/save]
  std::printf("labels:");
  for (const std::string& name : tl::io::labels(again.metadata())) std::printf(" %s", name.c_str());
  const std::string spec = tl::io::preprocess_spec(again.metadata());
  std::printf("\n%s\n", spec.c_str());

  const auto preprocess = tl::data::Preprocess::parse(spec);
  const tl::data::Image flower = course::draw(1, 3000);
  const tl::Tensor<float> image = preprocess.apply(flower);
  const tl::Tensor<float> logits = model.predict(image), logits_again = again.predict(image);
  std::printf("\nread back: %s\n",
              std::memcmp(logits.data(), logits_again.data(), logits.span().size_bytes()) == 0
                  ? "the same bits"
                  : "DIFFERENT");

  // [fold]
  tl::onnx::save(model, "folded.onnx", {.fold_batch_norm = true});
  const auto folded = tl::onnx::load<float>("folded.onnx");
  // [/fold]
  std::printf("batch normalisation kept: %zu nodes, %.2f MB; folded: %zu nodes, %.2f MB, logits %s\n",
              again.graph().nodes().size(), megabytes("flowers.onnx"), folded.graph().nodes().size(),
              megabytes("folded.onnx"),
              difference(model, folded, image) < 1e-5 ? "within 1e-5" : "DIFFERENT");

  // [damage]
  auto damaged = tl::onnx::load<float>("flowers.onnx");
  tl::Var<float> weight = damaged.graph().value(damaged.graph().find("layer3.0.conv1.weight")).var;
  weight.mutable_value().mutable_data()[0] += 1;
  // [/damage]
  const std::string sound = first_difference(again.graph()), broken = first_difference(damaged.graph());
  std::printf("reference: %s; with one weight changed it differs from '%s' on\n\n",
              sound.empty() ? "the file computes what it says" : sound.c_str(), broken.c_str());

  std::printf("right for flowers of 96 pixels, prepared\n");
  const std::pair<const char*, const char*> ways[] = {
      {"as the file says", spec.c_str()},
      {"with blue and red exchanged",
       "resize=64,bicubic,crop=64,mean=103.53/116.28/123.675,std=57.375/57.12/58.395,bgr"},
      {"scaled to 0 to 1 alone", "resize=64,bicubic,crop=64,mean=0,std=255,rgb"},
      {"not scaled", "resize=64,bicubic,crop=64,rgb"},
      {"cut and not resized", "crop=64,mean=123.675/116.28/103.53,std=58.395/57.12/57.375,rgb"}};
  for (const auto& [name, steps] : ways) std::printf("  %-30s%.2f\n", name, accuracy(again, steps));

  tl::data::write_png("flower.png", flower);
  tl::io::write_npy("input.npy", image.plain());
  tl::io::write_npy("logits.npy", logits);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
