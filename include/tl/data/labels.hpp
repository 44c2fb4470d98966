// Labels files: which image of a flat folder belongs to which class.
//
// One line an image: "path,class" (CSV, quotes allowed), "path<TAB>class..." or "path class" (the class is
// what follows the last space). Paths are relative to the folder. The class is a name or an index. A first
// line such as "path,label" is a heading; empty lines are left out.
#pragma once

#include <charconv>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <tl/data/folder.hpp>

namespace tl::data {

namespace labels_impl {

struct Line {
  Index number = 0;  ///< from 1
  std::string path, label;
};

inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// The fields of a CSV line; a quote inside a quoted field is doubled.
inline std::vector<std::string> csv_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false, was_quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[++i];
    } else if (c == '"' && (quoted || trimmed(fields.back()).empty())) {
      if (!quoted) fields.back().clear();
      quoted = !quoted;
      was_quoted = true;
    } else if (c == ',' && !quoted) {
      if (!was_quoted) fields.back() = trimmed(fields.back());
      fields.emplace_back();
      was_quoted = false;
    } else if (quoted || !was_quoted) {
      fields.back() += c;
    }
  }
  if (!was_quoted) fields.back() = trimmed(fields.back());
  return fields;
}

inline Line split_line(std::string_view text, Index number, const std::filesystem::path& file) {
  Line line{number, {}, {}};
  bool understood = false;
  if (const std::size_t tab = text.find('\t'); tab != std::string_view::npos) {
    line.path = trimmed(text.substr(0, tab));
    line.label = trimmed(text.substr(tab + 1, text.find('\t', tab + 1) - tab - 1));
    understood = true;
  } else if (text.find(',') != std::string_view::npos) {
    const std::vector<std::string> fields = csv_fields(text);
    understood = fields.size() == 2;
    if (understood) line = {number, fields[0], fields[1]};
  } else if (const std::size_t space = text.rfind(' '); space != std::string_view::npos) {
    line.path = trimmed(text.substr(0, space));
    line.label = trimmed(text.substr(space + 1));
    understood = true;
  }
  TL_CHECK(understood && !line.path.empty() && !line.label.empty(), "line ", number, " of labels file '",
           file.string(), "': expected a path and a class, got '", text.substr(0, 80), "'");
  return line;
}

inline bool is_heading(const Line& line) {
  constexpr std::array<std::string_view, 7> words = {"path",     "file", "filename", "file_name",
                                                     "filepath", "name", "image"};
  return line.number == 1 && std::find(words.begin(), words.end(), line.path) != words.end();
}

inline std::vector<Line> read_lines(const std::filesystem::path& file) {
  constexpr std::size_t max_bytes = std::size_t{256} << 20;
  const std::string bytes = read_file(file, max_bytes);
  std::string_view rest = bytes;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<Line> lines;
  for (Index number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.empty()) continue;
    Line line = split_line(text, number, file);
    if (!is_heading(line)) lines.push_back(std::move(line));
  }
  TL_CHECK(!lines.empty(), "labels file '", file.string(), "' has no lines (expected \"path,class\")");
  return lines;
}

/// A whole number of at least 0, or -1.
inline Index as_index(std::string_view text) {
  Index value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= 0 ? value : -1;
}

/// Classes as the lines name them: sorted names, or as many as the largest index asks for.
inline std::vector<std::string> classes_of(const std::vector<Line>& lines,
                                           const std::filesystem::path& file) {
  Index largest = -1;
  std::set<std::string> names;
  for (const Line& line : lines) {
    names.insert(line.label);
    largest = std::max(largest, as_index(line.label));
  }
  const bool all_indices =
      std::all_of(lines.begin(), lines.end(), [](const Line& line) { return as_index(line.label) >= 0; });
  if (!all_indices) return {names.begin(), names.end()};
  constexpr Index most = 100'000;
  TL_CHECK(largest < most, "labels file '", file.string(), "': expected class indices below ", most, ", got ",
           largest);
  std::vector<std::string> numbered;
  for (Index i = 0; i <= largest; ++i) numbered.push_back(std::to_string(i));
  return numbered;
}

}  // namespace labels_impl

/// Images of a folder with the classes a labels file gives. With `class_names` (those of a network) classes
/// are matched by name, or are indices into them; without, they are what the file names. Throws, with the
/// line, when an image is missing or a class unknown.
inline Dataset labelled_images(const std::filesystem::path& folder, const std::filesystem::path& labels_file,
                               const std::vector<std::string>& class_names = {}) {
  using namespace labels_impl;
  folder_impl::check_folder(folder);
  const std::vector<Line> lines = read_lines(labels_file);
  Dataset dataset{{}, class_names.empty() ? classes_of(lines, labels_file) : class_names};
  std::map<std::string_view, Index> index;
  for (std::size_t i = 0; i < dataset.class_names.size(); ++i) {
    index.emplace(dataset.class_names[i], static_cast<Index>(i));
  }
  for (const Line& line : lines) {
    const auto found = index.find(line.label);
    const Index label = found != index.end() ? found->second : as_index(line.label);
    TL_CHECK(label >= 0 && label < static_cast<Index>(dataset.class_names.size()), "line ", line.number,
             " of labels file '", labels_file.string(), "': unknown class '", line.label,
             "' (expected one of ", folder_impl::listed(dataset.class_names), ", or an index below ",
             dataset.class_names.size(), ")");
    const std::filesystem::path path = folder / line.path;
    std::error_code ignored;
    TL_CHECK(std::filesystem::is_regular_file(path, ignored), "line ", line.number, " of labels file '",
             labels_file.string(), "': there is no image '", path.string(), "'");
    dataset.samples.push_back({path, label});
  }
  return dataset;
}

}  // namespace tl::data
