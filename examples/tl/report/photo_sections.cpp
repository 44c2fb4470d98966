// Sections of photos: those of the highest loss, where the network looks, and how photos were varied.
#include <algorithm>
#include <optional>

#include <tl/data/decode.hpp>
#include <tl/data/heat_map.hpp>
#include <tl/data/resize.hpp>
#include <tl/train/grad_cam.hpp>

#include "../common.hpp"
#include "sections.hpp"

namespace program::report {

namespace {

using tl::data::Image;
using tl::train::Prediction;

/// The image with its shorter side at most so long: a page of many pictures must stay small.
Image reduced(const Image& image, Index side) {
  if (std::min(image.height(), image.width()) <= side) return image.clone();
  return tl::data::resize_short_side(image, side, tl::data::Filter::bilinear);
}

std::string file_name(const std::filesystem::path& path) { return path.filename().string(); }

/// What the network said of a photo, for a caption.
std::string verdict(const Findings& f, const Prediction& p) {
  const std::string name = escape_name(f.class_name(p.label));
  if (p.correct())
    return "<b>" + name + "</b>: <span class=\"good\">right</span>, with " + percent(p.confidence);
  return "<b>" + name + "</b>: <span class=\"bad\">taken for</span> " +
         escape_name(f.class_name(p.predicted)) + " with " + percent(p.confidence) + "; its own class got " +
         percent(p.label_probability());
}

/// A photo as the network sees it, and under the heat of the class it was given.
std::string explained(const Findings& f, const tl::train::GradCam<float>& grad_cam, const Prediction& p) {
  constexpr Index side = 224;
  const Image photo = tl::data::read_image(f.path(p));
  const Image seen = f.result.preprocess.geometry(photo);
  const tl::Tensor<float> heat = grad_cam(f.result.preprocess.apply(photo), p.predicted);
  const std::string name = file_name(f.path(p)), given = f.class_name(p.predicted);
  return figure(picture(reduced(seen, side), name + ", of the class " + f.class_name(p.label)) +
                    picture(reduced(tl::data::overlay_heat(seen, heat), side),
                            "The same photo; bright is what speaks for " + given),
                verdict(f, p) + "<br>" + escape_name(name));
}

/// The surest right and the worst wrong prediction of a class, as far as there are such.
std::vector<Prediction> examples_of(const Findings& f, Index label) {
  std::optional<Prediction> right, wrong;
  for (const Prediction& p : f.predictions) {
    if (p.label != label) continue;
    if (p.correct() && (!right || p.confidence > right->confidence)) right = p;
    if (!p.correct() && (!wrong || p.loss > wrong->loss)) wrong = p;
  }
  std::vector<Prediction> both;
  if (right) both.push_back(*right);
  if (wrong) both.push_back(*wrong);
  return both;
}

/// All classes, or those of the lowest F1 where there are many, in the order of the classes.
std::vector<Index> classes_to_show(const Findings& f, std::size_t most) {
  std::vector<Index> labels;
  for (Index c = 0; c < f.figures.classes(); ++c)
    if (f.figures.figures(c).images > 0) labels.push_back(c);
  if (labels.size() <= most) return labels;
  std::stable_sort(labels.begin(), labels.end(),
                   [&](Index a, Index b) { return f.figures.figures(a).f1() < f.figures.figures(b).f1(); });
  labels.resize(most);
  std::sort(labels.begin(), labels.end());
  return labels;
}

tl::Shape image_shape(const Image& image) { return {1, Image::channels, image.height(), image.width()}; }

/// A training photo as it is, and as the first epochs saw it.
std::string varied(const Findings& f, Index sample, const Image& photo) {
  constexpr Index side = 160, most = 4;
  const tl::data::Preprocess& steps = f.result.preprocess;
  const Image plain = steps.geometry(photo);
  const auto& [path, label] = f.result.train_set.samples[static_cast<std::size_t>(sample)];
  const std::string name = file_name(path);
  std::string html = figure(picture(reduced(plain, side), name + " as it is"),
                            "<b>" + escape_name(f.class_name(label)) + "</b>, as it is");
  for (Index k = 0; k < std::min(most, f.training.variations); ++k) {
    const tl::data::AugmentKey key{f.training.seed, static_cast<std::uint64_t>(k),
                                   static_cast<std::uint64_t>(sample)};
    const std::string number = std::to_string(k + 1);
    html += figure(picture(reduced(f.result.augment.apply(photo, steps, plain.size(), key), side),
                           name + ", variation " + number),
                   "variation " + number);
  }
  return "<div class=\"photos small\">\n" + html + "</div>\n";
}

}  // namespace

Section losses_section(const Findings& f) {
  constexpr std::size_t shown = 12;
  constexpr Index side = 160;
  std::string photos;
  for (const Prediction& p : tl::train::top_losses(f.predictions, shown)) {
    const Image seen = f.result.preprocess.geometry(tl::data::read_image(f.path(p)));
    const std::string name = file_name(f.path(p));
    photos += figure(picture(reduced(seen, side), name + ", of the class " + f.class_name(p.label)),
                     verdict(f, p) + "; loss " + fixed(p.loss, 2) + "<br>" + escape_name(name));
  }
  return {"losses", "Photos with the highest loss",
          paragraph(
              "Those that surprise the network most, as it sees them: look here for wrong labels, for photos "
              "that show something else, and for what was cut off.") +
              "<div class=\"photos\">\n" + photos + "</div>\n"};
}

Section attention_section(const Findings& f) {
  constexpr std::size_t most_classes = 30;
  Section section{"attention", "Where the network looks", {}};
  const std::vector<Index> labels = classes_to_show(f, most_classes);
  try {
    const Image first = f.result.preprocess.geometry(tl::data::read_image(f.path(f.predictions.front())));
    const tl::train::GradCam<float> grad_cam(f.model.graph(), image_shape(first));
    section.html = paragraph(
        "Grad-CAM: the brighter, the more a part of the photo speaks for the class it was given. Of each "
        "class the photo that is found most surely, and, where there is one, the worst mistake. Where a "
        "background is bright, the network may have learned the place and not the thing.");
    if (labels.size() == most_classes && f.figures.classes() > static_cast<Index>(most_classes))
      section.html += paragraph("The " + std::to_string(most_classes) + " classes of the lowest F1.");
    std::string figures;
    for (const Index label : labels)
      for (const Prediction& p : examples_of(f, label)) figures += explained(f, grad_cam, p);
    section.html += "<div class=\"pairs\">\n" + figures + "</div>\n" +
                    "<p class=\"soft\">Computed at <code>" + escape(grad_cam.layer()) + "</code>.</p>\n";
  } catch (const tl::Error& error) {
    section.html = paragraph(std::string("Not to be told of this network: ") + error.what());
  }
  return section;
}

Section augmented_section(const Findings& f) {
  constexpr Index shown = 3;
  Section section{"augmented", "Training photos as they were varied", {}};
  if (f.result.augment.does_nothing()) {
    section.html = paragraph(f.result.history.empty()
                                 ? "They were not varied."
                                 : "They were not varied: every photo was the same in every epoch.");
    return section;
  }
  const Index size = f.result.train_set.size();
  for (Index k = 0; k < std::min(shown, size); ++k) {
    const Index sample = k * size / std::min(shown, size);
    try {
      const Image photo =
          tl::data::read_image(f.result.train_set.samples[static_cast<std::size_t>(sample)].path);
      section.html += varied(f, sample, photo);
    } catch (const tl::Error&) {
      // One of those left out, which another section names.
    }
  }
  return section;
}

}  // namespace program::report
