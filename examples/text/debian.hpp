// Descriptions of Debian packages, with the section of the archive as label: text that every Debian machine
// has.
//
// Lists are stanzas of "Field: value" lines with a blank line between them; a line that starts with a space
// goes on with the value (Debian Policy 5.1). A description's first line is a summary of a few words
// (5.6.13):
//
//   Package: 0ad                                        STATUS, LISTS/*_Packages
//   Section: games
//   Description: Real-time strategy game of ancient warfare
//    0 A.D. is a free, open-source, cross-platform ...   a Packages file may leave these lines out; then
//    .                                                   LISTS/*_Translation-en has them as Description-en
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "corpus.hpp"

namespace text {

struct Package {
  std::string source, section;
  std::string summary;                  ///< of one line
  std::vector<std::string> paragraphs;  ///< of the extended description
};
using Packages = std::map<std::string, Package>;

namespace debian_impl {

/// The value of a "Field: value" line, or nothing.
inline bool field(std::string_view line, std::string_view name, std::string& value) {
  if (!line.starts_with(name) || !line.substr(name.size()).starts_with(": ")) return false;
  value = line.substr(name.size() + 2);
  return true;
}

/// A file as text; what apt keeps compressed, apt unpacks.
inline std::string read_list(const std::filesystem::path& file) {
  const std::string extension = file.extension();
  if (extension != ".lz4" && extension != ".gz" && extension != ".xz") return tl::read_file(file);
  TL_CHECK(file.string().find('\'') == std::string::npos, "expected a path without ', got ", file.string());
  const std::string command = "/usr/lib/apt/apt-helper cat-file '" + file.string() + "' 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  TL_CHECK(pipe, "cannot start apt-helper to unpack '", file.string(), "'");
  std::string text, block(1 << 16, '\0');
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), pipe.get()))
    text.append(block, 0, got);
  return text;
}

}  // namespace debian_impl

/// Adds the stanzas of a list. Of several descriptions of a package the one with most paragraphs stays.
inline void add_packages(std::string_view list, Packages& packages) {
  std::string name;
  Package package;
  bool in_description = false;
  const auto finish = [&] {
    if (!name.empty()) {
      Package& known = packages[name];
      if (known.section.empty()) known.section = package.section.substr(package.section.rfind('/') + 1);
      if (known.source.empty()) known.source = package.source;
      if (known.summary.empty() || known.paragraphs.size() < package.paragraphs.size()) {
        known.summary = package.summary;
        known.paragraphs = package.paragraphs;
      }
    }
    name.clear();
    package = {};
    in_description = false;
  };
  for_each_line(list, [&](std::string_view line, std::size_t) {
    if (line.empty()) return finish();
    if (line[0] == ' ' || line[0] == '\t') {
      if (!in_description) return;
      if (line == " ." || package.paragraphs.empty()) package.paragraphs.emplace_back();
      if (line != " .") package.paragraphs.back().append(line);
      return;
    }
    using debian_impl::field;
    in_description =
        field(line, "Description", package.summary) || field(line, "Description-en", package.summary);
    if (in_description || field(line, "Package", name) || field(line, "Section", package.section)) return;
    if (field(line, "Source", package.source))
      package.source = package.source.substr(0, package.source.find(' '));
  });
  finish();
}

/// Reads what there is of `status` and of the lists of available packages in the folder `lists`; `notes` says
/// what was read.
inline Packages read_packages(const std::filesystem::path& status, const std::filesystem::path& lists,
                              std::vector<std::string>& notes) {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(lists, ignored)) {
    const std::string name = entry.path().filename();
    if (entry.is_regular_file(ignored) &&
        (name.find("_Packages") != std::string::npos || name.find("_Translation-en") != std::string::npos))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (std::filesystem::exists(status, ignored)) files.push_back(status);
  Packages packages;
  for (const std::filesystem::path& file : files) {
    add_packages(debian_impl::read_list(file), packages);
    notes.push_back("read: " + file.string());
  }
  for (auto& [name, package] : packages) {
    if (package.source.empty()) package.source = name;
  }
  return packages;
}

}  // namespace text
