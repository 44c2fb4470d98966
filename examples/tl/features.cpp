// tl features: what a network computes before its last layer, or elsewhere, for a folder of images.
#include <algorithm>
#include <map>

#include <tl/io/npy.hpp>
#include <tl/transfer/features.hpp>
#include <tl/transfer/head.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model, folder, out, labels_out;
  std::string layer, preprocess;
  bool strict = false;
  int threads = 0;
};

/// The value of that name, or the result of the node of that name; without one, what the last layer reads.
tl::ValueId find_value(const tl::Graph<float>& graph, const std::string& layer) {
  if (layer.empty()) return tl::transfer::find_head(graph).input;
  std::vector<std::string> names;
  std::map<std::string, tl::ValueId> values;
  const auto add = [&](const std::string& name, tl::ValueId id) {
    if (values.emplace(name, id).second) names.push_back(name);
  };
  for (const auto& node : graph.nodes()) add(graph.value(node.output).name, node.output);
  for (const auto& node : graph.nodes()) add(node.name, node.output);
  const auto found = values.find(layer);
  if (found != values.end()) return found->second;
  const std::string near = nearest(layer, names);
  tl::fail("the network computes no '", layer, "'", near.empty() ? "" : ": did you mean '" + near + "'?",
           " (see tl inspect)");
}

/// Folders of classes, or images without: whichever the folder holds.
tl::data::Dataset read_images(const std::filesystem::path& folder) {
  tl::data::Dataset all = tl::data::image_files({folder});
  const bool flat = std::none_of(all.samples.begin(), all.samples.end(), [&](const auto& sample) {
    return sample.path.lexically_relative(folder).has_parent_path();
  });
  if (flat) return all;
  tl::data::ImageFolder classes = tl::data::image_folder(folder);
  TL_CHECK(classes.valid.empty(), "'", folder.string(),
           "' sets validation images apart: give one of the folders in it");
  for (const std::string& text : classes.notes) note(text);
  return classes.train;
}

/// A line for each row of the features: its path below the folder, and its class where there are classes.
std::string table_of(const tl::transfer::Features& features, const tl::data::Dataset& images,
                     const std::filesystem::path& folder) {
  const bool labelled = !images.class_names.empty();
  std::string text = labelled ? "path,class\n" : "path\n";
  for (const Index i : features.samples) {
    const tl::data::Sample& sample = images.samples[static_cast<std::size_t>(i)];
    text += csv_quoted(sample.path.lexically_relative(folder).string());
    if (labelled) text += ',' + csv_quoted(images.class_names[static_cast<std::size_t>(sample.label)]);
    text += '\n';
  }
  return text;
}

/// Throws where the rows of all images do not fit into the limit of memory: batch by batch, then joined.
void check_rows(const tl::Model<float>& network, const tl::Shape& example, Index images) {
  const tl::Graph<float>& graph = network.graph();
  const tl::Shape row = graph.infer(std::span(&example, 1)).at(static_cast<std::size_t>(graph.outputs()[0]));
  const std::size_t bytes = 2 * sizeof(float) * static_cast<std::size_t>(images * row.size());
  const std::size_t limit = tl::MemoryPool::instance().limit();
  if (bytes > limit)
    throw tl::MemoryLimitError(tl::concat(
        "the features of ", counted(images, "image"), " take ", tl::byte_size_text(bytes),
        " of memory, the limit is ", tl::byte_size_text(limit), ": take fewer images or a smaller layer"));
}

void features(const Options& o) {
  const QuietOutput quiet_output;
  use_threads(o.threads);
  TL_CHECK(o.out.extension() == ".npy", "expected a file .npy to write, got '", o.out.string(), "'");
  TL_CHECK(o.labels_out != o.out, "--out and --labels-out are both '", o.out.string(), "'");
  const Classifier c = open_classifier(o.model, o.preprocess);
  const tl::data::Dataset images = read_images(o.folder);
  TL_CHECK(o.labels_out.empty() || !images.class_names.empty(),
           "--labels-out needs a folder for each class in '", o.folder.string(), "'");
  const std::filesystem::path table = std::filesystem::path(o.out).replace_extension(".csv");
  for (const std::filesystem::path& path : {o.out, table, o.labels_out})
    if (!path.empty()) check_writable(path);

  const tl::data::Loader loader = open_images(c, images, o.strict, o.threads);
  const tl::Graph<float> graph = load_graph(o.model);
  const tl::Shape example{1, tl::data::Image::channels, loader.size().height, loader.size().width};
  const tl::ValueId wanted = find_value(graph, o.layer);
  const tl::Model<float> network(
      tl::subgraph<float>(graph, graph.inputs(), std::span(&example, 1), std::span(&wanted, 1)));
  check_rows(network, example, images.size());
  Progress progress("features", images.size());
  SkippedReport skipped;
  const tl::transfer::Features result = tl::transfer::compute_features(network, loader, [&](Index done) {
    skipped.tell(loader, progress);
    progress.update(done);
  });
  skipped.finish(loader, progress);
  tl::io::write_npy(o.out, result.values);
  tl::write_file_atomically(table, table_of(result, images, o.folder));
  if (!o.labels_out.empty()) tl::io::write_npy(o.labels_out, result.labels);
  std::cout << "written: " << printable(o.out.string()) << ' ' << result.values.shape() << ", "
            << printable(table.string());
  if (!o.labels_out.empty()) std::cout << ", " << printable(o.labels_out.string());
  std::cout << std::endl;
}

}  // namespace

void add_features(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("features", "What a network computes of images, as a .npy file");
  add_model(*command, o->model);
  command->add_option("FOLDER", o->folder, "images, or one folder of them a class")
      ->required()
      ->type_name("FOLDER");
  command->add_option("--out", o->out, "the .npy to write; a .csv beside it names the images")
      ->required()
      ->type_name("FILE");
  command->add_option("--layer", o->layer, "which value (what the last layer reads)")->type_name("NAME");
  command->add_option("--labels-out", o->labels_out, "write the classes' indices to this .npy file")
      ->type_name("FILE");
  add_preprocess(*command, o->preprocess);
  command->add_flag("--strict", o->strict, "stop at the first image that cannot be read");
  add_threads(*command, o->threads);
  command->footer("Example: tl features resnet18.onnx animals/ --out animals.npy");
  command->callback([o, &chosen] { chosen = [o] { features(*o); }; });
}

}  // namespace program
