// What the commands share; see common.hpp.
#include "common.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <set>

#include <glob.h>

#include <tl/core/memory_fit.hpp>
#include <tl/core/parallel.hpp>
#include <tl/graph/fuse.hpp>
#include <tl/graph/memory.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/train/memory.hpp>
#include <tl/transfer/preprocess.hpp>

#include "weights.hpp"

namespace program {

namespace {

/// Bytes of the UTF-8 character at the front of a text (RFC 3629); 0 when there is none.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (length == 0 || length > text.size() || first > 0xF4) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  const bool too_long = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) > 0x9F, too_large = first == 0xF4 && byte(1) > 0x8F;
  return too_long || surrogate || too_large ? 0 : length;
}

/// The second ones, from U+0080 on, are two bytes in UTF-8.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  return first < 0x20 || first == 0x7F || (first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0);
}

/// Letters to insert, remove or replace to turn one word into another (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

// ---- Text ----

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const std::string_view character = text.substr(0, std::max(length, std::size_t{1}));
    text.remove_prefix(character.size());
    if (length > 0 && !is_control(character)) {
      result += character;
      continue;
    }
    for (const char c : character) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      result += escaped;
    }
  }
  return result;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

std::string grouped(Index n) {
  std::string digits = std::to_string(n);
  const std::size_t first = n < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string counted(Index n, std::string_view thing) {
  return grouped(n) + " " + std::string(thing) + (n == 1 ? "" : "s");
}

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t d = distance(word, name);
    if (d >= least) continue;
    least = d;
    best = name;
  }
  return best;
}

void note(std::string_view text) {
  if (!quiet) std::cerr << "note: " + printable(text) + "\n";
}

std::string csv_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + '"';
}

std::ostream& operator<<(std::ostream& out, const Table& table) {
  const auto width_of = [](const std::string& cell) {  // characters, not bytes
    return static_cast<std::size_t>(
        std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  std::vector<std::size_t> widths(table.rows_[0].size());
  for (const auto& row : table.rows_)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  for (const auto& row : table.rows_) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string gap(widths[c] - width_of(row[c]), ' ');
      line += (c > 0 ? "  " : "") + (c < table.text_columns_ ? row[c] + gap : gap + row[c]);
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
  return out;
}

Json to_json(const tl::Shape& shape) { return std::vector<Index>(shape.begin(), shape.end()); }

void print_json(const Json& json) {
  constexpr bool ascii_only = true;
  std::cout << json.dump(-1, ' ', ascii_only, Json::error_handler_t::replace) << '\n';
}

namespace {

class NoBuffer final : public std::streambuf {
  int_type overflow(int_type c) override { return traits_type::not_eof(c); }
};

}  // namespace

QuietOutput::QuietOutput() {
  static NoBuffer nowhere;
  if (quiet) before_ = std::cout.rdbuf(&nowhere);
}

QuietOutput::~QuietOutput() {
  if (before_ != nullptr) std::cout.rdbuf(before_);
}

void check_writable(const std::filesystem::path& path) { const tl::AtomicFile never_committed(path); }

// ---- Options ----

void add_model(CLI::App& command, std::filesystem::path& path) {
  command.add_option("MODEL", path, "an .onnx file")->required()->type_name("MODEL");
}

void add_threads(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "processors to use (all)")
      ->check(between(1, 1024))
      ->type_name("N");
}

void add_common(CLI::App& command) {
  command.get_help_ptr()->group("");  // who reads the help has found it
  static const std::set<std::string> light = {"inspect", "export", "completion", "man"};
  if (!light.contains(command.get_name())) {
    const auto limit = [](const std::string& size) {
      tl::MemoryPool::instance().set_limit(tl::parse_byte_size(size));
    };
    command.add_option_function<std::string>("--max-memory", limit, "refuse what takes more, such as 2G")
        ->type_name("SIZE");
  }
  command.add_flag("-q,--quiet", quiet, "errors and results only");
}

void use_threads(int threads) {
  if (threads > 0) tl::set_num_threads(threads);
}

void add_preprocess(CLI::App& command, std::string& spec) {
  command.add_option("--preprocess", spec, "how images are prepared, instead of as the file says")
      ->type_name("SPEC");
}

std::vector<std::filesystem::path> expanded(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& path : paths) {
    std::error_code ignored;
    const bool pattern = path.string().find_first_of("*?[") != std::string::npos;
    if (!pattern || std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
      files.push_back(path);
      continue;
    }
    glob_t found = {};
    const int error = ::glob(path.c_str(), GLOB_TILDE, nullptr, &found);
    for (std::size_t i = 0; error == 0 && i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    TL_CHECK(error == 0, "no file or folder matches '", path.string(), "'");
  }
  return files;
}

// ---- Models ----

void check_is_network(const std::filesystem::path& path) {
  TL_CHECK(!is_weights_file(path), "'", path.string(),
           "' holds weights without a network: tl export makes an .onnx file of it");
}

tl::Graph<float> load_graph(const std::filesystem::path& path) {
  check_is_network(path);
  return tl::onnx::load_graph<float>(path);
}

ModelPtr load_model(const std::filesystem::path& path) {
  return std::make_shared<tl::Model<float>>(load_graph(path));
}

std::optional<tl::data::Preprocess> find_preprocess(const std::string& spec, const tl::Graph<float>& graph) {
  const std::string& known = spec.empty() ? tl::io::preprocess_spec(graph.metadata) : spec;
  if (known.empty()) return {};
  return tl::data::Preprocess::parse(known);
}

const tl::GraphValue<float>& only_input(const tl::Graph<float>& graph) {
  TL_CHECK(graph.inputs().size() == 1 && graph.outputs().size() == 1,
           "expected a network with one input and one output, got ", graph.inputs().size(), " and ",
           graph.outputs().size(), ": use tl run");
  TL_CHECK(graph.open_batch, "expected a network for any number of images, got one for ",
           graph.value(graph.inputs()[0]).shape, " alone: use tl run, or export it with an open batch");
  return graph.value(graph.inputs()[0]);
}

tl::data::Size image_size(const tl::GraphValue<float>& input,
                          const std::optional<tl::data::Preprocess>& preprocess) {
  const tl::Shape& declared = input.shape;
  if (declared.rank() == 4 && declared[2] > 0 && declared[3] > 0) return {declared[2], declared[3]};
  if (preprocess && preprocess->fixed_size()) return *preprocess->fixed_size();
  return {224, 224};
}

tl::Shape input_shape(const tl::GraphValue<float>& input, Index batch, tl::data::Size size) {
  tl::Shape shape = input.shape;
  const bool image = shape.rank() == 4;
  if (image) {
    if (shape[1] == 0) shape[1] = tl::data::Image::channels;
    shape[2] = size.height;
    shape[3] = size.width;
  }
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis == 0) shape[axis] = batch;
    if (shape[axis] == 0) shape[axis] = 1;
  }
  return shape;
}

namespace {

/// The number of classes of a network from one image of a size to one row of scores.
Index classes_of(const tl::Graph<float>& graph, tl::data::Size size) {
  const tl::GraphValue<float>& input = only_input(graph);
  const tl::Shape shape = input_shape(input, 1, size);
  TL_CHECK(shape.rank() == 4 && shape[1] == tl::data::Image::channels,
           "expected a network of images (N,3,H,W), got one of ", input.shape, ": use tl run");
  try {
    const auto output = static_cast<std::size_t>(graph.outputs()[0]);
    const tl::Shape scores = graph.infer(std::span(&shape, 1)).at(output);
    TL_CHECK(scores.rank() == 2 && scores[0] == 1 && scores[1] >= 1, "expected scores (N,classes), got ",
             scores, ": use tl run");
    return scores[1];
  } catch (const tl::Error& error) {
    tl::fail("the network cannot classify images of ", size, " pixels: ", error.what());
  }
}

}  // namespace

Classifier open_classifier(const std::filesystem::path& path, const std::string& spec) {
  Classifier c;
  c.model = std::make_shared<tl::Model<float>>(tl::fused(load_graph(path)));
  const tl::Graph<float>& graph = c.model->graph();
  const std::optional<tl::data::Preprocess> preprocess = find_preprocess(spec, graph);
  TL_CHECK(
      preprocess, "'", path.string(),
      "' does not say what its network expects of images: give --preprocess, for networks of torchvision ",
      tl::transfer::preprocess_of(graph).steps.to_string());
  c.preprocess = *preprocess;
  c.classes = classes_of(graph, preprocess->fixed_size().value_or(image_size(only_input(graph), preprocess)));
  c.labels = tl::io::labels(graph.metadata);
  TL_CHECK(c.labels.empty() || static_cast<Index>(c.labels.size()) == c.classes, "'", path.string(),
           "' names ", c.labels.size(), " classes, but its network has ", c.classes,
           " outputs: it is damaged");
  return c;
}

namespace {

/// The same with batches that fit into the limit of memory.
tl::data::Loader within_limit(const Classifier& c, tl::data::Loader loader, tl::data::LoaderOptions options) {
  if (tl::MemoryPool::instance().limit() == tl::MemoryPool::no_limit) return loader;
  const std::size_t before = tl::MemoryPool::instance().bytes_in_use();
  using Memory = tl::RunMemory<float>;
  const Memory network(c.model->graph(), Memory::Pass::inference);
  const tl::train::LoaderMemory images(loader.dataset(), options);
  const auto bytes = [&](const tl::BatchSize& size) {
    const tl::Shape x{size.images, tl::data::Image::channels, size.height, size.width};
    return before + network.need(x).bytes() + images.bytes(x);
  };
  const tl::data::Size size = loader.size();
  tl::check_fits("the network", {1, size.height, size.width}, bytes);
  const Index batch = tl::images_that_fit({options.batch_size, size.height, size.width}, bytes);
  if (batch == options.batch_size) return loader;
  options.batch_size = batch;
  return tl::data::Loader(loader.dataset(), c.preprocess, options);
}

}  // namespace

tl::data::Loader open_images(const Classifier& c, tl::data::Dataset images, bool strict, int threads) {
  const tl::data::LoaderOptions options{.batch_size = 16, .strict = strict, .threads = threads};
  tl::data::Loader loader(std::move(images), c.preprocess, options);
  const tl::data::Size size = loader.size();
  classes_of(c.model->graph(), size);
  const tl::Shape& declared = only_input(c.model->graph()).shape;
  const bool as_declared =
      (declared[2] == 0 || declared[2] == size.height) && (declared[3] == 0 || declared[3] == size.width);
  if (!as_declared)
    note(tl::concat("the network declares ", declared, ", the preprocessing makes images of ", size,
                    " pixels"));
  return within_limit(c, std::move(loader), options);
}

// ---- Broken images ----

void SkippedReport::tell(const tl::data::Loader& loader, Progress& progress) {
  const std::vector<tl::data::Skipped> skipped = loader.skipped();
  if (told_ < skipped.size()) progress.clear();
  for (; told_ < skipped.size(); ++told_) note(skipped[told_].reason);
}

void SkippedReport::finish(const tl::data::Loader& loader, Progress& progress) {
  tell(loader, progress);
  progress.clear();
  if (told_ == 0) return;
  const auto count = static_cast<Index>(told_), all = loader.dataset().size();
  TL_CHECK(count < all, "none of ", counted(all, "image"), " could be read: expected JPEG, PNG or BMP");
  note(tl::concat(grouped(count), " of ", counted(all, "image"), " could not be read and were left out"));
}

}  // namespace program
