// What a classifier gets wrong, whether it says so, and where it looks.
//
//   Grad-CAM   A = feature map (C,h,w)    y = logit of a class
//              weight_c = mean over (h,w) of dy/dA_c     map = relu(sum over c of weight_c A_c)
//
// A pretrained network's features tell drawn flowers apart. Twice: as they are, and with a tag in a corner of
// every rose, which is easier to see than the rose. Writes inside.svg.
//
//   course_11_inside [WEIGHTS.onnx [PHOTOS]]      so many of each kind teach roses and stars; 20
//
// Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, section 3.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tl/core/base64.hpp>
#include <tl/tl.hpp>

#include "drawn.hpp"

namespace {

#ifdef TL_SOURCE_WEIGHTS
constexpr const char* default_weights = TL_SOURCE_WEIGHTS "/resnet_small.onnx";
#else
constexpr const char* default_weights = "weights/resnet_small.onnx";
#endif
constexpr tl::Index places = 7, side = 15 * places;  // of the last feature map, and 15 pixels for each
constexpr std::size_t rose = 2, star = 3, nobody = 9;

/// A light square in a corner.
void put_tag(tl::data::Image& image) {
  for (tl::Index y = 4; y < 22; ++y) std::fill_n(image.row(y) + 3 * 4, 3 * 18, std::uint8_t{245});
}

struct Photos {
  std::vector<tl::data::Image> images;
  std::vector<std::int64_t> labels;
  std::vector<std::string> names;
};

/// `count` of each kind; photos of the kind `tagged` have a tag.
Photos draw(const std::vector<std::size_t>& kinds, int count, std::uint64_t first,
            std::size_t tagged = nobody) {
  Photos photos;
  for (std::size_t label = 0; label < kinds.size(); ++label)
    for (int i = 0; i < count; ++i) {
      const std::uint64_t number = first + static_cast<std::uint64_t>(i);
      photos.images.push_back(course::draw(kinds[label], number, side));
      if (kinds[label] == tagged) put_tag(photos.images.back());
      photos.labels.push_back(static_cast<std::int64_t>(label));
      photos.names.push_back(std::string(course::kinds[kinds[label]]) + ' ' + std::to_string(number));
    }
  return photos;
}

class Classifier {
 public:
  Classifier(const std::string& weights, const Photos& photos, const std::vector<std::string>& classes)
      : model_(tl::onnx::load<float>(weights)) {
    preprocess_.mean = {123.675, 116.28, 103.53};  // as the network was trained
    preprocess_.std = {58.395, 57.12, 57.375};
    tl::transfer::replace_head(model_, classes);
    const tl::ValueId pooled = tl::transfer::find_head(model_.graph()).input;
    const auto parts = tl::transfer::split_at(model_.graph(), pooled, {1, 3, side, side});
    const auto fit = tl::transfer::fit_softmax(parts.prefix->predict(batch(photos)).plain(), labels(photos),
                                               static_cast<tl::Index>(classes.size()));
    tl::transfer::set_linear_head(model_, fit.classifier.weight, fit.classifier.bias);
  }

  tl::Tensor<float> batch(const Photos& photos) const {
    const auto n = static_cast<tl::Index>(photos.images.size());
    auto all = tl::Tensor<float>::empty({n, 3, side, side}, tl::Layout::channels_last);
    float* to = all.mutable_data();
    for (const tl::data::Image& image : photos.images) {
      preprocess_.apply(image, image.size(), to);
      to += image.bytes();
    }
    return all;
  }
  static tl::Tensor<std::int64_t> labels(const Photos& photos) {
    return tl::Tensor<std::int64_t>::from(photos.labels, {static_cast<tl::Index>(photos.labels.size())});
  }

  // [judge]
  std::vector<tl::train::Prediction> judge(const Photos& photos) const {
    std::vector<tl::train::Prediction> all = tl::train::judge(model_.predict(batch(photos)), labels(photos));
    for (std::size_t i = 0; i < all.size(); ++i) all[i].sample = static_cast<tl::Index>(i);
    return all;
  }
  // [/judge]
  double accuracy(const Photos& photos) const {
    const auto all = judge(photos);
    const auto right = std::count_if(all.begin(), all.end(), [](const auto& p) { return p.correct(); });
    return static_cast<double>(right) / static_cast<double>(all.size());
  }

  const tl::Model<float>& model() const { return model_; }
  tl::Tensor<float> prepared(const tl::data::Image& image) const { return preprocess_.apply(image); }

 private:
  tl::Model<float> model_;
  tl::data::Preprocess preprocess_;
};

// [grad_cam]
class GradCamByHand {
 public:
  explicit GradCamByHand(const tl::Graph<float>& graph) {
    const tl::train::GradCam<float> library(graph, {1, 3, side, side});  // knows which map is the last
    parts_ = tl::transfer::split_at(graph, graph.find(library.layer()), {1, 3, side, side});
    parts_.rest->eval();
  }

  /// image (1,3,H,W) -> (7,7), the largest being 1; all 0 where nothing speaks for the class.
  std::vector<double> operator()(const tl::Tensor<float>& image, tl::Index label) const {
    const tl::Var<float> a(parts_.prefix->predict(image), true);  // (1,C,7,7)
    const tl::Var<float> logits = parts_.rest->forward(a);
    auto one = tl::Tensor<float>::zeros(logits.shape());
    one.mutable_data()[label] = 1;
    logits.backward(one);

    const tl::Tensor<float> map = a.value().plain(), gradient = a.grad().plain();
    const tl::Index pixels = map.shape(2) * map.shape(3);
    std::vector<double> heat(static_cast<std::size_t>(pixels), 0.0);
    for (tl::Index c = 0; c < map.shape(1); ++c) {
      double weight = 0;
      for (tl::Index i = 0; i < pixels; ++i) weight += static_cast<double>(gradient.data()[c * pixels + i]);
      weight /= static_cast<double>(pixels);
      for (tl::Index i = 0; i < pixels; ++i)
        heat[static_cast<std::size_t>(i)] += weight * static_cast<double>(map.data()[c * pixels + i]);
    }
    for (double& h : heat) h = std::max(h, 0.0);
    const double most = *std::max_element(heat.begin(), heat.end());
    for (double& h : heat) h /= most > 0 ? most : 1;
    return heat;
  }

 private:
  tl::transfer::SplitModel<float> parts_;
};
// [/grad_cam]

/// The share of the heat in the 2x2 places under the tag.
double in_corner(const std::vector<double>& heat) {
  double all = 0;
  for (const double h : heat) all += h;
  return all > 0 ? (heat[0] + heat[1] + heat[places] + heat[places + 1]) / all : 0;
}

/// The image, larger, dark where nothing speaks for the class.
std::string spotlight(const tl::data::Image& image, const std::vector<double>& heat, int left, int top) {
  std::string out = tl::concat("<image x=\"", left, "\" y=\"", top,
                               "\" width=\"147\" height=\"147\" href=\"data:image/jpeg;base64,",
                               tl::to_base64(tl::data::encode_jpeg(image, 80)), "\"/>\n");
  for (std::size_t i = 0; i < heat.size(); ++i) {
    char text[120];
    std::snprintf(text, sizeof text,
                  "<rect x=\"%d\" y=\"%d\" width=\"21\" height=\"21\" opacity=\"%.2f\"/>\n",
                  left + static_cast<int>(i % places) * 21, top + static_cast<int>(i / places) * 21,
                  0.85 * (1 - heat[i]));
    out += text;
  }
  return out;
}

void mistakes(const std::string& weights) {
  const std::vector<std::string> classes(std::begin(course::kinds), std::end(course::kinds));
  const Photos train = draw({0, 1, 2, 3}, 20, 0);
  Photos valid = draw({0, 1, 2, 3}, 50, 1000);
  for (const std::size_t wrong : {7u, 80u, 151u}) {  // three labels are wrong, as labels are
    valid.labels[wrong] = (valid.labels[wrong] + 1) % 4;
    valid.names[wrong] += ", a wrong label";
  }
  const Classifier classifier(weights, train, classes);
  // [figures]
  const std::vector<tl::train::Prediction> all = classifier.judge(valid);
  tl::train::Evaluation figures(4);
  for (const tl::train::Prediction& p : all) figures.add(p);
  // [/figures]
  std::printf("%lld of %lld right\n\ntaken for  ", static_cast<long long>(figures.correct()),
              static_cast<long long>(figures.count()));
  for (const std::string& name : classes) std::printf("%6s", name.c_str());
  std::printf("   recall  precision\n");
  for (tl::Index label = 0; label < 4; ++label) {
    std::printf("%9s  ", classes[static_cast<std::size_t>(label)].c_str());
    for (tl::Index p = 0; p < 4; ++p)
      std::printf("%6lld", static_cast<long long>(figures.confusion(label, p)));
    const auto one = figures.figures(label);
    std::printf("   %6.2f  %9.2f\n", one.recall(), one.precision());
  }
  std::printf("\nhighest losses\n");
  for (const tl::train::Prediction& p : tl::train::top_losses(all, 6))
    std::printf("  %.1f  taken for a %-6s %s\n", p.loss,
                classes[static_cast<std::size_t>(p.predicted)].c_str(),
                valid.names[static_cast<std::size_t>(p.sample)].c_str());
  std::printf("calibration error %.2f\n\n", tl::train::Calibration(all).error());
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string weights = argc > 1 ? argv[1] : default_weights;
  const int photos = argc > 2 ? std::stoi(argv[2]) : 20;
  mistakes(weights);

  // [shortcut]
  const auto taught = [&weights, photos](std::size_t tagged) {
    return std::make_shared<const Classifier>(weights, draw({rose, star}, photos, 0, tagged),
                                              std::vector<std::string>{"rose", "star"});
  };
  const std::pair<const char*, std::shared_ptr<const Classifier>> ways[] = {
      {"taught without tags", taught(nobody)}, {"taught with tags", taught(rose)}};
  // [/shortcut]
  std::printf("%-22s%-14s%-10s%-14s%s\n", "accuracy on", "tagged roses", "no tags", "tagged stars",
              "heat under the tag");
  const Photos tagged_roses = draw({rose, star}, 50, 1000, rose), plain = draw({rose, star}, 50, 1000),
               tagged_stars = draw({rose, star}, 50, 1000, star);
  for (const auto& [name, classifier] : ways) {
    std::printf("%-22s%-14.2f%-10.2f%-14.2f", name, classifier->accuracy(tagged_roses),
                classifier->accuracy(plain), classifier->accuracy(tagged_stars));
    const GradCamByHand grad_cam(classifier->model().graph());
    double sum = 0;
    for (std::size_t i = 0; i < 10; ++i)
      sum += in_corner(grad_cam(classifier->prepared(tagged_roses.images[i]), 0));
    std::printf("%.2f\n", sum / 10);
  }

  std::string out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 370\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n<rect width=\"640\" height=\"370\" fill=\"#fff\"/>\n";
  for (std::size_t row = 0; row < 2; ++row) {
    const auto& [name, classifier] = ways[row];
    const GradCamByHand grad_cam(classifier->model().graph());
    out += tl::concat("<text x=\"8\" y=\"", 95 + 180 * row, "\">", name, "</text>\n");
    int left = 180;
    for (const tl::data::Image* image :
         {&tagged_roses.images[3], &plain.images[3], &tagged_stars.images[53]}) {
      out += spotlight(*image, grad_cam(classifier->prepared(*image), 0), left,
                       10 + 180 * static_cast<int>(row));
      left += 155;
    }
  }
  tl::write_file_atomically("inside.svg", out + "</svg>\n");
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
