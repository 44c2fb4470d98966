// tl inspect: what a model, or a file of weights, is made of.
#include <algorithm>

#include <tl/graph/layout.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/reference.hpp>
#include <tl/train/memory.hpp>

#include "commands.hpp"
#include "common.hpp"
#include "plan.hpp"
#include "weights.hpp"

namespace program {

namespace {

using program::to_json;

struct Options {
  std::filesystem::path model;
  std::string plan;
  bool json = false;
};

/// One node of the network, for one example.
struct Layer {
  std::string name, operation;
  tl::Shape output;
  Index parameters = 0, multiply_adds = 0;
  std::vector<std::string> weights;  ///< names of its parameters

  /// As --freeze and --lr-for of tl finetune take them: "layer1.0.conv1.*", or one name.
  std::string glob() const {
    if (weights.empty()) return "";
    const std::string module = weights[0].substr(0, weights[0].rfind('.') + 1);
    const bool shared = std::all_of(weights.begin(), weights.end(),
                                    [&](const std::string& weight) { return weight.starts_with(module); });
    if (!module.empty() && shared) return module + "*";
    std::string all = weights[0];
    for (std::size_t i = 1; i < weights.size(); ++i) all += " " + weights[i];
    return all;
  }
};

struct Summary {
  std::vector<Layer> layers;
  std::vector<tl::Shape> shapes;  ///< of all values
  Index parameters = 0, buffers = 0, multiply_adds = 0;
  Index batch_norms = 0, convolutions = 0, biased_convolutions = 0;
  Index renamed_weights = 0;              ///< as PyTorch calls those that it folds into
  Index transposes = 0, copies_left = 0;  ///< in the file, and when the network runs
  std::vector<std::string> frozen;

  std::string batch_norm() const {
    if (batch_norms > 0) return "present, " + counted(batch_norms, "layer");
    if (renamed_weights > 0) return "folded into the convolutions";
    return may_be_folded() ? "none: every convolution has a bias, it may be folded into them" : "none";
  }
  bool may_be_folded() const {
    return batch_norms == 0 &&
           (renamed_weights > 0 || (convolutions > 0 && convolutions == biased_convolutions));
  }
};

void add_to(Index& sum, Index term) {
  TL_CHECK(!__builtin_add_overflow(sum, term, &sum), "the network is too large to be counted");
}

/// Of convolutions and matrix products, where nearly all the time goes; the rest counts as nothing.
Index multiply_adds(const tl::Operation<float>& operation, const std::vector<tl::Shape>& inputs,
                    const tl::Shape& output) {
  if (operation.get_if<tl::ops::Conv2d>() != nullptr)
    return tl::Shape{output.size(), inputs[1][1], inputs[1][2], inputs[1][3]}.size();
  if (operation.get_if<tl::ops::Linear>() != nullptr || operation.get_if<tl::ops::MatMul>() != nullptr)
    return tl::Shape{output.size(), inputs[0].back()}.size();
  return 0;
}

Summary summarise(const tl::Graph<float>& graph, const std::optional<tl::data::Preprocess>& preprocess) {
  Summary s;
  std::vector<tl::Shape> inputs;
  for (const tl::ValueId id : graph.inputs()) {
    const tl::GraphValue<float>& input = graph.value(id);
    const Index batch = graph.open_batch ? 1 : input.shape[0];
    inputs.push_back(input_shape(input, batch, image_size(input, preprocess)));
  }
  s.shapes = graph.infer(inputs);
  for (const tl::GraphValue<float>& value : graph.values()) {
    if (value.kind == tl::ValueKind::buffer) add_to(s.buffers, value.shape.size());
    if (value.kind != tl::ValueKind::parameter) continue;
    add_to(s.parameters, value.shape.size());
    s.renamed_weights += value.name.starts_with("onnx::Conv_");
    if (!value.var.requires_grad()) s.frozen.push_back(value.name);
  }
  for (const tl::GraphNode<float>& node : graph.nodes()) {
    Layer layer{
        node.name, std::string(node.operation->name()), s.shapes[static_cast<std::size_t>(node.output)], 0, 0,
        {}};
    std::vector<tl::Shape> shapes;
    for (const tl::ValueId id : node.inputs) {
      shapes.push_back(s.shapes[static_cast<std::size_t>(id)]);
      if (graph.value(id).kind != tl::ValueKind::parameter) continue;
      add_to(layer.parameters, shapes.back().size());
      layer.weights.push_back(graph.value(id).name);
    }
    layer.multiply_adds = multiply_adds(*node.operation, shapes, layer.output);
    add_to(s.multiply_adds, layer.multiply_adds);
    s.batch_norms += node.operation->get_if<tl::ops::BatchNorm>() != nullptr;
    if (node.operation->get_if<tl::ops::Conv2d>() != nullptr) {
      ++s.convolutions;
      s.biased_convolutions += node.inputs.size() == 3;
    }
    s.transposes += node.operation->get_if<tl::ops::Transpose>() != nullptr;
    s.layers.push_back(std::move(layer));
  }
  const tl::Graph<float> plan = tl::without_layout_copies(graph, true);
  s.copies_left = std::count_if(plan.nodes().begin(), plan.nodes().end(), tl::is_layout_copy<float>);
  return s;
}

Json values_json(const tl::Graph<float>& graph, const std::vector<tl::ValueId>& ids,
                 const std::vector<tl::Shape>& shapes) {
  Json list = Json::array();
  for (const tl::ValueId id : ids)
    list.push_back(
        {{"name", graph.value(id).name}, {"shape", to_json(shapes[static_cast<std::size_t>(id)])}});
  return list;
}

bool is_reference(std::string_view key) { return key.starts_with("tl.reference."); }

/// Everything but a reference, which is large and not for reading.
Json metadata_json(const tl::io::Metadata& metadata) {
  Json object = Json::object();
  for (const auto& [key, value] : metadata) {
    if (!is_reference(key)) object[key] = value;
  }
  return object;
}

Json to_json(const Options& o, const tl::Graph<float>& graph, const Summary& s) {
  Json layers = Json::array();
  for (const Layer& layer : s.layers) {
    layers.push_back({{"name", layer.name},
                      {"operation", layer.operation},
                      {"output", to_json(layer.output)},
                      {"parameters", layer.parameters},
                      {"multiply_adds", layer.multiply_adds},
                      {"weights", layer.weights}});
  }
  const std::string spec = tl::io::preprocess_spec(graph.metadata);
  return {{"file", o.model.string()},
          {"inputs", values_json(graph, graph.inputs(), s.shapes)},
          {"outputs", values_json(graph, graph.outputs(), s.shapes)},
          {"layers", std::move(layers)},
          {"parameters", s.parameters},
          {"buffers", s.buffers},
          {"multiply_adds", s.multiply_adds},
          {"batch_norm", s.batch_norm()},
          {"transposes", s.transposes},
          {"layout_copies", s.copies_left},
          {"frozen", s.frozen},
          {"preprocess", spec.empty() ? Json() : Json(spec)},
          {"labels", tl::io::labels(graph.metadata)},
          {"metadata", metadata_json(graph.metadata)}};
}

void print_values(std::string_view title, const tl::Graph<float>& graph, const std::vector<tl::ValueId>& ids,
                  const std::vector<tl::Shape>& shapes) {
  for (const tl::ValueId id : ids)
    std::cout << title << printable(graph.value(id).name) << ' ' << shapes[static_cast<std::size_t>(id)]
              << '\n';
}

void print_labels(const std::vector<std::string>& labels) {
  constexpr std::size_t shown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, labels.size()); ++i)
    text += (i > 0 ? ", " : ": ") + printable(labels[i]);
  std::cout << "labels         "
            << (labels.empty() ? "none" : grouped(static_cast<Index>(labels.size())) + text)
            << (labels.size() > shown ? ", ..." : "") << '\n';
}

void print(const tl::Graph<float>& graph, const Summary& s) {
  Table table(4, {"layer", "operation", "output", "weights", "parameters", "multiply-adds"});
  for (const Layer& layer : s.layers) {
    table.add({printable(layer.name), layer.operation, tl::concat(layer.output), printable(layer.glob()),
               grouped(layer.parameters), grouped(layer.multiply_adds)});
  }
  const std::string spec = tl::io::preprocess_spec(graph.metadata);
  std::cout << table << '\n';
  print_values("input          ", graph, graph.inputs(), s.shapes);
  print_values("output         ", graph, graph.outputs(), s.shapes);
  std::cout << "layers         " << grouped(static_cast<Index>(s.layers.size())) << '\n'
            << "parameters     " << grouped(s.parameters) << '\n'
            << "buffers        " << grouped(s.buffers) << '\n'
            << "multiply-adds  " << grouped(s.multiply_adds) << '\n'
            << "BatchNorm      " << s.batch_norm() << '\n'
            << "layout copies  " << grouped(s.copies_left) << " when it runs, "
            << counted(s.transposes, "transpose") << " in the file\n"
            << "frozen         "
            << (s.frozen.empty() ? "nothing" : counted(static_cast<Index>(s.frozen.size()), "parameter"))
            << '\n'
            << "preprocessing  " << (spec.empty() ? "not in the file" : printable(spec)) << '\n';
  print_labels(tl::io::labels(graph.metadata));
  if (tl::io::has_reference(graph.metadata)) {
    const tl::io::Reference reference = tl::io::reference(graph.metadata);
    std::cout << "reference      input " << reference.input.shape() << ", output " << reference.output.shape()
              << ": tl doctor compares\n";
  }
  for (const auto& [key, value] : graph.metadata) {
    if (key == tl::io::labels_key || key == tl::io::preprocess_key || is_reference(key)) continue;
    std::cout << "metadata       " << printable(key) << ": " << printable(value) << '\n';
  }
}

/// How to get a network whose batch normalisation can be trained.
void print_recipe() {
  std::cout
      << "\nA network whose BatchNorm is folded is a poorer start for training. tl export keeps it without "
         "--fold,\n"
         "PyTorch with\n"
         "  torch.onnx.export(net.eval(), image, \"net.onnx\", dynamo=False, do_constant_folding=False,\n"
         "                    training=torch.onnx.TrainingMode.PRESERVE)\n";
}

// ---- Files of weights ----

Json to_json(const Options& o, const tl::io::NamedTensors& file, const std::optional<LoadedNetwork>& fits) {
  Json tensors = Json::array();
  for (const auto& [name, tensor] : file.tensors)
    tensors.push_back({{"name", name}, {"shape", to_json(tensor.shape())}});
  return {{"file", o.model.string()},
          {"tensors", std::move(tensors)},
          {"network", fits ? Json(fits->network->name) : Json()},
          {"classes", fits ? Json(fits->classes) : Json()},
          {"metadata", file.metadata}};
}

void print(const tl::io::NamedTensors& file, const std::optional<LoadedNetwork>& fits) {
  Table table(2, {"tensor", "shape", "elements"});
  Index elements = 0;
  for (const auto& [name, tensor] : file.tensors) {
    table.add({printable(name), tl::concat(tensor.shape()), grouped(tensor.size())});
    elements += tensor.size();
  }
  std::cout << table << '\n'
            << "tensors        " << grouped(static_cast<Index>(file.tensors.size())) << '\n'
            << "elements       " << grouped(elements) << '\n'
            << "network        "
            << (fits ? fits->network->name + ", " + grouped(fits->classes) + " classes"
                     : "none that tl knows")
            << '\n';
  for (const auto& [key, value] : file.metadata)
    std::cout << "metadata       " << printable(key) << ": " << printable(value) << '\n';
}

void inspect_weights(const Options& o) {
  const tl::io::NamedTensors file = read_weights(o.model);
  const std::optional<LoadedNetwork> fits = find_network(file);
  if (o.json) {
    print_json(to_json(o, file, fits));
  } else {
    print(file, fits);
  }
}

/// The batches of which a plan of memory is told.
constexpr Index planned_batch = 32;

/// Bytes that tl finetune takes at most with such a method, the photos aside; nothing where the network takes
/// no images.
std::optional<std::size_t> memory_of(const tl::Graph<float>& graph, const tl::transfer::Method& method,
                                     const tl::Shape& example) {
  if (example.rank() != 4 || example[1] != tl::data::Image::channels) return {};
  tl::train::FineTuneOptions training;
  training.method = method;
  const tl::train::FineTuneMemory<float> memory(tl::Model<float>(graph), training, example, {});
  return memory.bytes({planned_batch, example[2], example[3]});
}

void inspect(const Options& o) {
  std::optional<tl::transfer::Method> method;
  if (!o.plan.empty()) method = tl::transfer::Method::parse(o.plan);
  if (is_weights_file(o.model)) return inspect_weights(o);
  const tl::Graph<float> graph = load_graph(o.model);
  const Summary summary = summarise(graph, find_preprocess({}, graph));
  std::optional<TrainingPlan> plan;
  std::optional<std::size_t> memory;
  if (method) {
    const tl::Shape& example = summary.shapes[static_cast<std::size_t>(graph.inputs()[0])];
    plan = training_plan(graph, *method, example);
    memory = memory_of(graph, *method, example);
  }
  if (o.json) {
    Json json = to_json(o, graph, summary);
    if (plan) json["plan"] = to_json(*plan);
    if (memory) json["plan"]["memory"] = {{"batch", planned_batch}, {"bytes", *memory}};
    print_json(json);
  } else {
    print(graph, summary);
    if (plan) print(*plan);
    if (memory)
      std::cout << "memory         at most " << tl::byte_size_text(*memory) << " with batches of "
                << planned_batch << " images, beside the photos\n";
    if (summary.may_be_folded()) print_recipe();
  }
}

}  // namespace

void add_inspect(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Layers, sizes and what else stands in a model's file");
  command->add_option("MODEL", o->model, "a network (.onnx) or weights (.pth, .safetensors)")
      ->required()
      ->type_name("MODEL|WEIGHTS");
  command->add_option("--plan", o->plan, "also what tl finetune --method would freeze")
      ->type_name("features|head|last:N|full|two-stage|gradual");
  command->add_flag("--json", o->json, "one JSON document on standard output");
  command->footer("Example: tl inspect resnet18.onnx");
  command->callback([o, &chosen] { chosen = [o] { inspect(*o); }; });
}

}  // namespace program
