// tl bench: images a second through a network, in inference or in training.
#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>

#include <tl/core/memory_fit.hpp>
#include <tl/core/parallel.hpp>
#include <tl/graph/fuse.hpp>
#include <tl/graph/memory.hpp>
#include <tl/kernels/conv_plan.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/optim/groups.hpp>
#include <tl/optim/sgd.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model;
  Index batch = 16, size = 0;
  double seconds = 3;
  bool train = false, layers = false, json = false;
  int threads = 0;
};

/// What one operation of the network takes.
struct LayerFigures {
  std::string operation, kernel{}, algorithm{};
  tl::Shape output;
  double multiply_adds = 0;       ///< of convolutions and fully connected layers
  std::vector<double> seconds{};  ///< of each run, sorted
  double median() const { return seconds[seconds.size() / 2]; }
  double gigaflops() const { return 2e-9 * multiply_adds / median(); }
};

struct Figures {
  tl::Shape input;
  std::vector<double> seconds{};  ///< of each batch, sorted
  std::size_t peak_bytes = 0;
  std::vector<LayerFigures> layers{};  ///< with --layers

  /// Linear between the two nearest batches.
  double quantile(double q) const {
    const double at = q * static_cast<double>(seconds.size() - 1);
    const auto low = static_cast<std::size_t>(at);
    const double high = seconds[std::min(low + 1, seconds.size() - 1)];
    return seconds[low] + (at - static_cast<double>(low)) * (high - seconds[low]);
  }
  double images_per_second() const { return static_cast<double>(input[0]) / quantile(0.5); }
};

tl::Tensor<float> random_images(const tl::Shape& shape) {
  tl::Tensor<float> x =
      tl::Tensor<float>::empty(shape, shape.rank() == 4 ? tl::Layout::channels_last : tl::Layout::plain);
  tl::Rng rng(1);
  for (Index i = 0; i < x.size(); ++i) x.mutable_data()[i] = static_cast<float>(rng.normal());
  return x;
}

/// One step of what is measured. Training steps have rate 0, so that every one computes the same.
std::function<void()> make_step(tl::Model<float>& model, const tl::Tensor<float>& x, bool train) {
  if (!train) return [&model, x] { model.predict(x); };
  std::vector<tl::optim::ParameterGroup<float>> groups;
  tl::optim::add_groups(groups, model.parameters(), 0.0);
  const auto sgd = std::make_shared<tl::optim::Sgd<float>>(groups);
  const auto labels = tl::Tensor<std::int64_t>::zeros({x.shape(0)});
  return [&model, x, labels, sgd] {
    tl::cross_entropy(model.forward(tl::Var<float>(x)), labels).backward();
    sgd->step();
    sgd->zero_grad();
  };
}

/// Sees the operations of a network one after the other, run after run, and how long each took.
class LayerClock final : public tl::Observer<float> {
 public:
  void start() {
    next_ = 0;
    last_ = Clock::now();
  }
  void executed(const tl::OperationPtr<float>& operation, std::span<const tl::Var<float>> inputs,
                const tl::Var<float>& output) override {
    const auto now = Clock::now();
    if (next_ == layers_.size()) layers_.push_back(describe(*operation, inputs, output.shape()));
    layers_[next_++].seconds.push_back(std::chrono::duration<double>(now - last_).count());
    last_ = Clock::now();
  }
  std::vector<LayerFigures> figures() && {
    for (LayerFigures& layer : layers_) std::sort(layer.seconds.begin(), layer.seconds.end());
    return std::move(layers_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::string describe(const tl::kernels::ConvShape& s) {
    return tl::concat(s.kh, 'x', s.kw, s.stride_h > 1 ? tl::concat(" /", s.stride_h) : "",
                      s.groups > 1 ? tl::concat(", ", s.groups, " groups") : "");
  }
  static LayerFigures describe(const tl::Operation<float>& operation, std::span<const tl::Var<float>> inputs,
                               const tl::Shape& output) {
    LayerFigures f{.operation = std::string(operation.name()), .output = output};
    const auto* fused = operation.get_if<tl::ops::FusedConv2d>();
    const auto* conv = fused != nullptr ? &fused->convolution : operation.get_if<tl::ops::Conv2d>();
    if (conv != nullptr) {
      const tl::kernels::ConvShape s = conv->kernel_shape(inputs[0].shape(), inputs[1].shape(), output);
      f.kernel = describe(s);
      f.algorithm = s.depthwise()   ? "depthwise"
                    : s.pointwise() ? "product"
                                    : tl::kernels::name_of(tl::kernels::conv_plan<float>(s).forward);
      f.multiply_adds = static_cast<double>(s.multiply_adds());
    } else if (const auto* separable = operation.get_if<tl::ops::SeparableConv2d>()) {
      std::vector<tl::Shape> shapes;
      for (const tl::Var<float>& input : inputs) shapes.push_back(input.shape());
      const auto convolutions = separable->kernel_shapes(shapes);
      for (std::size_t i = separable->first ? 0 : 1; i < convolutions.size(); ++i) {
        f.kernel += (f.kernel.empty() ? "" : " - ") + describe(convolutions[i]);
        f.multiply_adds += static_cast<double>(convolutions[i].multiply_adds());
      }
      f.algorithm = separable->by_bands(shapes) ? "by bands" : "one by one";
    } else if (operation.get_if<tl::ops::Linear>() != nullptr) {
      f.multiply_adds = static_cast<double>(output.size() * inputs[1].shape()[1]);
    }
    return f;
  }

  std::vector<LayerFigures> layers_;
  std::size_t next_ = 0;
  Clock::time_point last_;
};

/// Throws where the limit of memory is too low for batches of this shape.
void check_memory(const tl::Model<float>& model, const tl::Shape& input, bool train) {
  if (tl::MemoryPool::instance().limit() == tl::MemoryPool::no_limit || input.rank() != 4) return;
  std::size_t beside = tl::MemoryPool::instance().bytes_in_use();
  const auto bytes_of = [](const tl::Shape& shape) {
    return static_cast<std::size_t>(shape.size()) * sizeof(float);
  };
  for (const auto& p : model.parameters())
    if (train) beside += bytes_of(p.var.shape());  // the optimiser's memory
  using Memory = tl::RunMemory<float>;
  const Memory network(model.graph(), train ? Memory::Pass::training : Memory::Pass::inference);
  tl::check_fits(train ? "training" : "the network", {input[0], input[2], input[3]},
                 [&](const tl::BatchSize& size) {
                   const tl::Shape x{size.images, input[1], size.height, size.width};
                   return beside + bytes_of(x) + network.need(x).bytes();
                 });
}

Figures measure(tl::Model<float>& model, const Options& o) {
  using Clock = std::chrono::steady_clock;
  const tl::Graph<float>& graph = model.graph();
  const tl::GraphValue<float>& input = only_input(graph);
  const tl::data::Size size =
      o.size > 0 ? tl::data::Size{o.size, o.size} : image_size(input, find_preprocess({}, graph));
  Figures f{.input = input_shape(input, o.batch, size)};
  try {
    graph.infer(std::span(&f.input, 1));
  } catch (const tl::Error& error) {
    tl::fail("the network does not take batches ", f.input, ": ", error.what());
  }
  model.train(o.train);
  check_memory(model, f.input, o.train);
  tl::MemoryPool::instance().reset_peak();
  const std::function<void()> step = make_step(model, random_images(f.input), o.train);
  step();  // fills caches, packs weights
  constexpr std::size_t fewest = 3;
  std::optional<LayerClock> layers;
  if (o.layers) layers.emplace();
  const auto begin = Clock::now();
  for (double passed = 0; passed < o.seconds || f.seconds.size() < fewest;) {
    if (layers) layers->start();
    const auto start = Clock::now();
    step();
    const auto end = Clock::now();
    f.seconds.push_back(std::chrono::duration<double>(end - start).count());
    passed = std::chrono::duration<double>(end - begin).count();
  }
  std::sort(f.seconds.begin(), f.seconds.end());
  f.peak_bytes = tl::MemoryPool::instance().peak_bytes();
  if (layers) f.layers = std::move(*layers).figures();
  return f;
}

void print(const Options& o, const Figures& f) {
  const auto ms = [&](double q) { return fixed(1000 * f.quantile(q), 1) + " ms"; };
  std::cout << (o.train ? "training" : "inference") << " with batches " << f.input << " on "
            << counted(tl::num_threads(), "thread") << ", " << tl::kernels::name_of(tl::kernels::active_isa())
            << '\n'
            << "images a second  " << fixed(f.images_per_second(), 1) << '\n'
            << "a batch          " << ms(0.5) << " (median of " << f.seconds.size() << "; half of them "
            << ms(0.25) << " to " << ms(0.75) << ", all " << ms(0) << " to " << ms(1) << ")\n"
            << "peak memory      " << fixed(static_cast<double>(f.peak_bytes) / 1e6, 1) << " MB of tensors\n";
  if (f.layers.empty()) return;
  double total = 0;
  for (const LayerFigures& layer : f.layers) total += layer.median();
  Table table(4, {"operation", "kernel", "algorithm", "output", "ms", "share", "GFLOP/s"});
  for (const LayerFigures& layer : f.layers) {
    table.add({layer.operation, layer.kernel, layer.algorithm, tl::concat(layer.output),
               fixed(1000 * layer.median(), 3), percent(layer.median() / total),
               layer.multiply_adds > 0 ? fixed(layer.gigaflops(), 1) : ""});
  }
  std::cout << '\n' << table;
}

Json to_json(const std::vector<LayerFigures>& layers) {
  Json list = Json::array();
  for (const LayerFigures& layer : layers) {
    list.push_back({{"operation", layer.operation},
                    {"kernel", layer.kernel},
                    {"algorithm", layer.algorithm},
                    {"output", std::vector<Index>(layer.output.begin(), layer.output.end())},
                    {"median_ms", 1000 * layer.median()},
                    {"gflops", layer.gigaflops()}});
  }
  return list;
}

Json to_json(const Options& o, const Figures& f) {
  const auto ms = [&](double q) { return 1000 * f.quantile(q); };
  Json j = {{"model", o.model.string()},
            {"train", o.train},
            {"input", std::vector<Index>(f.input.begin(), f.input.end())},
            {"threads", tl::num_threads()},
            {"isa", tl::kernels::name_of(tl::kernels::active_isa())},
            {"repeats", f.seconds.size()},
            {"images_per_second", f.images_per_second()},
            {"batch_ms",
             {{"median", ms(0.5)},
              {"lower_quartile", ms(0.25)},
              {"upper_quartile", ms(0.75)},
              {"least", ms(0)},
              {"most", ms(1)}}},
            {"peak_memory_bytes", f.peak_bytes}};
  if (o.layers) j["layers"] = to_json(f.layers);
  return j;
}

void bench(const Options& o) {
  use_threads(o.threads);
  const tl::Graph<float> graph = load_graph(o.model);
  tl::Model<float> model(o.train ? graph : tl::fused(graph));
  const Figures figures = measure(model, o);
  if (o.json) {
    print_json(to_json(o, figures));
  } else {
    print(o, figures);
  }
}

}  // namespace

void add_bench(CLI::App& app, Command& chosen) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Images a second through a network");
  add_model(*command, o->model);
  command->add_option("--batch", o->batch, "images at a time (16)")
      ->check(between(1, 65'536))
      ->type_name("N");
  command->add_option("--size", o->size, "height and width of images (what the file declares)")
      ->check(between(1, 10'000))
      ->type_name("N");
  command->add_option("--seconds", o->seconds, "to measure for, three batches at least (3)")
      ->check(between(0.0, 86'400.0))
      ->type_name("S");
  command->add_flag("--train", o->train, "training steps: forward, backward and update");
  command->add_flag("--layers", o->layers, "each operation: its algorithm, time and speed")
      ->excludes("--train");
  command->add_flag("--json", o->json, "one JSON document on standard output");
  add_threads(*command, o->threads);
  command->footer("Example: tl bench resnet18.onnx --batch 1");
  command->callback([o, &chosen] { chosen = [o] { bench(*o); }; });
}

}  // namespace program
