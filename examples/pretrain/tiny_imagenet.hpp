// Tiny-ImageNet-200 as it is distributed: 200 classes of 500 images of 64x64, and 10,000 for validation.
//
//   wnids.txt            the classes, one WordNet identifier a line
//   words.txt            identifier<TAB>names
//   train/WNID/images    *.JPEG
//   val/images           *.JPEG, their classes in val/val_annotations.txt (file<TAB>identifier<TAB>...)
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <tl/data/folder.hpp>
#include <tl/data/split.hpp>

namespace pretrain {

struct TinyImageNet {
  tl::data::Dataset train, valid;
  std::vector<std::string> dropped;  ///< training images left out, and why
};

namespace tiny_imagenet_impl {

inline std::vector<std::string> lines(const std::filesystem::path& file) {
  std::istringstream text(tl::read_file(file));
  std::vector<std::string> result;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) result.push_back(line);
  }
  return result;
}

/// The first `count` fields of a line; throws when there are fewer.
inline std::vector<std::string> fields(const std::string& line, std::size_t count,
                                       const std::filesystem::path& file) {
  std::istringstream text(line);
  std::vector<std::string> result;
  for (std::string field; result.size() < count && std::getline(text, field, '\t');) result.push_back(field);
  TL_CHECK(result.size() == count, "'", file.string(), "': expected ", count, " fields in '", line, "'");
  return result;
}

/// Two classes may share their first name: identifiers tell them apart.
inline std::string class_name(const std::string& names, const std::string& id, std::set<std::string>& taken) {
  const std::string first = names.substr(0, names.find(','));
  return taken.insert(first).second ? first : first + " (" + id + ")";
}

}  // namespace tiny_imagenet_impl

/// Reads the folder. Training images whose bytes stand under two labels, or among the validation images, are
/// left out: they teach nothing, or the answer.
inline TinyImageNet read_tiny_imagenet(const std::filesystem::path& root) {
  using namespace tiny_imagenet_impl;
  TinyImageNet result;
  std::map<std::string, std::string> names;
  for (const std::string& line : lines(root / "words.txt")) {
    const std::vector<std::string> parts = fields(line, 2, root / "words.txt");
    names[parts[0]] = parts[1];
  }
  std::map<std::string, tl::Index> label_of;
  std::set<std::string> taken;
  for (const std::string& id : lines(root / "wnids.txt")) {
    label_of[id] = static_cast<tl::Index>(result.train.class_names.size());
    result.train.class_names.push_back(class_name(names.count(id) > 0 ? names[id] : id, id, taken));
    for (const tl::data::Sample& image : tl::data::image_files({root / "train" / id / "images"}).samples)
      result.train.samples.push_back({image.path, label_of[id]});
  }
  const std::filesystem::path annotations = root / "val" / "val_annotations.txt";
  result.valid.class_names = result.train.class_names;
  for (const std::string& line : lines(annotations)) {
    const std::vector<std::string> parts = fields(line, 2, annotations);
    TL_CHECK(label_of.count(parts[1]) > 0, "'", annotations.string(), "': unknown class '", parts[1], "'");
    result.valid.samples.push_back({root / "val" / "images" / parts[0], label_of[parts[1]]});
  }

  tl::data::Dataset all = result.train;
  all.samples.insert(all.samples.end(), result.valid.samples.begin(), result.valid.samples.end());
  const tl::Index train_size = result.train.size();
  std::set<tl::Index> out;
  for (const std::vector<tl::Index>& group : tl::data::duplicate_groups(all)) {
    const auto label = [&](tl::Index i) { return all.samples[static_cast<std::size_t>(i)].label; };
    const bool in_valid = group.back() >= train_size;
    bool mixed = false;
    for (const tl::Index i : group) mixed |= label(i) != label(group[0]);
    if (group.size() < 2 || !(in_valid || mixed)) continue;
    for (const tl::Index i : group) {
      if (i >= train_size) continue;
      out.insert(i);
      const std::filesystem::path& path = all.samples[static_cast<std::size_t>(i)].path;
      result.dropped.push_back(path.filename().string() + (in_valid ? " stands among the validation images"
                                                                    : " stands under two labels"));
    }
  }
  std::vector<tl::Index> kept;
  for (tl::Index i = 0; i < train_size; ++i) {
    if (out.count(i) == 0) kept.push_back(i);
  }
  result.train = result.train.subset(kept);
  return result;
}

}  // namespace pretrain
