// tl export and tl inspect on files of weights: round trips, what is found out about them, what is refused.
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/data/preprocess.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/pth.hpp>
#include <tl/io/safetensors.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/init.hpp>

#include "programs/program.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;

namespace {

/// A small network of three classes, its weights as a file, and names of its classes.
struct Place {
  TemporaryFolder folder;
  std::shared_ptr<models::ResNet<float>> network;
  std::string weights = folder / "weights.safetensors";
  std::string labels = folder / "labels.txt";

  Place() {
    const RandomScope scope(1, 0);
    network = models::resnet_small<float>(3);
    network->eval();
    io::NamedTensors content;
    for (const auto& list : {network->parameters(), network->buffers()}) {
      for (const nn::Named<float>& n : list) content.tensors[n.name] = n.var.value();
    }
    io::write_safetensors(weights, content);
    write_file_atomically(labels, "cat\ndog\r\npanda\n");
  }
  std::string path(std::string_view name) const { return folder / name; }
  bool has(const std::string& name) const { return std::filesystem::exists(folder / name); }
};

std::string pth_fixture(std::string_view name) { return source_path("tests/fixtures/pth") / name; }

/// A note says what is missing, and nothing else is said.
void check_done(const std::vector<std::string>& arguments, const std::string& part,
                const std::string& missing = "") {
  CAPTURE(arguments);
  const Outcome o = tl_program(arguments);
  CAPTURE(o.err);
  CHECK(o.status == 0);
  CHECK(o.err.empty() == missing.empty());
  CHECK_THAT(o.err, contains(missing));
  CHECK_THAT(o.out, contains(part));
}

}  // namespace

TEST_CASE("tl export: weights become a network, found by names and shapes, with labels and preprocessing") {
  const Place p;
  const std::string spec = "resize=64,crop=56,mean=127,std=128,rgb";
  check_done({"export", p.weights, p.path("out.onnx"), "--labels", p.labels, "--preprocess", spec},
             "resnet_small, 3 classes; 102 tensors loaded: all of the network and of the file\nwritten: ");
  const Model<float> model = onnx::load<float>(p.path("out.onnx"));
  CHECK(io::labels(model.metadata()) == std::vector<std::string>{"cat", "dog", "panda"});
  CHECK(data::Preprocess::parse(io::preprocess_spec(model.metadata())) == data::Preprocess::parse(spec));
  CHECK(model.graph().value(model.graph().inputs()[0]).shape == Shape{1, 3, 56, 56});
  CHECK(model.buffers().size() == p.network->buffers().size());  // batch normalisation is there

  const Tensor<float> x = nn::random_uniform<float>({2, 3, 56, 56}, 1, Rng(3));
  const NoGrad no_grad;
  const NodeByNode as_it_stands;
  CHECK(same_bits(model.predict(x), p.network->forward(Var<float>(x)).value()));
}

TEST_CASE("tl export: a network's weights come back from safetensors with the same bits") {
  const Place p;
  check_done({"export", p.weights, p.path("a.onnx"), "--model", "resnet_small", "--labels", p.labels},
             "resnet_small, 3 classes", "note: nothing says how images are prepared: --preprocess puts");
  check_done({"export", p.path("a.onnx"), p.path("b.safetensors")}, "102 tensors\nwritten: ");
  check_done({"export", p.path("b.safetensors"), p.path("c.onnx")}, "resnet_small, 3 classes",
             "--preprocess");
  const io::NamedTensors before = io::read_safetensors(p.weights);
  const io::NamedTensors after = io::read_safetensors(p.path("b.safetensors"));
  REQUIRE(after.tensors.size() == before.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    INFO(name);
    CHECK(same_bits(after.tensors.at(name), tensor));
  }
  CHECK(read_file(p.path("c.onnx")) == read_file(p.path("a.onnx")));  // the labels went along
  check_done({"export", p.path("a.onnx"), p.path("d.onnx"), "--preprocess", "resize=64x64"}, "written: ");
  CHECK(io::preprocess_spec(onnx::load<float>(p.path("d.onnx")).metadata()) ==
        data::Preprocess::parse("resize=64x64").to_string());
}

TEST_CASE("tl export: PyTorch's weights become safetensors under their own names") {
  const Place p;
  check_done({"export", pth_fixture("state.pth"), p.path("state.safetensors")}, "10 tensors\nwritten: ");
  const io::NamedTensors expected = io::read_pth(pth_fixture("state.pth"));
  const io::NamedTensors got = io::read_safetensors(p.path("state.safetensors"));
  REQUIRE(got.tensors.size() == expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) CHECK(same_bits(got.tensors.at(name), tensor));
}

TEST_CASE("tl export: what cannot be is refused, and nothing is written") {
  const Place p;
  const std::string out = p.path("out.onnx"), resnet = pth_fixture("resnet.pth");
  check_refused({"export", p.weights}, "OUT is required");
  check_refused({"export", p.weights, p.path("out.bin")}, "expected OUT to end in .onnx or .safetensors");
  check_refused({"export", p.labels, out}, "expected IN to end in .onnx, .pth, .pt or .safetensors");
  check_refused({"export", p.path("none.pth"), out}, "none.pth': No such file");
  check_refused({"export", pth_fixture("model.pth"), out}, "asks for torch.nn.modules.linear.Linear");
  check_refused({"export", resnet, out}, "the tensors of no network that tl knows");
  check_refused({"export", resnet, out, "--model", "resnet18"},
                "conv1.weight: expected (64,3,7,7), got (4,3,7,7)");
  check_refused({"export", resnet, out, "--model", "resnet19"}, "expected one of resnet_small, resnet18,");
  check_refused({"export", resnet, out, "--model", "efficientnet_lite0"}, "has no 'classifier.weight'");
  check_refused({"export", p.weights, p.path("out.safetensors"), "--model", "resnet_small"},
                "--model is for weights");
  check_refused({"export", p.weights, out, "--preprocess", "resize=x"}, "resize=x");
  write_file_atomically(p.labels, "cat\ndog\n");
  check_refused({"export", p.weights, out, "--labels", p.labels},
                "name 2 classes, but the network's output is (1,3)");
  write_file_atomically(p.labels, "cat\n\ndog\n");
  check_refused({"export", p.weights, out, "--labels", p.labels}, "line 2: expected the name of a class");
  io::NamedTensors part = io::read_safetensors(p.weights);
  part.tensors.erase("bn1.weight");
  io::write_safetensors(p.weights, part);
  check_refused({"export", p.weights, out, "--model", "resnet_small"}, "1 missing in the file: bn1.weight");
  CHECK(!p.has("out.onnx"));
  CHECK(!p.has("out.safetensors"));
}

TEST_CASE("tl export: a reference that tl doctor compares with, and folded batch normalisation") {
  const Place p;
  check_done({"export", p.weights, p.path("kept.onnx"), "--reference"}, "written", "--preprocess");
  check_done({"doctor", p.path("kept.onnx")}, "agrees within");
  check_done({"export", p.path("kept.onnx"), p.path("folded.onnx"), "--fold", "--reference"}, "written");
  check_done({"doctor", p.path("folded.onnx")}, "agrees within");
  const Model<float> folded = onnx::load<float>(p.path("folded.onnx"));
  CHECK(folded.buffers().empty());
  const Tensor<float> x = hash_tensor<float>("x", {2, 3, 64, 64});
  CHECK(relative_difference(folded.predict(x), onnx::load<float>(p.path("kept.onnx")).predict(x)) < 1e-5);
  check_refused({"export", p.weights, p.path("out.safetensors"), "--fold"}, "--fold and --reference are for");
}

TEST_CASE("tl inspect: the tensors of a file of weights, and the network they fit") {
  const Place p;
  check_done({"inspect", p.weights}, "network        resnet_small, 3 classes\n");
  check_done({"inspect", p.weights}, "conv1.weight                        (32,3,3,3)          864\n");
  const Outcome o = tl_program({"inspect", pth_fixture("resnet.pth"), "--json"});
  REQUIRE(o.status == 0);
  const Json json = Json::parse(o.out);
  CHECK(json["tensors"].size() == 62);
  CHECK(json["tensors"][0] == Json{{"name", "bn1.bias"}, {"shape", {4}}});
  CHECK(json["network"].is_null());
  check_refused({"inspect", p.labels + ".pth"}, "No such file");
}

TEST_CASE("tl: a file of weights is not yet a network") {
  const Place p;
  for (const std::string command : {"predict", "evaluate", "bench", "run"}) {
    std::vector<std::string> arguments{command, p.weights};
    if (command == "predict" || command == "evaluate") arguments.push_back(p.folder.path());
    if (command == "run") arguments.insert(arguments.end(), {"--input", "x.npy", "--output", "y.npy"});
    check_refused(arguments, "holds weights without a network: tl export makes an .onnx file of it");
  }
}
