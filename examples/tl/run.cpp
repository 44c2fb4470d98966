// tl run: raw tensors through a network, in the layout its file declares.
#include <algorithm>

#include <tl/io/npy.hpp>
#include <tl/io/onnx/load.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model;
  std::vector<std::string> inputs, outputs;
  int threads = 0;
};

/// A value of the network and the file that belongs to it.
struct Binding {
  tl::ValueId id;
  std::filesystem::path path;
};

std::string names_of(const tl::Graph<float>& graph, const std::vector<tl::ValueId>& ids) {
  std::string names;
  for (const tl::ValueId id : ids) names += (names.empty() ? "'" : ", '") + graph.value(id).name + "'";
  return names;
}

/// "NAME=FILE", or "FILE" where there is one value only.
Binding find_binding(const tl::Graph<float>& graph, const std::vector<tl::ValueId>& ids,
                     const std::string& flag, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    TL_CHECK(ids.size() == 1, flag, " ", text, ": the network has ", ids.size(), ": write ", flag,
             " NAME=FILE for each of ", names_of(graph, ids));
    return {ids[0], text};
  }
  const std::string name = text.substr(0, equals);
  for (const tl::ValueId id : ids) {
    if (graph.value(id).name == name) return {id, text.substr(equals + 1)};
  }
  tl::fail(flag, " ", text, ": the network has no '", name, "': expected one of ", names_of(graph, ids));
}

bool holds_whole_numbers(const std::filesystem::path& path) {
  const std::string bytes = tl::read_file(path);
  try {
    return tl::io::npy_header(bytes).descr == "<i8";
  } catch (const tl::Error&) {
    return false;  // reading it as real numbers will tell what is wrong, with the file's name
  }
}

/// Whole numbers, such as those of words, are taken where a float holds them exactly.
tl::Tensor<float> read_tensor(const std::filesystem::path& path) {
  if (!holds_whole_numbers(path)) return tl::io::read_npy<float>(path);
  const auto numbers = tl::io::read_npy<std::int64_t>(path);
  auto x = tl::Tensor<float>::empty(numbers.shape());
  constexpr std::int64_t largest = 1 << 24;
  for (Index i = 0; i < x.size(); ++i) {
    const std::int64_t value = numbers.data()[i];
    TL_CHECK(value >= -largest && value <= largest, "'", path.string(), "' holds ", value,
             ": expected whole numbers of at most ", largest);
    x.mutable_data()[i] = static_cast<float>(value);
  }
  return x;
}

/// The batch is open; other extents are what the file declares.
void check_shape(const tl::GraphValue<float>& input, const Binding& binding, const tl::Shape& shape) {
  const tl::Shape& declared = input.shape;
  bool fits = shape.rank() == declared.rank();
  for (int axis = 1; fits && axis < declared.rank(); ++axis)
    fits = declared[axis] == 0 || declared[axis] == shape[axis];
  std::string expected = declared.empty() ? "()" : "(N";
  for (int axis = 1; axis < declared.rank(); ++axis)
    expected += "," + (declared[axis] > 0 ? std::to_string(declared[axis]) : std::string("any"));
  TL_CHECK(fits, "input '", input.name, "' expects ", expected, declared.empty() ? "" : ")", ", but '",
           binding.path.string(), "' holds ", shape);
}

std::vector<tl::Var<float>> read_inputs(const tl::Graph<float>& graph, const Options& o) {
  std::vector<tl::Var<float>> inputs(graph.inputs().size());
  for (const std::string& text : o.inputs) {
    const Binding binding = find_binding(graph, graph.inputs(), "--input", text);
    const auto at = std::find(graph.inputs().begin(), graph.inputs().end(), binding.id);
    tl::Var<float>& input = inputs[static_cast<std::size_t>(at - graph.inputs().begin())];
    TL_CHECK(!input.defined(), "--input ", text, ": this input was given before");
    tl::Tensor<float> x = read_tensor(binding.path);
    check_shape(graph.value(binding.id), binding, x.shape());
    input = tl::Var<float>(std::move(x));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = graph.value(graph.inputs()[i]).name;
    TL_CHECK(inputs[i].defined(), "there is no value for input '", name, "': give --input ", name,
             "=FILE.npy");
  }
  return inputs;
}

void run(const Options& o) {
  use_threads(o.threads);
  const tl::Graph<float> graph = tl::onnx::load_graph<float>(o.model);
  std::vector<Binding> outputs;
  std::vector<tl::ValueId> wanted;
  for (const std::string& text : o.outputs) {
    outputs.push_back(find_binding(graph, graph.outputs(), "--output", text));
    wanted.push_back(outputs.back().id);
  }
  const std::vector<tl::Var<float>> inputs = read_inputs(graph, o);
  const tl::NoGrad no_grad;
  const std::vector<tl::Var<float>> results = graph.run_until(inputs, {}, wanted);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    tl::io::write_npy(outputs[i].path, results[i].value());
    std::cout << printable(outputs[i].path.string()) << ": " << printable(graph.value(wanted[i]).name) << ' '
              << results[i].shape() << '\n';
  }
}

}  // namespace

void add_run(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "Raw tensors in and out of a network, as .npy files");
  add_model(*command, o->model);
  command->add_option("--input", o->inputs, "x.npy, or NAME=x.npy for each of several inputs")
      ->required()
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->add_option("--output", o->outputs, "y.npy to write, or NAME=y.npy for any of several outputs")
      ->required()
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_threads(*command, o->threads);
  command->footer("Example: tl run resnet18.onnx --input x.npy --output logits.npy");
  command->callback([o, &chosen] { chosen = [o] { run(*o); }; });
}

}  // namespace program
