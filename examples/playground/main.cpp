// The playground: a head for a pretrained network, trained in a page of a browser. build.sh makes that page.
// As a program it learns from one folder and is judged on another:
//
//   playground NETWORK.onnx TRAIN VALID      each with one folder a class
#include "learner.hpp"

#ifdef __EMSCRIPTEN__
#include <emscripten/emscripten.h>

// What page.js calls. Strings and pixels are written into memory that the page asks for; what is returned
// stays valid until the next call.
namespace {

std::unique_ptr<playground::Learner> learner;
std::string text;  // an error, or what was asked for

/// 1 when it could be done; otherwise the reason is in `text`.
template <class Work>
int attempt(const Work& work) {
  try {
    work();
    return 1;
  } catch (const std::exception& error) {
    text = error.what();
    return 0;
  }
}

/// RGBA, as a canvas gives it.
tl::data::Image image_of(const std::uint8_t* rgba, int width, int height) {
  tl::data::Image image(height, width);
  for (tl::Index i = 0; i < tl::Index{width} * height; ++i)
    std::copy_n(rgba + 4 * i, 3, image.data() + 3 * i);
  return image;
}

}  // namespace

extern "C" {

EMSCRIPTEN_KEEPALIVE const char* tl_text() { return text.data(); }
EMSCRIPTEN_KEEPALIVE int tl_text_length() { return static_cast<int>(text.size()); }
EMSCRIPTEN_KEEPALIVE int tl_open() {
  return attempt([] { learner = std::make_unique<playground::Learner>("/network.onnx"); });
}
EMSCRIPTEN_KEEPALIVE int tl_add(const std::uint8_t* rgba, int width, int height, int label) {
  return attempt([&] { learner->add(image_of(rgba, width, height), label); });
}
EMSCRIPTEN_KEEPALIVE void tl_forget() { learner->forget(); }
/// Names of classes, one a line.
EMSCRIPTEN_KEEPALIVE int tl_begin(const char* names) {
  return attempt([&] {
    std::vector<std::string> classes;
    std::istringstream lines(names);
    for (std::string line; std::getline(lines, line);) classes.push_back(line);
    learner->begin(classes);
  });
}
/// "steps loss accuracy"
EMSCRIPTEN_KEEPALIVE int tl_step(int steps) {
  return attempt([&] {
    const auto p = learner->step(steps);
    text = tl::concat(p.steps, ' ', p.loss, ' ', p.accuracy);
  });
}
/// Probabilities, one a word.
EMSCRIPTEN_KEEPALIVE int tl_predict(const std::uint8_t* rgba, int width, int height) {
  return attempt([&] {
    std::string words;
    for (const float p : learner->predict(image_of(rgba, width, height))) words += tl::concat(p, ' ');
    text = words;
  });
}
/// "height width" and a line feed, then RGB.
EMSCRIPTEN_KEEPALIVE int tl_explain(const std::uint8_t* rgba, int width, int height, int label) {
  return attempt([&] {
    const tl::data::Image seen = learner->explain(image_of(rgba, width, height), label);
    text = tl::concat(seen.height(), ' ', seen.width(), '\n');
    text.append(reinterpret_cast<const char*>(seen.data()), static_cast<std::size_t>(seen.bytes()));
  });
}
/// The bytes of an .onnx file.
EMSCRIPTEN_KEEPALIVE int tl_file() {
  return attempt([] { text = learner->file(); });
}

}  // extern "C"

#else
#include <iostream>

int main(int argc, char** argv) try {
  TL_CHECK(argc == 4, "usage: playground NETWORK.onnx TRAIN VALID");
  playground::Learner learner(argv[1]);
  const tl::data::Dataset train = tl::data::image_folder(argv[2]).train;
  const tl::data::Dataset valid = tl::data::image_folder(argv[3]).train;
  TL_CHECK(train.class_names == valid.class_names, "the folders hold other classes");
  for (const auto& sample : train.samples) learner.add(tl::data::read_image(sample.path), sample.label);
  learner.begin(train.class_names);
  for (int i = 0; i < 5; ++i) {
    const auto p = learner.step(30);
    std::cout << "step " << p.steps << "  loss " << p.loss << "  accuracy " << p.accuracy << '\n';
  }
  int right = 0;
  for (const auto& sample : valid.samples) {
    const std::vector<float> p = learner.predict(tl::data::read_image(sample.path));
    right += std::max_element(p.begin(), p.end()) - p.begin() == sample.label;
  }
  std::cout << "right for " << right << " of " << valid.size() << " other photos\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
#endif
