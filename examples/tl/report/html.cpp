// HTML; see html.hpp.
#include "html.hpp"

#include <tl/core/base64.hpp>
#include <tl/data/encode.hpp>

#include "../common.hpp"
#include "style.hpp"

namespace program::report {

std::string escape(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string escape_name(std::string_view text) {
  std::string result;
  for (const char c : escape(text)) {
    result += c;
    if (c == '_' || c == '/') result += "<wbr>";
  }
  return result;
}

std::string Table::html() const {
  const auto number = [&](std::size_t column) {
    return column < text_columns_ ? std::string() : " class=\"number\"";
  };
  std::string text = "<table>\n<caption>" + escape(caption_) + "</caption>\n<thead><tr>";
  for (std::size_t c = 0; c < headings_.size(); ++c)
    text += "<th scope=\"col\"" + number(c) + ">" + escape(headings_[c]) + "</th>";
  text += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows_) {
    text += "<tr><th scope=\"row\"" + number(0) + ">" + escape_name(row[0]) + "</th>";
    for (std::size_t c = 1; c < row.size(); ++c)
      text += "<td" + number(c) + ">" + escape_name(row[c]) + "</td>";
    text += "</tr>\n";
  }
  return scrollable(caption_, text + "</tbody>\n</table>");
}

std::string scrollable(const std::string& name, const std::string& html) {
  return "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" + escape(name) + "\">\n" +
         html + "\n</div>\n";
}

std::string details(const std::string& summary, const std::string& html) {
  return "<details><summary>" + escape(summary) + "</summary>\n" + html + "</details>\n";
}

std::string paragraph(std::string_view text) { return "<p>" + escape(text) + "</p>\n"; }

std::string picture(const tl::data::Image& image, const std::string& alternative) {
  return "<img src=\"data:image/jpeg;base64," + tl::to_base64(tl::data::encode_jpeg(image)) + "\" width=\"" +
         std::to_string(image.width()) + "\" height=\"" + std::to_string(image.height()) + "\" alt=\"" +
         escape(alternative) + "\">\n";
}

std::string figure(const std::string& html, const std::string& caption) {
  return "<figure>\n<div class=\"side\">" + html + "</div>\n<figcaption>" + caption +
         "</figcaption>\n</figure>\n";
}

std::string page(const std::string& title, const std::string& head, const std::vector<Section>& sections) {
  std::string text =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>" +
      escape(title) + "</title>\n<style>\n" + std::string(style) +
      "</style>\n</head>\n<body>\n<header>\n<h1>" + escape(title) + "</h1>\n" + head +
      "</header>\n<nav aria-label=\"Contents\"><ul>\n";
  for (const Section& s : sections)
    text += "<li><a href=\"#" + escape(s.id) + "\">" + escape(s.title) + "</a></li>\n";
  text += "</ul></nav>\n<main>\n";
  for (const Section& s : sections) {
    text += "<section id=\"" + escape(s.id) + "\" aria-labelledby=\"" + escape(s.id) +
            "-title\">\n<h2 id=\"" + escape(s.id) + "-title\">" + escape(s.title) + "</h2>\n" + s.html +
            "</section>\n";
  }
  return text + "</main>\n</body>\n</html>\n";
}

}  // namespace program::report
