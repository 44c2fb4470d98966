// HTML: text that is safe inside a page, tables, pictures, and the page around them. Everything is in the one
// file: pages of this kind load nothing, and their Content-Security-Policy forbids it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/data/image.hpp>

namespace program::report {

/// Text as it is to be shown, in elements and in quoted attributes alike: markup, control characters and
/// bytes that are not UTF-8 lose their meaning.
std::string escape(std::string_view text);
/// The same for elements alone: long names may be broken after an underscore or a slash.
std::string escape_name(std::string_view text);

/// A table with a caption, whose first column names the rows. Cells are text, and escaped here.
class Table {
 public:
  /// So many columns of text, flush left; the others are numbers, flush right.
  Table(std::size_t text_columns, std::string caption, std::vector<std::string> headings)
      : text_columns_(text_columns), caption_(std::move(caption)), headings_(std::move(headings)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string html() const;

 private:
  std::size_t text_columns_;
  std::string caption_;
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

/// Around something wide: on a small screen it can be scrolled. `name` is told to those who cannot see it.
std::string scrollable(const std::string& name, const std::string& html);
/// Around something that is shown when it is asked for.
std::string details(const std::string& summary, const std::string& html);
std::string paragraph(std::string_view text);

/// A picture as a JPEG inside the page; `alternative` says what it shows.
std::string picture(const tl::data::Image& image, const std::string& alternative);
/// Pictures side by side, with a caption in HTML.
std::string figure(const std::string& html, const std::string& caption);

struct Section {
  std::string id, title, html;
};

/// The whole page: a heading, what stands directly below it, and the sections.
std::string page(const std::string& title, const std::string& head, const std::vector<Section>& sections);

}  // namespace program::report
