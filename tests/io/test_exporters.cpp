// Graphs as exporters write them (tests/fixtures/onnx): each loads into named, trainable parameters and gives
// the logits recorded by onnxruntime, or by the PyTorch module for graphs exported in training mode. Weights
// come from the hash (tests/fixtures/README.md).
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>

#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;

namespace {

std::string external_entry(const onnx::TensorProto& tensor, std::string_view key) {
  for (const auto& [name, value] : tensor.external_data) {
    if (name == key) return value;
  }
  return {};
}

/// A graph with hashed weights: inside the model, or in files beside it where the exporter put them there.
class FilledModel {
 public:
  explicit FilledModel(const std::string& file)
      : path_(folder_ / file), proto_(onnx::read_model(source_path("tests/fixtures/onnx/" + file))) {
    std::map<std::string, std::string> beside;
    for (onnx::TensorProto& tensor : proto_.graph.initializers) {
      double scale = 0, offset = 0;
      if (std::sscanf(tensor.doc_string.c_str(), "fill: scale=%lf, offset=%lf", &scale, &offset) != 2)
        continue;
      filled_.push_back(tensor.name);
      const Tensor<float> values = hash_tensor<float>(tensor.name, onnx::shape_of(tensor), scale, offset);
      const std::string_view bytes(reinterpret_cast<const char*>(values.data()),
                                   static_cast<std::size_t>(values.size()) * sizeof(float));
      if (!tensor.is_external) {
        tensor.raw_data = bytes_.emplace_back(bytes);
        continue;
      }
      std::string& to = beside[external_entry(tensor, "location")];
      const std::size_t at = std::stoull(external_entry(tensor, "offset"));
      to.resize(std::max(to.size(), at + bytes.size()));
      std::memcpy(to.data() + at, bytes.data(), bytes.size());
    }
    for (const auto& [name, bytes] : beside) write_file_atomically(folder_ / name, bytes);
    if (!beside.empty()) onnx::write_model(proto_, path_);
    is_external_ = !beside.empty();
  }

  Graph<float> graph() const {
    return is_external_ ? onnx::load_graph<float>(path_) : onnx::to_graph<float>(proto_, folder_.path());
  }
  const std::vector<std::string>& filled() const { return filled_; }

  /// The initializers that BatchNormalization reads as running mean or variance, directly or moved.
  std::set<std::string> statistics() const {
    std::set<std::string> names;
    for (auto node = proto_.graph.nodes.rbegin(); node != proto_.graph.nodes.rend(); ++node) {
      if (node->op_type == "BatchNormalization") names.insert({node->inputs.at(3), node->inputs.at(4)});
      if (names.count(node->outputs.at(0)) > 0) names.insert(node->inputs.at(0));
    }
    return names;
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_;
  onnx::ModelProto proto_;
  std::deque<std::string> bytes_;
  std::vector<std::string> filled_;
  bool is_external_ = false;
};

/// The largest difference of the sampled logits, relative to the largest logit.
double difference(const Tensor<float>& logits, const Json& wanted) {
  const std::vector<Index> extents = wanted["shape"];
  REQUIRE(logits.shape() == Shape(std::span<const Index>(extents)));
  double worst = 0;
  for (std::size_t i = 0; i < wanted["index"].size(); ++i) {
    const double value = logits.plain().data()[wanted["index"][i].get<Index>()];
    worst = std::max(worst, std::abs(value - wanted["values"][i].get<double>()));
  }
  return worst / wanted["max_abs"].get<double>();
}

Tensor<float> input_of(const Json& run) {
  const std::vector<Index> extents = run["input"]["shape"];
  return hash_tensor<float>(run["input"]["name"].get<std::string>(), Shape(std::span<const Index>(extents)));
}

void check_graph(const Json& entry) {
  const FilledModel file(entry["file"]);
  Model<float> model(file.graph());

  CHECK(file.filled().size() == entry["filled"].get<std::size_t>());
  std::map<std::string, bool> trained;
  for (const auto& p : model.parameters()) trained[p.name] = p.var.requires_grad();
  for (const auto& b : model.buffers()) trained[b.name] = false;
  const std::set<std::string> statistics = file.statistics();
  for (const std::string& name : file.filled()) {
    CAPTURE(name);
    REQUIRE(trained.count(name) == 1);
    CHECK(trained[name] == (statistics.count(name) == 0));
  }

  const bool exported_for_training = entry.contains("runs_inference");
  for (const Json& run : entry[exported_for_training ? "runs_inference" : "runs"])
    CHECK(difference(model.predict(input_of(run)), run["logits"]) < 1e-4);
  if (exported_for_training) {
    const NoGrad no_grad;
    model.train();
    for (const Json& run : entry["runs"])
      CHECK(difference(model.forward(Var<float>(input_of(run))).value(), run["logits"]) < 1e-4);
  }

  const std::string saved = onnx::encode(model.graph());
  const Graph<float> again = onnx::to_graph<float>(onnx::decode_model(saved, "saved"), ".");
  CHECK(onnx::encode(again) == saved);
}

void check_catalogue(const std::string& name, const std::string& model) {
  const Json catalogue = Json::parse(read_file(source_path("tests/fixtures/onnx/" + name)));
  int checked = 0;
  for (const Json& entry : catalogue["graphs"]) {
    const std::string file = entry["file"];
    if (file.rfind(model, 0) != 0) continue;
    INFO(file);
    check_graph(entry);
    ++checked;
  }
  CHECK(checked > 0);
}

}  // namespace

TEST_CASE("exporters: PyTorch, a small ResNet with shape arithmetic", "[onnx]") {
  check_catalogue("torch.json", "cifar20");
}
TEST_CASE("exporters: PyTorch, ResNet-18", "[onnx]") { check_catalogue("torch.json", "resnet18"); }
TEST_CASE("exporters: PyTorch, ResNet-34", "[onnx]") { check_catalogue("torch.json", "resnet34"); }
TEST_CASE("exporters: PyTorch, ResNet-50", "[onnx]") { check_catalogue("torch.json", "resnet50"); }
TEST_CASE("exporters: Keras through tf2onnx", "[onnx]") { check_catalogue("keras.json", "resnet"); }
