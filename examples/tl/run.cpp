// tl run: raw tensors through a network, in the layout its file declares.
#include <algorithm>
#include <limits>

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

template <class T>
std::string names_of(const tl::Graph<T>& graph, const std::vector<tl::ValueId>& ids) {
  std::string names;
  for (const tl::ValueId id : ids) names += (names.empty() ? "'" : ", '") + graph.value(id).name + "'";
  return names;
}

/// "NAME=FILE", or "FILE" where there is one value only.
template <class T>
Binding find_binding(const tl::Graph<T>& graph, const std::vector<tl::ValueId>& ids, const std::string& flag,
                     const std::string& text) {
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

/// Whole numbers, such as those of words, are taken where a T holds them exactly.
template <class T>
tl::Tensor<T> read_tensor(const std::filesystem::path& path) {
  if (!holds_whole_numbers(path)) return tl::io::read_npy<T>(path);
  const auto numbers = tl::io::read_npy<std::int64_t>(path);
  auto x = tl::Tensor<T>::empty(numbers.shape());
  constexpr std::int64_t largest = std::int64_t{1} << std::numeric_limits<T>::digits;
  for (Index i = 0; i < x.size(); ++i) {
    const std::int64_t value = numbers.data()[i];
    TL_CHECK(value >= -largest && value <= largest, "'", path.string(), "' holds ", value,
             ": expected whole numbers of at most ", largest);
    x.mutable_data()[i] = static_cast<T>(value);
  }
  return x;
}

/// The extents are what the file declares, but for the batch where it is open.
template <class T>
void check_shape(const tl::Graph<T>& graph, const Binding& binding, const tl::Shape& shape) {
  const tl::GraphValue<T>& input = graph.value(binding.id);
  const tl::Shape& declared = input.shape;
  bool fits = shape.rank() == declared.rank();
  std::string expected = "(";
  for (int axis = 0; axis < declared.rank(); ++axis) {
    const bool is_batch = axis == 0 && graph.open_batch, is_open = is_batch || declared[axis] == 0;
    fits = fits && (is_open || declared[axis] == shape[axis]);
    expected += axis > 0 ? "," : "";
    expected += is_batch ? "N" : is_open ? "any" : std::to_string(declared[axis]);
  }
  TL_CHECK(fits, "input '", input.name, "' expects ", expected, "), but '", binding.path.string(), "' holds ",
           shape);
}

template <class T>
std::vector<tl::Var<T>> read_inputs(const tl::Graph<T>& graph, const Options& o) {
  std::vector<tl::Var<T>> inputs(graph.inputs().size());
  for (const std::string& text : o.inputs) {
    const Binding binding = find_binding(graph, graph.inputs(), "--input", text);
    const auto at = std::find(graph.inputs().begin(), graph.inputs().end(), binding.id);
    tl::Var<T>& input = inputs[static_cast<std::size_t>(at - graph.inputs().begin())];
    TL_CHECK(!input.defined(), "--input ", text, ": this input was given before");
    tl::Tensor<T> x = read_tensor<T>(binding.path);
    check_shape(graph, binding, x.shape());
    input = tl::Var<T>(std::move(x));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = graph.value(graph.inputs()[i]).name;
    TL_CHECK(inputs[i].defined(), "there is no value for input '", name, "': give --input ", name,
             "=FILE.npy");
  }
  return inputs;
}

/// The network; where it cannot be read without the values of its integer inputs, with them.
template <class T>
tl::Graph<T> load(Options& o) {
  try {
    return tl::onnx::load_graph<T>(o.model);
  } catch (const tl::Error&) {
    tl::onnx::LoadOptions<T> options;
    std::vector<std::string> rest;
    for (const std::string& text : o.inputs) {
      const std::size_t equals = text.find('=');
      if (equals != std::string::npos && holds_whole_numbers(text.substr(equals + 1))) {
        options.whole_numbers[text.substr(0, equals)] =
            tl::io::read_npy<std::int64_t>(text.substr(equals + 1));
      } else {
        rest.push_back(text);
      }
    }
    if (options.whole_numbers.empty()) throw;
    tl::Graph<T> graph = tl::onnx::load_graph<T>(o.model, options);
    o.inputs = std::move(rest);
    return graph;
  }
}

template <class T>
void run(Options o) {
  const QuietOutput quiet_output;
  const tl::Graph<T> graph = load<T>(o);
  std::vector<Binding> outputs;
  std::vector<tl::ValueId> wanted;
  for (const std::string& text : o.outputs) {
    outputs.push_back(find_binding(graph, graph.outputs(), "--output", text));
    wanted.push_back(outputs.back().id);
  }
  const std::vector<tl::Var<T>> inputs = read_inputs(graph, o);
  const tl::NoGrad no_grad;
  const std::vector<tl::Var<T>> results = graph.run_until(inputs, {}, wanted);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    tl::io::write_npy(outputs[i].path, results[i].value());
    std::cout << printable(outputs[i].path.string()) << ": " << printable(graph.value(wanted[i]).name) << ' '
              << results[i].shape() << '\n';
  }
}

/// A file of doubles is computed in double.
bool is_of_doubles(const std::filesystem::path& path) {
  const tl::onnx::ModelProto model = tl::onnx::read_model(path);
  return std::any_of(model.graph.inputs.begin(), model.graph.inputs.end(), [](const auto& input) {
    return input.type.tensor.elem_type == tl::onnx::DataType::float64;
  });
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
  command->add_option("--output", o->outputs, "y.npy to write, or NAME=y.npy for each wanted")
      ->required()
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_threads(*command, o->threads);
  command->footer("Example: tl run resnet18.onnx --input x.npy --output logits.npy");
  command->callback([o, &chosen] {
    chosen = [o] {
      use_threads(o->threads);
      check_is_network(o->model);
      is_of_doubles(o->model) ? run<double>(*o) : run<float>(*o);
    };
  });
}

}  // namespace program
