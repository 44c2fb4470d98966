// Data sets: images on disk and their classes.
//
//   root/cats/*.jpg, root/dogs/*.jpg           one folder a class, names sorted
//   root/train/cats/..., root/valid/cats/...   the same with validation images set apart (valid, val)
//   a flat folder and a labels file            lines "path,class", "path class" or "path<TAB>class"
//
// Files are found recursively by their extension, in sorted order; hidden files and folders are left out.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/core/file.hpp>
#include <tl/core/shape.hpp>

namespace tl::data {

/// An image and its class.
struct Sample {
  std::filesystem::path path;  ///< of the file
  Index label = -1;            ///< index of a class; -1: unknown
};

/// Images on disk and the names of their classes.
struct Dataset {
  std::vector<Sample> samples;           ///< in sorted order of their paths, unless made otherwise
  std::vector<std::string> class_names;  ///< by label

  Index size() const { return static_cast<Index>(samples.size()); }        ///< images
  bool empty() const { return samples.empty(); }                           ///< whether it has no images
  const std::vector<std::string>& classes() const { return class_names; }  ///< names by label
  /// Samples of each class.
  std::vector<Index> class_counts() const {
    std::vector<Index> counts(class_names.size());
    for (const Sample& sample : samples) {
      if (sample.label >= 0) ++counts[static_cast<std::size_t>(sample.label)];
    }
    return counts;
  }
  /// The samples of these indices, in this order.
  Dataset subset(const std::vector<Index>& indices) const {
    Dataset part{{}, class_names};
    part.samples.reserve(indices.size());
    for (Index i : indices) {
      TL_CHECK(i >= 0 && i < size(), "[subset] expected indices below ", size(), ", got ", i);
      part.samples.push_back(samples[static_cast<std::size_t>(i)]);
    }
    return part;
  }
};

/// A folder of images for training: `valid` is empty unless the folder sets validation images apart.
struct ImageFolder {
  Dataset train;                   ///< images to learn from
  Dataset valid;                   ///< those set apart, with the same classes
  std::vector<std::string> notes;  ///< what was left out, one sentence each

  const std::vector<std::string>& classes() const { return train.class_names; }  ///< names by label
};

/// True for the extensions of formats that can be read: jpg, jpeg, jpe, jfif, png, bmp.
inline bool has_image_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  constexpr std::array<std::string_view, 6> known = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp"};
  return std::find(known.begin(), known.end(), extension) != known.end();
}

namespace folder_impl {

namespace fs = std::filesystem;

/// What lies directly in a folder, sorted by name, without what is hidden.
struct Entries {
  std::vector<fs::path> folders, images;
};

inline Entries list(const fs::path& folder) {
  Entries entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.filename().string().starts_with('.')) continue;
    std::error_code ignored;  // a dangling link counts as a file: opening it will tell
    const fs::file_status status = it->status(ignored);
    if (fs::is_directory(status)) {
      entries.folders.push_back(path);
    } else if (has_image_extension(path) && (fs::is_regular_file(status) || !fs::exists(status))) {
      entries.images.push_back(path);
    }
  }
  TL_CHECK(!error, "cannot look into folder '", folder.string(), "': ", error.message());
  std::sort(entries.folders.begin(), entries.folders.end());
  std::sort(entries.images.begin(), entries.images.end());
  return entries;
}

/// Adds the images below a folder; every folder once, so that links in a circle come to an end.
inline void collect(const fs::path& folder, std::set<fs::path>& seen, std::vector<fs::path>& images) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  TL_CHECK(!error, "cannot look into folder '", folder.string(), "': ", error.message());
  if (!seen.insert(real).second) return;
  const Entries entries = list(folder);
  images.insert(images.end(), entries.images.begin(), entries.images.end());
  for (const fs::path& inner : entries.folders) collect(inner, seen, images);
}

inline std::vector<fs::path> images_below(const fs::path& folder) {
  std::set<fs::path> seen;
  std::vector<fs::path> images;
  collect(folder, seen, images);
  return images;
}

inline void check_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  TL_CHECK(fs::exists(status), "there is no folder '", folder.string(), "'");
  TL_CHECK(fs::is_directory(status), "'", folder.string(), "' is not a folder");
}

inline Dataset read_classes(const fs::path& root, std::vector<std::string>& notes) {
  const Entries entries = list(root);
  Dataset dataset;
  for (const fs::path& folder : entries.folders) {
    const std::vector<fs::path> images = images_below(folder);
    const std::string name = folder.filename().string();
    if (images.empty()) {
      notes.push_back(
          concat("no image in folder '", folder.string(), "': '", name, "' is not taken for a class"));
      continue;
    }
    const auto label = static_cast<Index>(dataset.class_names.size());
    dataset.class_names.push_back(name);
    for (const fs::path& image : images) dataset.samples.push_back({image, label});
  }
  const std::string stray = concat(entries.images.size(), entries.images.size() == 1 ? " image" : " images");
  TL_CHECK(
      !dataset.empty() || entries.images.empty(), "folder '", root.string(), "' holds ", stray,
      " but no folder for each class: sort them into folders named after the classes, or give a labels file");
  TL_CHECK(!dataset.empty(), "there is no image in folder '", root.string(),
           "' (expected one folder a class with .jpg, .png or .bmp files)");
  if (!entries.images.empty()) {
    notes.push_back(concat(stray, " directly in '", root.string(), "' left out: no class"));
  }
  return dataset;
}

/// The first of these folders in root that exists.
inline fs::path first_of(const fs::path& root, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::error_code ignored;
    if (fs::is_directory(root / name, ignored)) return root / name;
  }
  return {};
}

inline std::string listed(const std::vector<std::string>& names, std::size_t most = 5) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) text += (i ? ", '" : "'") + names[i] + "'";
  if (names.size() > most) text += concat(" and ", names.size() - most, " more");
  return text;
}

}  // namespace folder_impl

/// The same samples with labels that index `class_names`, matched by name. Throws, naming them, when the
/// data set has classes that are not among these.
inline Dataset with_classes(const Dataset& dataset, const std::vector<std::string>& class_names) {
  std::map<std::string_view, Index> index;
  for (std::size_t i = 0; i < class_names.size(); ++i) index.emplace(class_names[i], static_cast<Index>(i));
  std::vector<Index> moved;
  std::vector<std::string> unknown;
  for (const std::string& name : dataset.class_names) {
    const auto found = index.find(name);
    moved.push_back(found == index.end() ? -1 : found->second);
    if (found == index.end()) unknown.push_back(name);
  }
  TL_CHECK(unknown.empty(), "unknown class", unknown.size() == 1 ? " " : "es ", folder_impl::listed(unknown),
           ": expected some of ", folder_impl::listed(class_names));
  Dataset result{dataset.samples, class_names};
  for (Sample& sample : result.samples) {
    if (sample.label >= 0) sample.label = moved[static_cast<std::size_t>(sample.label)];
  }
  return result;
}

/// Reads a folder of images: one folder a class, or train/ and valid/ (or val/) with one folder a class each.
/// Throws when it is missing, holds no image or no class folders, or valid/ has classes that train/ lacks.
inline ImageFolder image_folder(const std::filesystem::path& root) {
  using namespace folder_impl;
  check_folder(root);
  const fs::path train = first_of(root, {"train"}), valid = first_of(root, {"valid", "val"});
  ImageFolder folder;
  if (train.empty() || valid.empty()) {
    folder.train = read_classes(root, folder.notes);
    return folder;
  }
  folder.train = read_classes(train, folder.notes);
  folder.valid = with_classes(read_classes(valid, folder.notes), folder.train.class_names);
  return folder;
}

/// Throws unless there is something to learn: at least two classes.
inline void check_trainable(const Dataset& dataset) {
  std::vector<std::string> present;
  const std::vector<Index> counts = dataset.class_counts();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) present.push_back(dataset.class_names[i]);
  }
  TL_CHECK(present.size() >= 2, "training needs images of at least two classes, got ",
           present.empty() ? "none" : "only " + folder_impl::listed(present));
}

/// Images without labels: files as they are given, folders searched. Throws when one is missing, or when
/// there is no image at all.
inline Dataset image_files(const std::vector<std::filesystem::path>& paths) {
  using namespace folder_impl;
  Dataset dataset;
  for (const fs::path& path : paths) {
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    TL_CHECK(fs::exists(status), "there is no file or folder '", path.string(), "'");
    if (!fs::is_directory(status)) {
      dataset.samples.push_back({path, -1});
      continue;
    }
    const std::vector<fs::path> images = images_below(path);
    TL_CHECK(!images.empty(), "there is no image in folder '", path.string(),
             "' (expected .jpg, .png or .bmp files)");
    for (const fs::path& image : images) dataset.samples.push_back({image, -1});
  }
  TL_CHECK(!dataset.empty(), "expected at least one image or folder");
  return dataset;
}

}  // namespace tl::data
