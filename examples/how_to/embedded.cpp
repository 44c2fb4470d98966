// A classifier inside an application: the model is read once, and serves any number of threads with images
// that arrive as bytes.
//
//   embedded MODEL.onnx IMAGE...      the most probable class of each image
#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <tl/tl.hpp>

namespace {

// [classifier]
/// A model file and all that it says about images: preprocessing and the names of its classes.
class Classifier {
 public:
  struct Answer {
    std::string label;
    float probability;
  };

  explicit Classifier(const std::string& path)
      : model_(tl::fused(tl::onnx::load_graph<float>(path))),
        preprocess_(tl::transfer::preprocess_of(model_.graph()).steps),
        labels_(tl::io::labels(model_.graph().metadata)) {
    TL_CHECK(!labels_.empty(), "'", path, "' does not name its classes");
  }

  /// Of the bytes of a JPEG, PNG or BMP file. Safe from several threads; throws tl::Error for what is none.
  Answer classify(std::string_view file) const {
    const tl::data::Bytes bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
    const tl::Tensor<float> image = preprocess_.apply(tl::data::decode_image(bytes));  // (1,3,H,W)
    const tl::Tensor<float> p = tl::softmax(tl::Var<float>(model_.predict(image))).value();
    const auto best = std::max_element(p.span().begin(), p.span().end());
    return {labels_.at(static_cast<std::size_t>(best - p.span().begin())), *best};
  }

 private:
  tl::Model<float> model_;
  tl::data::Preprocess preprocess_;
  std::vector<std::string> labels_;
};
// [/classifier]

}  // namespace

int main(int argc, char** argv) try {
  TL_CHECK(argc >= 3, "usage: embedded MODEL.onnx IMAGE...");
  // [use]
  const Classifier classifier(argv[1]);
  for (int i = 2; i < argc; ++i) {
    try {
      const std::string bytes = tl::read_file(argv[i]);  // from anywhere: a camera, a request
      const Classifier::Answer answer = classifier.classify(bytes);
      std::cout << argv[i] << ": " << answer.label << ", " << answer.probability << '\n';
    } catch (const tl::Error& error) {
      std::cout << argv[i] << ": " << error.what() << '\n';
    }
  }
  // [/use]
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
