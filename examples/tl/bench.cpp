// tl bench: images a second through a network, in inference or in training.
#include <algorithm>
#include <chrono>
#include <functional>

#include <tl/core/memory.hpp>
#include <tl/core/parallel.hpp>
#include <tl/graph/fuse.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/kernels/isa.hpp>
#include <tl/optim/groups.hpp>

#include "commands.hpp"
#include "common.hpp"

namespace program {

namespace {

struct Options {
  std::filesystem::path model;
  Index batch = 16, size = 0;
  double seconds = 3;
  bool train = false, json = false;
  int threads = 0;
};

struct Figures {
  tl::Shape input;
  std::vector<double> seconds{};  ///< of each batch, sorted
  std::size_t peak_bytes = 0;

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
  tl::MemoryPool::instance().reset_peak();
  const std::function<void()> step = make_step(model, random_images(f.input), o.train);
  step();  // fills caches, packs weights
  constexpr std::size_t fewest = 3;
  const auto begin = Clock::now();
  for (double passed = 0; passed < o.seconds || f.seconds.size() < fewest;) {
    const auto start = Clock::now();
    step();
    const auto end = Clock::now();
    f.seconds.push_back(std::chrono::duration<double>(end - start).count());
    passed = std::chrono::duration<double>(end - begin).count();
  }
  std::sort(f.seconds.begin(), f.seconds.end());
  f.peak_bytes = tl::MemoryPool::instance().peak_bytes();
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
}

Json to_json(const Options& o, const Figures& f) {
  const auto ms = [&](double q) { return 1000 * f.quantile(q); };
  return {{"model", o.model.string()},
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
}

void bench(const Options& o) {
  use_threads(o.threads);
  const tl::Graph<float> graph = tl::onnx::load_graph<float>(o.model);
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
  command->add_option("--size", o->size, "height and width of the images (what the file declares)")
      ->check(between(1, 10'000))
      ->type_name("N");
  command->add_option("--seconds", o->seconds, "to measure for, three batches at least (3)")
      ->check(between(0.0, 86'400.0))
      ->type_name("S");
  command->add_flag("--train", o->train, "training steps: forward, backward and update");
  command->add_flag("--json", o->json, "one JSON document on standard output");
  add_threads(*command, o->threads);
  command->footer("Example: tl bench resnet18.onnx --batch 1");
  command->callback([o, &chosen] { chosen = [o] { bench(*o); }; });
}

}  // namespace program
