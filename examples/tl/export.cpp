// tl export: networks and weights from one format into another.
#include <string>
#include <vector>

#include <tl/graph/fold.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/io/reference.hpp>
#include <tl/io/safetensors.hpp>
#include <tl/transfer/preprocess.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "weights.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path in, out, labels;
  std::string model, preprocess;
  bool fold = false, reference = false;
};

bool is_onnx(const std::filesystem::path& path) { return path.extension() == ".onnx"; }

/// One name a line; an empty line may only be the last.
std::vector<std::string> read_labels(const std::filesystem::path& path) {
  const std::string text = tl::read_file(path);
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    if (!name.empty() && name.back() == '\r') name.pop_back();
    begin = end + 1;
    TL_CHECK(!name.empty() || begin >= text.size(), "labels file '", path.string(), "', line ",
             names.size() + 1, ": expected the name of a class");
    if (!name.empty()) names.push_back(std::move(name));
  }
  TL_CHECK(!names.empty(), "labels file '", path.string(), "' is empty: expected one class a line");
  return names;
}

/// What the options say is put beside what the input says.
void add_metadata(const Options& o, tl::io::Metadata& metadata) {
  if (!o.preprocess.empty())
    metadata[tl::io::preprocess_key] = tl::data::Preprocess::parse(o.preprocess).to_string();
  if (!o.labels.empty()) tl::io::set_labels(metadata, read_labels(o.labels));
}

/// Throws when the metadata names another number of classes than the network has.
void check_labels(const tl::Graph<float>& graph) {
  const std::vector<std::string> labels = tl::io::labels(graph.metadata);
  if (labels.empty()) return;
  const tl::GraphValue<float>& input = only_input(graph);
  const tl::Shape shape = input_shape(input, 1, image_size(input, find_preprocess({}, graph)));
  const tl::Shape scores = graph.infer(std::span(&shape, 1)).at(static_cast<std::size_t>(graph.outputs()[0]));
  TL_CHECK(scores.rank() == 2 && scores[1] == static_cast<Index>(labels.size()), "the labels name ",
           labels.size(), " classes, but the network's output is ", scores);
}

void save_onnx(const Options& o, const tl::Model<float>& model) {
  tl::Graph<float> graph = o.fold ? tl::with_folded_batch_norm(model.graph()) : model.graph();
  check_labels(graph);
  tl::io::drop_reference(graph.metadata);
  if (o.reference) {
    const tl::GraphValue<float>& input = only_input(graph);
    const tl::data::Size size = image_size(input, find_preprocess({}, graph));
    tl::io::set_reference(graph, tl::io::reference_input(input_shape(input, 1, size)));
  }
  tl::onnx::save(graph, o.out);
}

/// The network as a graph, for images of the size that the preprocessing makes.
ModelPtr network_of(const LoadedNetwork& loaded, const tl::io::Metadata& metadata) {
  tl::data::Size size{loaded.network->image_size, loaded.network->image_size};
  if (const std::string spec = tl::io::preprocess_spec(metadata); !spec.empty())
    size = tl::data::Preprocess::parse(spec).fixed_size().value_or(size);
  const ModelPtr model =
      tl::nn::trace<float>(*loaded.module, tl::Tensor<float>::zeros({1, 3, size.height, size.width}));
  model->metadata() = metadata;
  return model;
}

tl::io::NamedTensors weights_of(const tl::Model<float>& model) {
  tl::io::NamedTensors content{{}, model.metadata()};
  for (const auto& list : {model.parameters(), model.buffers()}) {
    for (const tl::nn::Named<float>& named : list) content.tensors[named.name] = named.var.value();
  }
  return content;
}

void check_arguments(const Options& o) {
  TL_CHECK(is_onnx(o.out) || o.out.extension() == ".safetensors",
           "expected OUT to end in .onnx or .safetensors, got '", o.out.string(), "'");
  TL_CHECK(is_onnx(o.in) || is_weights_file(o.in),
           "expected IN to end in .onnx, .pth, .pt or .safetensors, got '", o.in.string(), "'");
  TL_CHECK((!o.fold && !o.reference) || is_onnx(o.out),
           "--fold and --reference are for an OUT that ends in .onnx");
  TL_CHECK(o.model.empty() || (is_onnx(o.out) && is_weights_file(o.in)),
           "--model is for weights (.pth, .pt, .safetensors) that become an .onnx file");
}

std::string tensors_in(const tl::io::NamedTensors& content) {
  return counted(static_cast<Index>(content.tensors.size()), "tensor");
}

/// Writes the file; returns what became of the weights.
std::string export_weights(const Options& o) {
  tl::io::NamedTensors file = read_weights(o.in);
  add_metadata(o, file.metadata);
  if (!is_onnx(o.out)) {
    tl::io::write_safetensors(o.out, file);
    return tensors_in(file);
  }
  const std::optional<LoadedNetwork> loaded =
      o.model.empty() ? find_network(file) : load_network(o.model, file);
  TL_CHECK(loaded, "'", o.in.string(),
           "' has the tensors of no network that tl knows: --model NAME tells what differs");
  const ModelPtr network = network_of(*loaded, file.metadata);
  save_onnx(o, *network);
  if (const tl::transfer::NetworkPreprocess usual = tl::transfer::preprocess_of(network->graph());
      usual.assumed)
    note(
        "nothing says how images are prepared: --preprocess puts it into the file, for weights of "
        "torchvision " +
        usual.steps.to_string());
  return loaded->network->name + ", " + grouped(loaded->classes) + " classes; " + loaded->report.text();
}

std::string export_network(const Options& o) {
  const ModelPtr model = load_model(o.in);
  add_metadata(o, model->metadata());
  const tl::io::NamedTensors content = weights_of(*model);
  if (is_onnx(o.out)) {
    save_onnx(o, *model);
  } else {
    tl::io::write_safetensors(o.out, content);
  }
  return tensors_in(content);
}

void export_file(const Options& o) {
  const QuietOutput quiet_output;
  check_arguments(o);
  const std::string what = is_weights_file(o.in) ? export_weights(o) : export_network(o);
  std::cout << printable(what) << "\nwritten: " << printable(o.out.string()) << '\n';
}

}  // namespace

void add_export(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("export", "From one format into another: PyTorch's weights to ONNX");
  command->add_option("IN", o->in, "a network (.onnx) or weights (.pth, .safetensors)")
      ->required()
      ->type_name("MODEL|WEIGHTS");
  command->add_option("OUT", o->out, "the file to write: .onnx or .safetensors")
      ->required()
      ->type_name("FILE");
  command->add_option("--model", o->model, "the weights' network (found by names and shapes)")
      ->type_name("resnet_small|resnet18|resnet34|resnet50|efficientnet_lite0");
  command->add_option("--preprocess", o->preprocess, "what the network expects of images")->type_name("SPEC");
  command->add_option("--labels", o->labels, "the names of the classes, one a line")->type_name("FILE");
  command->add_flag("--fold", o->fold, "fold BatchNorm into convolutions, for inference only");
  command->add_flag("--reference", o->reference, "an input and its output go along, for tl doctor");
  command->footer("Example: tl export resnet18.pth resnet18.onnx --labels classes.txt");
  command->callback([o, &chosen] { chosen = [o] { export_file(*o); }; });
}

}  // namespace program
