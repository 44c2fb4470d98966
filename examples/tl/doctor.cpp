// tl doctor: whether a network computes what it should, and if not, where it begins to differ.
#include <tl/io/npy.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/reference.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model, input, output;
  double tolerance = 1e-4;
  bool json = false;
  int threads = 0;
};

/// Values that were compared, and how they differ.
struct Comparison {
  Index compared = 0;
  double worst = 0;       ///< largest difference over the largest size
  std::string at, first;  ///< where it is, and the first value beyond the tolerance; empty for none

  void add(const std::string& name, double difference, double tolerance) {
    ++compared;
    if (difference > worst || compared == 1) worst = difference, at = name;
    if (!(difference <= tolerance) && first.empty()) first = name;
  }
};

struct Findings {
  std::string input;                    ///< where the input came from
  tl::Shape shape;                      ///< of the input
  Comparison layers;                    ///< float against double, node by node
  double network = 0;                   ///< as it is run, fused, against double
  std::optional<double> output;         ///< against the output that it must give
  std::optional<Comparison> reference;  ///< layers against those in the file
};

/// The input to compare with: of the flag, of the file, or made.
tl::Tensor<float> choose_input(const Options& o, const tl::Graph<float>& graph, Findings& f) {
  if (!o.input.empty()) {
    f.input = o.input.string();
    return tl::io::read_npy<float>(o.input);
  }
  if (tl::io::has_reference(graph.metadata)) {
    f.input = "the reference in the file";
    return tl::io::reference(graph.metadata).input;
  }
  f.input = "made of random squares";
  const tl::GraphValue<float>& input = graph.value(graph.inputs().at(0));
  const Index batch = graph.open_batch ? 1 : input.shape[0];
  return tl::io::reference_input(input_shape(input, batch, image_size(input, find_preprocess({}, graph))));
}

/// The largest elements that each node reads, which its rounding errors are measured by: of numbers that
/// nearly cancel, little is left.
std::vector<double> scales_of(const tl::Graph<float>& graph, const std::vector<tl::Tensor<float>>& values) {
  std::map<tl::ValueId, double> largest;
  std::vector<double> scales;
  for (std::size_t n = 0; n < values.size(); ++n) {
    const tl::GraphNode<float>& node = graph.nodes()[n];
    double scale = 0;
    for (const tl::ValueId id : node.inputs) {
      const auto it = largest.find(id);
      if (it != largest.end()) scale = std::max(scale, it->second);
    }
    scales.push_back(scale);
    largest[node.output] = tl::io::fingerprint("", values[n]).largest;
  }
  return scales;
}

void compare_with_reference(const Options& o, const tl::Graph<float>& graph,
                            const std::vector<tl::Tensor<float>>& values, const std::vector<double>& scales,
                            const tl::Tensor<float>& result, Findings& f) {
  if (!o.output.empty()) f.output = tl::io::relative_difference(result, tl::io::read_npy<float>(o.output));
  if (!o.input.empty() || !tl::io::has_reference(graph.metadata)) return;
  const tl::io::Reference reference = tl::io::reference(graph.metadata);
  if (o.output.empty()) f.output = tl::io::relative_difference(result, reference.output);
  std::map<std::string, std::size_t> nodes;
  for (std::size_t n = 0; n < values.size(); ++n) nodes[graph.value(graph.nodes()[n].output).name] = n;
  f.reference.emplace();
  for (const tl::io::Fingerprint& want : reference.layers) {
    const auto it = nodes.find(want.name);
    if (it == nodes.end()) continue;  // a layer that the file writes otherwise
    const auto got = tl::io::fingerprint(want.name, values[it->second]);
    f.reference->add(want.name, tl::io::relative_difference(got, want, scales[it->second]), o.tolerance);
  }
}

Findings examine(const Options& o) {
  check_is_network(o.model);
  const tl::onnx::ModelProto file = tl::onnx::read_model(o.model);
  const tl::Graph<float> graph = tl::onnx::load_graph<float>(o.model);
  TL_CHECK(graph.inputs().size() == 1 && graph.outputs().size() == 1,
           "expected a network with one input and one output, got ", graph.inputs().size(), " and ",
           graph.outputs().size(), ": compare its outputs with tl run");
  Findings f;
  const tl::Tensor<float> x = choose_input(o, graph, f);
  f.shape = x.shape();
  const std::vector<tl::Tensor<float>> values = tl::io::layer_values(graph, x);
  const std::vector<double> scales = scales_of(graph, values);
  const tl::Tensor<float> result = tl::Model<float>(graph).predict(x);
  {
    const auto exact = tl::onnx::to_graph<double>(file, o.model.parent_path());
    const std::vector<tl::Tensor<double>> wide = tl::io::layer_values(exact, x.cast<double>());
    for (std::size_t n = 0; n < values.size(); ++n) {
      const tl::GraphNode<double>& node = exact.nodes()[n];
      f.layers.add(exact.value(node.output).name, tl::io::relative_difference(values[n], wide[n], scales[n]),
                   o.tolerance);
      if (node.output == exact.outputs()[0]) f.network = tl::io::relative_difference(result, wide[n]);
    }
  }
  compare_with_reference(o, graph, values, scales, result, f);
  return f;
}

/// What is wrong, empty where nothing is.
std::string verdict(const Findings& f, double tolerance) {
  if (f.reference && !f.reference->first.empty())
    return "differs from the reference in the file, from the layer '" + f.reference->first + "' on";
  if (f.output && !(*f.output <= tolerance)) return "its output differs from the one it must give";
  if (!f.layers.first.empty()) return "float differs from double, from the layer '" + f.layers.first + "' on";
  if (!(f.network <= tolerance)) return "the fused network differs from the one computed node by node";
  return "";
}

std::string scientific(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

Json to_json(const Comparison& c) {
  return {{"compared", c.compared}, {"largest", c.worst}, {"at", c.at}, {"first_that_differs", c.first}};
}

void print(const Findings& f) {
  std::cout << "input      " << printable(f.input) << ' ' << f.shape << "\n"
            << "layers     " << scientific(f.layers.worst) << "  float against double, " << f.layers.compared
            << " values, largest at '" << printable(f.layers.at) << "'\n"
            << "network    " << scientific(f.network) << "  as it is run, against double\n";
  if (f.reference)
    std::cout << "reference  " << scientific(f.reference->worst) << "  " << f.reference->compared
              << " values in the file, largest at '" << printable(f.reference->at) << "'\n";
  if (f.output) std::cout << "output     " << scientific(*f.output) << "  against the one it must give\n";
}

void doctor(const Options& o) {
  use_threads(o.threads);
  TL_CHECK(o.input.empty() == o.output.empty(), "--input and --output belong together: give both");
  const Findings f = examine(o);
  const std::string wrong = verdict(f, o.tolerance);
  if (o.json) {
    print_json({{"file", o.model.string()},
                {"input", f.input},
                {"tolerance", o.tolerance},
                {"layers", to_json(f.layers)},
                {"network", f.network},
                {"output", f.output ? Json(*f.output) : Json()},
                {"reference", f.reference ? to_json(*f.reference) : Json()},
                {"agrees", wrong.empty()}});
  } else {
    print(f);
  }
  if (!wrong.empty()) throw Failure("'" + o.model.string() + "' " + wrong);
  if (!o.json)
    std::cout << "agrees within " << scientific(o.tolerance)
              << (f.output ? "" : "; the file has no reference: tl export --reference makes one") << '\n';
}

}  // namespace

void add_doctor(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("doctor", "Whether a network computes what it should, and where not");
  add_model(*command, o->model);
  command->add_option("--input", o->input, "x.npy in place of the reference in the file")->type_name("FILE");
  command->add_option("--output", o->output, "y.npy that the network must give for it")->type_name("FILE");
  command->add_option("--tolerance", o->tolerance, "largest difference over the largest value")
      ->check(between(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--json", o->json, "one JSON document on standard output");
  add_threads(*command, o->threads);
  command->footer("Example: tl doctor resnet18.onnx");
  command->callback([o, &chosen] { chosen = [o] { doctor(*o); }; });
}

}  // namespace program
