// Estimates of memory against what is measured: never below it, and not far above.
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <tl/data/encode.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/models/efficientnet.hpp>
#include <tl/models/resnet.hpp>
#include <tl/optim/groups.hpp>
#include <tl/train/fine_tune.hpp>
#include <tl/train/memory.hpp>
#include <tl/transfer/classifiers/softmax.hpp>
#include <tl/transfer/head.hpp>

#include "support/files.hpp"
#include "support/memory_limit.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using train::FineTuneOptions;
using Pass = RunMemory<float>::Pass;

namespace {

/// What is allowed: an estimate is at least what was measured, at most half as much again and a few MB.
void check_estimate(std::size_t estimate, std::size_t measured) {
  INFO("estimate " << byte_size_text(estimate) << ", measured " << byte_size_text(measured) << ", ratio "
                   << static_cast<double>(estimate) / static_cast<double>(measured));
  CHECK(estimate >= measured);
  CHECK(static_cast<double>(estimate) <= 1.5 * static_cast<double>(measured) + (16 << 20));
}

/// Runs on a thread of its own, whose kernels have no working memory yet.
void on_new_thread(const std::function<void()>& body) {
  std::exception_ptr error;
  std::thread([&] {
    try {
      body();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

std::size_t peak_of(const std::function<void()>& run) {
  MemoryPool& pool = MemoryPool::instance();
  const std::size_t before = pool.bytes_in_use();
  pool.reset_peak();
  run();
  return pool.peak_bytes() - before;
}

using ModelPtr = std::shared_ptr<Model<float>>;

template <class Network>
ModelPtr traced(Network&& network, Index size) {
  return nn::trace<float>(network, Tensor<float>::zeros({1, 3, size, size}));
}

struct Named {
  std::string name;
  std::function<ModelPtr()> make;
};

std::vector<Named> networks() {
  return {{"the network that comes with tl",
           [] {
             return std::make_shared<Model<float>>(
                 onnx::load_graph<float>(source_path("weights/resnet_small.onnx")));
           }},
          {"resnet18", [] { return traced(*models::resnet18<float>(), 64); }},
          {"efficientnet_lite0", [] { return traced(*models::efficientnet_lite0<float>(), 64); }}};
}

}  // namespace

TEST_CASE("the memory of inference is known beforehand") {
  for (const Named& network : networks()) {
    for (const Shape& x : {Shape{1, 3, 64, 64}, Shape{16, 3, 64, 64}, Shape{8, 3, 160, 160}}) {
      on_new_thread([&] {
        const ModelPtr model = network.make();
        INFO(network.name << ' ' << x);
        const std::size_t estimate = RunMemory<float>(model->graph(), Pass::inference).need(x).bytes();
        const Tensor<float> images = Tensor<float>::zeros(x, Layout::channels_last);
        check_estimate(estimate, peak_of([&] { model->predict(images); }));
      });
    }
  }
}

TEST_CASE("the memory of training is known beforehand, whatever is frozen") {
  for (const Named& network : networks()) {
    for (const Index trained : {1, 4, 1000}) {
      for (const Shape& x : {Shape{16, 3, 64, 64}, Shape{4, 3, 128, 128}}) {
        on_new_thread([&] {
          const ModelPtr model = network.make();
          INFO(network.name << ' ' << x << ", " << trained << " layers");
          transfer::freeze_all_but_last(*model, trained);
          const std::size_t estimate = RunMemory<float>(model->graph(), Pass::training).need(x).bytes();
          const Tensor<float> images = Tensor<float>::zeros(x, Layout::channels_last);
          const auto labels = Tensor<std::int64_t>::zeros({x[0]});
          model->train();
          check_estimate(estimate, peak_of([&] {
                           for (int step = 0; step < 2; ++step) {
                             for (const nn::Named<float>& p : model->parameters())
                               Var<float>(p.var).zero_grad();
                             cross_entropy(model->forward(Var<float>(images)), labels).backward();
                           }
                         }));
        });
      }
    }
  }
}

namespace {

/// Three classes of noise.
struct Photos {
  TemporaryFolder folder;
  data::ImageFolder set;

  Photos() {
    for (const std::string name : {"a", "b", "c"}) {
      std::filesystem::create_directory(folder / name);
      for (int i = 0; i < 20; ++i) {
        data::Image image(40, 50);
        hash_fill_bytes(name + std::to_string(i), image);
        data::write_png(folder / name / (std::to_string(i) + ".png"), image);
      }
    }
    set = data::image_folder(folder.path());
  }
  static void hash_fill_bytes(const std::string& name, data::Image& image) {
    for (Index i = 0; i < image.bytes(); ++i)
      image.data()[i] =
          static_cast<std::uint8_t>((hash_value(name, static_cast<std::uint64_t>(i)) + 1) * 128);
  }
};

FineTuneOptions options_of(std::string_view method, const char* steps) {
  FineTuneOptions o;
  o.method = transfer::Method::parse(method);
  o.epochs = 2;
  o.batch_size = 16;
  o.preprocess = data::Preprocess::parse(steps);
  o.fit_head = [](const transfer::Features& features, Index classes) {
    return transfer::fit_softmax(features.values, features.labels, classes).classifier;
  };
  return o;
}

}  // namespace

TEST_CASE("the memory of a fine-tuning is known beforehand") {
  const Photos photos;
  for (const Named& network : networks()) {
    for (const char* method : {"features", "head", "last:4", "full"}) {
      on_new_thread([&] {
        const ModelPtr model = network.make();
        transfer::replace_head(*model, photos.set.classes());
        INFO(network.name << ' ' << method);
        FineTuneOptions o = options_of(method, "resize=64x64,mean=127,std=64");
        o.image_bytes = o.feature_bytes = 0;
        MemoryPool& pool = MemoryPool::instance();
        const std::size_t estimate =
            train::FineTuneMemory<float>(*model, o, {1, 3, 64, 64}, photos.set.train).bytes({16, 64, 64});
        pool.reset_peak();
        train::fine_tune(*model, photos.set, o);
        check_estimate(estimate, pool.peak_bytes());
      });
    }
  }
}

TEST_CASE("a fine-tuning that does not fit is refused before anything is computed, with what would fit") {
  const Photos photos;
  on_new_thread([&] {
    const ModelPtr model = traced(*models::resnet18<float>(), 64);
    transfer::replace_head(*model, photos.set.classes());
    FineTuneOptions o = options_of("full", "resize=64x64,mean=127,std=64");
    MemoryPool& pool = MemoryPool::instance();
    // What is made to look ahead is gone again when it counts.
    const std::size_t bytes =
        train::FineTuneMemory<float>(*model, o, {1, 3, 64, 64}, photos.set.train).bytes({6, 64, 64});
    o.on_note = [](const std::string&) {};
    o.on_features = [](Index, Index) { FAIL("something was computed"); };
    const ScopedLimit limit(bytes);
    std::string message;
    try {
      train::fine_tune(*model, photos.set, o);
    } catch (const MemoryLimitError& error) {
      message = error.what();
    }
    CHECK_THAT(message, contains("training with batches of 16 images of 64x64 pixels takes ") &&
                            contains(": a batch of at most 6 fits, or a size of at most "));
    o.batch_size = 6;
    o.on_features = {};
    pool.reset_peak();
    train::FineTuneResult result = train::fine_tune(*model, photos.set, o);
    CHECK(result.history.size() == 2);
    CHECK(pool.peak_bytes() <= bytes);
  });
}
