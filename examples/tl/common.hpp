// What the commands share: text and JSON for people and programs, options, models that classify images.
#pragma once

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <tl/data/loader.hpp>
#include <tl/nn/model.hpp>

#include "progress.hpp"

namespace program {

using tl::Index;
/// Objects keep the order in which their members were added.
using Json = nlohmann::ordered_json;

/// It could not be done, though the command line and the input are right: exit status 1.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// ---- Text ----

/// The text with control characters, and bytes that are not UTF-8, written as \xNN: what is safe to print.
std::string printable(std::string_view text);
/// A number with so many digits after the point.
std::string fixed(double value, int digits);
/// A share of 1 as "97.3 %".
std::string percent(double share);
/// 11689512 as "11,689,512".
std::string grouped(Index n);
/// "1 image", "1,200 images".
std::string counted(Index n, std::string_view thing);
/// The name that is most like a word; empty when none is.
std::string nearest(std::string_view word, const std::vector<std::string>& names);
/// A line on standard error that is no error; none with --quiet.
void note(std::string_view text);
/// A field of a CSV line in quotes (RFC 4180).
std::string csv_quoted(std::string_view text);
/// Lines of columns, aligned: so many of text, flush left, then numbers, flush right.
class Table {
 public:
  Table(std::size_t text_columns, std::vector<std::string> headings)
      : text_columns_(text_columns), rows_{std::move(headings)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  friend std::ostream& operator<<(std::ostream& out, const Table& table);

 private:
  std::size_t text_columns_;
  std::vector<std::vector<std::string>> rows_;
};
/// Throws when the file could not be written: better now than after an hour's work.
void check_writable(const std::filesystem::path& path);
Json to_json(const tl::Shape& shape);
/// The one document of a command on standard output.
void print_json(const Json& json);

/// With --quiet, what a command prints that writes files is not printed while this lives.
class QuietOutput {
 public:
  QuietOutput();
  QuietOutput(const QuietOutput&) = delete;
  QuietOutput& operator=(const QuietOutput&) = delete;
  ~QuietOutput();

 private:
  std::streambuf* before_ = nullptr;
};

// ---- Options ----

// What stands for an option's value in its help tells shells how to complete it: MODEL, WEIGHTS, IMAGE, FILE
// and FOLDER are files of that kind, other capitals nothing known, small letters a word; "|" stands between
// alternatives (describe.hpp).

/// A range of numbers, not printed in the help of the option.
template <class Number>
CLI::Validator between(Number least, Number most) {
  return CLI::Range(least, most).description("");
}
/// MODEL, the file a command works on.
void add_model(CLI::App& command, std::filesystem::path& path);
void add_threads(CLI::App& command, int& threads);
/// What every command has: --quiet and, where it runs a network, --max-memory.
void add_common(CLI::App& command);
/// 0 leaves the number as it is.
void use_threads(int threads);
void add_preprocess(CLI::App& command, std::string& spec);
/// Quoted patterns such as 'photos/*.jpg' become the files that match them, in sorted order; what exists by
/// its name stays as it is. Throws where nothing matches.
std::vector<std::filesystem::path> expanded(const std::vector<std::filesystem::path>& paths);

// ---- Models ----

using ModelPtr = std::shared_ptr<tl::Model<float>>;
/// Throws for files of weights, which hold no network.
void check_is_network(const std::filesystem::path& path);
/// The network of an .onnx file.
tl::Graph<float> load_graph(const std::filesystem::path& path);
ModelPtr load_model(const std::filesystem::path& path);

/// The preprocessing of the flag, or else of the model's file, or else none.
std::optional<tl::data::Preprocess> find_preprocess(const std::string& spec, const tl::Graph<float>& graph);
/// The input of a network that has one, and one output; throws for others.
const tl::GraphValue<float>& only_input(const tl::Graph<float>& graph);
/// Height and width of the images that an input declares, or else those the preprocessing makes, or else 224.
tl::data::Size image_size(const tl::GraphValue<float>& input,
                          const std::optional<tl::data::Preprocess>& preprocess);
/// A shape for an input: images (rank 4) of a size, with three channels where their number is open; of other
/// inputs what the file declares, and 1 where that is open.
tl::Shape input_shape(const tl::GraphValue<float>& input, Index batch, tl::data::Size size);

/// A network from images to classes, with all that is needed to use it.
struct Classifier {
  ModelPtr model;  ///< fused: for inference only
  tl::data::Preprocess preprocess;
  std::vector<std::string> labels;  ///< empty where the file has none
  Index classes = 0;

  /// The label of a class, or its index where there are no labels.
  std::string label(Index index) const {
    return labels.empty() ? std::to_string(index) : labels[static_cast<std::size_t>(index)];
  }
};

/// Throws when the network does not take images and give classes, or when no preprocessing is known.
Classifier open_classifier(const std::filesystem::path& path, const std::string& spec);

/// Batches of images as the network expects them. Notes where their size is not the declared one; throws
/// where the network does not take it. Below a limit of memory batches are smaller; throws where not even
/// single images fit.
tl::data::Loader open_images(const Classifier& c, tl::data::Dataset images, bool strict, int threads);

/// Names the broken images a loader has met since the last call on standard error, and counts them.
class SkippedReport {
 public:
  void tell(const tl::data::Loader& loader, Progress& progress);
  /// The last line, where there were any; throws when no image was good.
  void finish(const tl::data::Loader& loader, Progress& progress);

 private:
  std::size_t told_ = 0;
};

}  // namespace program
