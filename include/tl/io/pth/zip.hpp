// The entries of a zip archive whose entries are stored as they are, as PyTorch writes it.
//
//   [local header, elements]...  [central header]...  end record; before it the zip64 end record and its
//   locator, which PyTorch always writes
//
// Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (sections 4.3 to 4.5). Sizes come from
// the central headers: PyTorch leaves those of the local headers zero.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/core/error.hpp>

namespace tl::io::pth {

static_assert(std::endian::native == std::endian::little, "the numbers of a zip archive are little-endian");

namespace zip_impl {

template <class Number>
Number number_at(std::string_view bytes, std::uint64_t at) {
  Number value = 0;
  TL_CHECK(at <= bytes.size() && sizeof(value) <= bytes.size() - at, "it ends inside its zip archive");
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

inline std::string_view part(std::string_view bytes, std::uint64_t at, std::uint64_t size) {
  TL_CHECK(at <= bytes.size() && size <= bytes.size() - at, "an entry of its zip archive runs past the end");
  return bytes.substr(at, size);
}

/// Where the central headers lie.
struct Directory {
  std::uint64_t entries = 0, size = 0, offset = 0, end = 0;
};

inline Directory find_directory(std::string_view bytes) {
  constexpr std::uint64_t end_bytes = 22, locator_bytes = 20;
  const std::size_t at = bytes.rfind("PK\5\6");
  TL_CHECK(at != std::string_view::npos && bytes.size() - at >= end_bytes &&
               number_at<std::uint16_t>(bytes, at + 20) == bytes.size() - at - end_bytes,
           "its zip archive has no end record: it is not complete");
  Directory d{number_at<std::uint16_t>(bytes, at + 10), number_at<std::uint32_t>(bytes, at + 12),
              number_at<std::uint32_t>(bytes, at + 16), at};
  if (at >= locator_bytes && bytes.substr(at - locator_bytes, 4) == "PK\6\7") {
    const auto record = number_at<std::uint64_t>(bytes, at - locator_bytes + 8);
    TL_CHECK(part(bytes, record, 4) == "PK\6\6", "the zip64 end record of its archive is damaged");
    d = {number_at<std::uint64_t>(bytes, record + 32), number_at<std::uint64_t>(bytes, record + 40),
         number_at<std::uint64_t>(bytes, record + 48), record};
  }
  TL_CHECK(d.offset <= d.end && d.size == d.end - d.offset, "the directory of its zip archive is damaged");
  return d;
}

struct Entry {
  std::string_view name, data;
  std::uint64_t begin = 0, end = 0;  ///< with the local header
};

/// Sizes and offset of a central header, from its zip64 field where they do not fit 32 bits.
struct Extent {
  std::uint64_t size = 0, compressed = 0, offset = 0;
};

inline Extent read_extent(std::string_view central, std::string_view extra) {
  Extent e{number_at<std::uint32_t>(central, 24), number_at<std::uint32_t>(central, 20),
           number_at<std::uint32_t>(central, 42)};
  while (extra.size() >= 4) {
    const std::string_view field = part(extra, 4, number_at<std::uint16_t>(extra, 2));
    std::uint64_t at = 0;
    if (number_at<std::uint16_t>(extra, 0) == 1) {
      for (std::uint64_t* value : {&e.size, &e.compressed, &e.offset}) {
        if (*value != 0xffffffffu) continue;
        *value = number_at<std::uint64_t>(field, at);
        at += sizeof(*value);
      }
    }
    extra.remove_prefix(4 + field.size());
  }
  return e;
}

/// The entry of the central header that `directory` begins with, which is then removed from it.
inline Entry read_entry(std::string_view bytes, std::string_view& directory) {
  constexpr std::uint64_t central_bytes = 46, local_bytes = 30;
  const std::string_view central = part(directory, 0, central_bytes);
  TL_CHECK(central.starts_with("PK\1\2"), "the directory of its zip archive is damaged");
  const auto name_bytes = number_at<std::uint16_t>(central, 28);
  const auto extra_bytes = number_at<std::uint16_t>(central, 30);
  const auto comment_bytes = number_at<std::uint16_t>(central, 32);
  const std::string_view name = part(directory, central_bytes, name_bytes);
  const Extent e = read_extent(central, part(directory, central_bytes + name_bytes, extra_bytes));
  directory.remove_prefix(
      part(directory, 0, central_bytes + name_bytes + extra_bytes + comment_bytes).size());

  TL_CHECK((number_at<std::uint16_t>(central, 8) & 1) == 0, "its entry '", name, "' is encrypted");
  TL_CHECK(number_at<std::uint16_t>(central, 10) == 0 && e.size == e.compressed, "its entry '", name,
           "' is compressed: expected entries stored as torch.save writes them");
  const std::string_view local = part(bytes, e.offset, local_bytes);
  TL_CHECK(local.starts_with("PK\3\4"), "its entry '", name, "' does not lie where its directory says");
  const std::uint64_t data =
      e.offset + local_bytes + number_at<std::uint16_t>(local, 26) + number_at<std::uint16_t>(local, 28);
  return {name, part(bytes, data, e.size), e.offset, data + e.size};
}

}  // namespace zip_impl

/// The bytes of each entry by its name, as parts of `bytes`. Throws for entries that are compressed or
/// encrypted, overlap, share a name or do not lie in the archive.
inline std::map<std::string_view, std::string_view> zip_entries(std::string_view bytes) {
  const zip_impl::Directory d = zip_impl::find_directory(bytes);
  const std::string_view before = bytes.substr(0, d.offset);
  std::string_view directory = bytes.substr(d.offset, d.size);
  std::map<std::string_view, std::string_view> entries;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  while (!directory.empty()) {
    const zip_impl::Entry entry = zip_impl::read_entry(before, directory);
    TL_CHECK(entries.emplace(entry.name, entry.data).second, "its entry '", entry.name, "' is there twice");
    ranges.emplace_back(entry.begin, entry.end);
  }
  TL_CHECK(entries.size() == d.entries, "expected ", d.entries, " entries in its zip archive, got ",
           entries.size());
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i)
    TL_CHECK(ranges[i - 1].second <= ranges[i].first, "entries of its zip archive overlap");
  return entries;
}

}  // namespace tl::io::pth
