// The tl program, started as a user starts it: what it prints, what it refuses, its exit status.
#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/data/encode.hpp>
#include <tl/data/resize.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/npy.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/io/reference.hpp>
#include <tl/nn/layers.hpp>
#include <tl/train/metrics.hpp>

#include "io/onnx_models.hpp"
#include "programs/program.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;

namespace {

const std::string spec = "resize=8x8,mean=0,std=255,rgb";

/// The document on standard output of a command that succeeds and has nothing to say besides.
Json json_of(const std::vector<std::string>& arguments) {
  const Outcome o = tl_program(arguments);
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(is_one_line(o.out));
  return Json::parse(o.out);
}

/// A network that names the strongest colour of an image: its scores are 10 times the means of the channels.
std::shared_ptr<Model<float>> colour_network(Index classes = 3) {
  const RandomScope scope(1, 0);
  const auto network = nn::sequential<float>(
      {std::make_shared<nn::Conv2d<float>>(nn::Conv2dOptions{.in = 3, .out = 3}),
       std::make_shared<nn::BatchNorm2d<float>>(nn::BatchNormOptions{.channels = 3}),
       std::make_shared<nn::AdaptiveAveragePool2d<float>>(), std::make_shared<nn::Flatten<float>>(),
       std::make_shared<nn::Dense<float>>(nn::DenseOptions{.in = 3, .out = classes})});
  const auto make_diagonal = [&](const char* name, float value) {
    Tensor<float> w = network->parameter(name).mutable_value();
    for (Index i = 0; i < w.size(); ++i) w.mutable_data()[i] = i % 3 == i / 3 ? value : 0;
  };
  make_diagonal("0.weight", 1);
  make_diagonal("4.weight", 10);
  return nn::trace<float>(*network, Tensor<float>::zeros({1, 3, 8, 8}));
}

data::Image filled(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  data::Image image(10, 12);
  for (Index i = 0; i < image.bytes(); i += 3) {
    image.data()[i] = red;
    image.data()[i + 1] = green;
    image.data()[i + 2] = blue;
  }
  return image;
}

/// A folder with models and photos, made anew for every test.
struct Place {
  TemporaryFolder folder;
  std::string model = folder / "colours.onnx";  ///< with labels and preprocessing
  std::string plain = folder / "plain.onnx";    ///< with neither
  std::string photos = folder / "photos";       ///< blue/, green/ and red/, one photo of green/ is red

  Place() {
    const auto network = colour_network();
    onnx::save(*network, plain);
    io::set_labels(network->metadata(), {"red", "green", "blue"});
    network->metadata()[io::preprocess_key] = spec;
    onnx::save(*network, model);
    add_photo("red/1.png", filled(200, 10, 20));
    add_photo("red/2.png", filled(150, 30, 60));
    add_photo("green/1.png", filled(10, 99, 20));
    add_photo("green/2.png", filled(180, 99, 20));
    add_photo("blue/1.png", filled(0, 10, 100));
  }
  void add_photo(const std::string& name, const data::Image& image) const {
    const auto path = std::filesystem::path(photos) / name;
    std::filesystem::create_directories(path.parent_path());
    data::write_png(path, image);
  }
  std::string file(std::string_view name, std::string_view bytes) const {
    write_file_atomically(folder / name, bytes);
    return folder / name;
  }
  std::string path(std::string_view name) const { return folder / name; }
  /// Nothing is there, not even a part or a temporary beside it.
  bool has_no(const std::string& name) const {
    const std::filesystem::directory_iterator files(folder.path());
    return std::none_of(begin(files), end(files), [&](const auto& entry) {
      return entry.path().filename().string().starts_with(name);
    });
  }
};

}  // namespace

// ---- The command line ----

TEST_CASE("tl: help is on standard output, fits a screen and ends with an example") {
  for (const std::string command : {"", "inspect", "run", "predict", "evaluate", "features", "finetune",
                                    "find-lr", "export", "doctor", "bench", "completion", "man"}) {
    std::vector<std::string> arguments{command, "--help"};
    if (command.empty()) arguments.erase(arguments.begin());
    const Outcome o = tl_program(arguments);
    CAPTURE(command, o.out);
    CHECK(o.status == 0);
    CHECK(o.err.empty());
    CHECK(std::count(o.out.begin(), o.out.end(), '\n') <= 45);
    std::istringstream lines(o.out);
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
    CHECK(o.out.find("\nExample: ") != std::string::npos);
  }
  CHECK_THAT(tl_program({"--version"}).out, contains("tl "));
}

TEST_CASE("tl: of an option given twice the last counts") {
  const Place p;
  const Json j = json_of({"bench", p.model, "--batch", "4", "--batch", "2", "--seconds", "0", "--json"});
  CHECK(j["input"][0] == 2);
}

TEST_CASE("tl: an instruction set that is not to be had is one line") {
  const Outcome o = shell("TL_ISA=abacus \"$TL\" inspect model.onnx");
  CHECK(o.status == 2);
  CHECK(is_one_line(o.err));
  CHECK_THAT(o.err, contains("tl: [isa] expected TL_ISA to be one of portable"));
}

TEST_CASE("tl: wrong command lines are one line that says what was meant") {
  check_refused({}, "no command was given: see tl --help");
  check_refused({"predcit", "m.onnx"}, "unknown command 'predcit': did you mean 'predict'?");
  check_refused({"--jsno"}, "unknown option '--jsno'");
  check_refused({"inspect"}, "MODEL is required: see tl inspect --help");
  check_refused({"inspect", "m.onnx", "--jsno"}, "unknown option '--jsno': did you mean '--json'?");
  check_refused({"inspect", "m.onnx", "n.onnx"}, "one argument too many, 'n.onnx'");
  check_refused({"finetune", "photos", "--epoch", "3"}, "unknown option '--epoch': did you mean '--epochs'?");
  check_refused({"predict", "m.onnx", "a.jpg", "--json", "--csv"}, " excludes ");
  check_refused({"completion", "fish"}, "expected bash or zsh");
  check_refused({"predict", "m.onnx", "a.jpg", "--top", "0"}, "--top");
  check_refused({"predict", "m.onnx", "a.jpg", "--top", "many"}, "--top");
  check_refused({"bench", "m.onnx", "--size", "0"}, "--size");
  check_refused({"bench", "m.onnx", "--batch", "99999999999999999999"}, "--batch");
  check_refused({"bench", "m.onnx", "--threads", "-1"}, "--threads");
}

// ---- Models that cannot be used ----

TEST_CASE("tl: every command refuses a model that is not there, cut short, or not supported") {
  const Place p;
  const std::string whole = read_file(p.model);
  const std::string cut = p.file("cut.onnx", whole.substr(0, whole.size() / 2));
  const std::string text = p.file("text.onnx", "I am a text file\n");
  OnnxModel unknown;
  unknown.input("x", {0, 3, 8, 8}).output("y").node("Unheard", {"x"}, {"y"});
  onnx::write_model(unknown.proto(), p.path("unknown.onnx"));
  OnnxModel outside;
  outside.input("x", {0, 3}).output("y").weight("w", {3}).node("Add", {"x", "w"}, {"y"});
  onnx::TensorProto& w = outside.proto().graph.initializers[0];
  w.has_raw_data = false;
  w.is_external = true;
  w.external_data = {{"location", "../secret"}};
  onnx::write_model(outside.proto(), p.path("outside.onnx"));

  const auto check_all = [&](const std::string& model, const std::string& part) {
    check_refused({"inspect", model}, part);
    check_refused({"run", model, "--input", "x.npy", "--output", p.path("y.npy")}, part);
    check_refused({"predict", model, p.photos}, part);
    check_refused({"evaluate", model, p.photos, "--json"}, part);
    check_refused({"bench", model}, part);
    check_refused({"export", model, p.path("y.safetensors")}, part);
  };
  check_all(p.path("none.onnx"), "none.onnx': No such file");
  std::filesystem::create_directory(p.folder / "folder.onnx");
  check_all(p.path("folder.onnx"), "got a directory");
  check_all(cut, "cut.onnx");
  check_all(text, "text.onnx' is damaged, cut short or no ONNX file");
  check_all(p.path("unknown.onnx"), "Unheard: unknown operator");
  check_all(p.path("outside.onnx"), "put the file beside the model");
  CHECK(p.has_no("y."));
}

// ---- inspect ----

TEST_CASE("tl inspect: layers, totals and what travels with the model") {
  const Place p;
  const Json j = json_of({"inspect", p.model, "--json"});
  REQUIRE(j["layers"].size() == 5);
  CHECK(j["layers"][0]["operation"] == "conv2d");
  CHECK(j["layers"][0]["output"] == Json{1, 3, 8, 8});
  CHECK(j["layers"][0]["parameters"] == 9);
  CHECK(j["layers"][0]["multiply_adds"] == 3 * 3 * 8 * 8);
  CHECK(j["layers"][4]["parameters"] == 12);
  CHECK(j["layers"][4]["weights"].size() == 2);
  CHECK(j["parameters"] == 9 + 6 + 12);
  CHECK(j["buffers"] == 6);
  CHECK(j["multiply_adds"] == 3 * 3 * 8 * 8 + 9);
  CHECK(j["inputs"][0]["shape"] == Json{1, 3, 8, 8});
  CHECK(j["outputs"][0]["shape"] == Json{1, 3});
  CHECK(j["batch_norm"] == "present, 1 layer");
  CHECK(j["frozen"].empty());
  CHECK(j["preprocess"] == spec);
  CHECK(j["labels"] == Json{"red", "green", "blue"});

  const Outcome text = tl_program({"inspect", p.model});
  CHECK(text.status == 0);
  CHECK(text.err.empty());
  for (const char* part : {"multiply-adds  585\n", "frozen         nothing\n",
                           "labels         3: red, green, blue\n", "parameters     27\n"})
    CHECK_THAT(text.out, contains(part));
}

TEST_CASE("tl inspect: images of open size are taken to be 224 pixels; folded BatchNorm is seen") {
  const Place p;
  OnnxModel open;
  open.input("x", {0, 3, 0, 0}).output("y").weight("w", {4, 3, 1, 1}).weight("b", {4});
  open.node("Conv", {"x", "w", "b"}, {"y"});
  onnx::write_model(open.proto(), p.path("open.onnx"));
  const Json j = json_of({"inspect", p.path("open.onnx"), "--json"});
  CHECK(j["layers"][0]["output"] == Json{1, 4, 224, 224});
  CHECK_THAT(j["batch_norm"].get<std::string>(), contains("may be folded"));
  CHECK(j["preprocess"].is_null());
  CHECK(j["layout_copies"] == 0);
  CHECK_THAT(tl_program({"inspect", p.path("open.onnx")}).out, contains("TrainingMode.PRESERVE"));
  CHECK(tl_program({"inspect", p.model}).out.find("PRESERVE") == std::string::npos);

  OnnxModel renamed;  // as PyTorch writes what it folds into; transposes that cancel each other
  renamed.input("x", {0, 3, 8, 8})
      .output("y")
      .weight("onnx::Conv_1", {4, 3, 1, 1})
      .weight("onnx::Conv_2", {4});
  renamed.node("Conv", {"x", "onnx::Conv_1", "onnx::Conv_2"}, {"c"});
  renamed.node("Transpose", {"c"}, {"t"}).with("perm", std::vector<Index>{0, 1, 3, 2});
  renamed.node("Relu", {"t"}, {"r"})
      .node("Transpose", {"r"}, {"y"})
      .with("perm", std::vector<Index>{0, 1, 3, 2});
  onnx::write_model(renamed.proto(), p.path("renamed.onnx"));
  const Json folded = json_of({"inspect", p.path("renamed.onnx"), "--json"});
  CHECK(folded["batch_norm"] == "folded into the convolutions");
  CHECK(folded["transposes"] == 2);
  CHECK(folded["layout_copies"] == 0);
}

// ---- run ----

TEST_CASE("tl run: the tensors are the library's, in the file's layout") {
  const Place p;
  const auto x = hash_tensor<float>("x", {5, 3, 8, 8});
  io::write_npy(p.path("x.npy"), x);
  const Outcome o = tl_program({"run", p.plain, "--input", p.path("x.npy"), "--output", p.path("y.npy")});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(o.err.empty());
  CHECK(same_bits(io::read_npy<float>(p.path("y.npy")), onnx::load<float>(p.plain).predict(x)));
}

TEST_CASE("tl run: several inputs and outputs by name, whole numbers too") {
  const Place p;
  OnnxModel two;
  two.input("a", {0, 2}).input("b", {0, 2}).output("sum").output("product");
  two.node("Add", {"a", "b"}, {"sum"}).node("Mul", {"a", "b"}, {"product"});
  const std::string model = p.path("two.onnx");
  onnx::write_model(two.proto(), model);
  io::write_npy(p.path("a.npy"), Tensor<float>::from({1, 2}, {1, 2}));
  io::write_npy(p.path("b.npy"), Tensor<std::int64_t>::from({10, 20}, {1, 2}));
  const std::string a = "a=" + p.path("a.npy"), b = "b=" + p.path("b.npy");

  const Outcome o = tl_program({"run", model, "--input", b, "--input", a, "--output",
                                "product=" + p.path("p.npy"), "--output", "sum=" + p.path("s.npy")});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(values_of(io::read_npy<float>(p.path("s.npy"))) == std::vector<float>{11, 22});
  CHECK(values_of(io::read_npy<float>(p.path("p.npy"))) == std::vector<float>{10, 40});

  const std::string out = "sum=" + p.path("new.npy");
  check_refused({"run", model, "--input", a, "--output", out}, "no value for input 'b'");
  check_refused({"run", model, "--input", a, "--input", a, "--output", out}, "given before");
  check_refused({"run", model, "--input", p.path("a.npy"), "--output", out}, "--input NAME=FILE");
  check_refused({"run", model, "--input", "c=x.npy", "--output", out}, "expected one of 'a', 'b'");
  check_refused({"run", model, "--input", a, "--input", b, "--output", "difference=d.npy"},
                "no 'difference'");
  CHECK(p.has_no("new.npy"));
}

TEST_CASE("tl run: missing, damaged and wrong tensors are refused, and nothing is written") {
  const Place p;
  const auto check = [&](const std::string& input, const std::string& part) {
    check_refused({"run", p.model, "--input", input, "--output", p.path("y.npy")}, part);
  };
  io::write_npy(p.path("small.npy"), Tensor<float>::zeros({1, 3, 7, 8}));
  io::write_npy(p.path("flat.npy"), Tensor<float>::zeros({3, 8}));
  io::write_npy(p.path("good.npy"), Tensor<float>::zeros({1, 3, 8, 8}));
  const std::string good = read_file(p.path("good.npy"));
  check(p.path("none.npy"), "none.npy': No such file");
  check(p.path("small.npy"), "expects (N,3,8,8)");
  check(p.path("flat.npy"), "holds (3,8)");
  check(p.file("text.npy", "hello"), "text.npy': it does not begin as .npy files do");
  check(p.file("cut.npy", good.substr(0, good.size() - 5)), "cut.npy");
  CHECK(p.has_no("y.npy"));
  check_refused({"run", p.model, "--input", p.path("good.npy"), "--output", p.path("nowhere/y.npy")},
                "nowhere");
  check_refused({"run", p.model, "--input", p.path("good.npy"), "--output", p.photos}, "got a directory");
}

TEST_CASE("tl run: a file of doubles is computed in double, and an extent that is no batch is minded") {
  const Place p;
  OnnxModel doubles(17);
  doubles.input("x", {0, 2}, onnx::DataType::float64).output("y").node("Add", {"x", "x"}, {"y"});
  onnx::write_model(doubles.proto(), p.path("doubles.onnx"));
  io::write_npy(p.path("x.npy"), Tensor<double>::from({1e200, -1e-200}, {1, 2}));
  const Outcome o =
      tl_program({"run", p.path("doubles.onnx"), "--input", p.path("x.npy"), "--output", p.path("y.npy")});
  CAPTURE(o.err);
  REQUIRE(o.status == 0);
  CHECK(values_of(io::read_npy<double>(p.path("y.npy"))) == std::vector<double>{2e200, -2e-200});

  OnnxModel fixed(17);
  fixed.input("x", {2, 2}).output("y").node("Split", {"x"}, {"y", "z"}).with("axis", 0);
  onnx::write_model(fixed.proto(), p.path("fixed.onnx"));
  check_refused({"run", p.path("fixed.onnx"), "--input", p.path("x.npy"), "--output", p.path("z.npy")},
                "expects (2,2)");
}

// ---- doctor ----

TEST_CASE("tl doctor: finds the first layer that differs from the reference in the file") {
  const Place p;
  const Model<float> original = onnx::load<float>(p.model);
  Graph<float> graph = original.graph();
  io::set_reference(graph, io::reference_input({2, 3, 8, 8}));
  onnx::save(graph, p.path("good.onnx"));

  const Json good = json_of({"doctor", p.path("good.onnx"), "--json"});
  CHECK(good["agrees"] == true);
  CHECK(good["output"] <= 1e-6);
  CHECK(good["layers"]["compared"] == 5);
  CHECK(good["reference"]["compared"] == 5);
  const Outcome text = tl_program({"doctor", p.path("good.onnx")});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, contains("agrees within 1.0e-04\n"));
  CHECK_THAT(tl_program({"inspect", p.path("good.onnx")}).out,
             contains("reference      input (2,3,8,8), output (2,3)"));

  // Another running mean: the convolution before it still agrees.
  for (const nn::Named<float>& buffer : original.buffers()) {
    if (buffer.name != "1.running_mean") continue;
    Var<float> mean = buffer.var;
    mean.mutable_value().mutable_data()[1] += 0.5f;
  }
  onnx::save(graph, p.path("bad.onnx"));
  const Outcome bad = tl_program({"doctor", p.path("bad.onnx")});
  CHECK(bad.status == 1);
  CHECK(is_one_line(bad.err));
  const std::string norm = graph.value(graph.nodes()[1].output).name;
  CHECK_THAT(bad.err, contains("differs from the reference in the file, from the layer '" + norm + "' on"));

  // A damaged reference is told, not passed over.
  graph.metadata[io::reference_output_key] = "====";
  onnx::save(graph, p.path("damaged.onnx"));
  check_refused({"doctor", p.path("damaged.onnx")}, "cannot read the reference");
}

TEST_CASE("tl doctor: against tensors that another program has made") {
  const Place p;
  const auto x = hash_tensor<float>("x", {2, 3, 8, 8});
  Tensor<float> y = onnx::load<float>(p.plain).predict(x).clone();
  io::write_npy(p.path("x.npy"), x);
  io::write_npy(p.path("y.npy"), y);
  const std::vector<std::string> command = {"doctor",   p.plain,         "--input", p.path("x.npy"),
                                            "--output", p.path("y.npy"), "--json"};
  CHECK(json_of(command)["output"] == 0);
  y.mutable_data()[0] += 1;
  io::write_npy(p.path("y.npy"), y);
  const Outcome o = tl_program(command);
  CHECK(o.status == 1);
  CHECK_THAT(o.err, contains("its output differs"));
  CHECK(Json::parse(o.out)["agrees"] == false);
  check_refused({"doctor", p.plain, "--input", p.path("x.npy")}, "give both");
  CHECK_THAT(tl_program({"doctor", p.plain}).out, contains("the file has no reference"));
}

// ---- predict ----

TEST_CASE("tl predict: one line an image, in order; the JSON holds the library's probabilities") {
  const Place p;
  const std::string red = p.photos + "/red/1.png", blue = p.photos + "/blue/1.png";
  const Outcome text = tl_program({"predict", p.model, blue, red, "--top", "1"});
  CAPTURE(text.out, text.err);
  CHECK(text.status == 0);
  CHECK(text.err.empty());
  const std::string first = blue + ": blue ";
  CHECK(text.out.starts_with(first));
  CHECK_THAT(text.out, contains("\n" + red + ": red "));

  const Json j = json_of({"predict", p.model, p.photos, "--json"});
  REQUIRE(j["images"].size() == 5);
  CHECK(j["skipped"].empty());
  const Model<float> model = onnx::load<float>(p.model);
  const data::Preprocess preprocess = data::Preprocess::parse(spec);
  for (const Json& image : j["images"]) {
    const Tensor<float> logits =
        model.predict(preprocess.apply(data::read_image(image["path"].get<std::string>())));
    const Tensor<float> want = softmax(Var<float>(logits)).value();
    REQUIRE(image["classes"].size() == 3);
    for (const Json& c : image["classes"])
      CHECK(c["probability"].get<float>() == Approx(want.data()[c["index"].get<Index>()]).margin(1e-6));
    CHECK(image["classes"][0]["probability"] >= image["classes"][1]["probability"]);
  }
  CHECK(j["images"][0]["classes"][0]["label"] == "blue");
}

TEST_CASE("tl predict: classes without names are indices; probabilities in the network stay as they are") {
  const Place p;
  const Json j = json_of({"predict", p.plain, p.photos + "/blue", "--preprocess", spec, "--json"});
  CHECK(j["images"][0]["classes"][0]["label"] == "2");

  OnnxModel done;
  done.input("x", {0, 3, 0, 0}).output("y");
  done.node("GlobalAveragePool", {"x"}, {"p"}).node("Flatten", {"p"}, {"f"}).node("Softmax", {"f"}, {"y"});
  onnx::write_model(done.proto(), p.path("done.onnx"));
  p.add_photo("white.png", filled(255, 255, 0));
  const Json k =
      json_of({"predict", p.path("done.onnx"), p.photos + "/white.png", "--json", "--preprocess", spec});
  const double e = std::exp(1.0);
  CHECK(k["images"][0]["classes"][0]["probability"].get<double>() == Approx(e / (2 * e + 1)).margin(1e-6));
}

TEST_CASE("tl predict: broken images are named and counted") {
  const Place p;
  const std::string broken = p.file("broken.jpg", "I am a text file\n"), good = p.photos + "/red/1.png";
  const Outcome some = tl_program({"predict", p.model, broken, good, "--json"});
  CAPTURE(some.err);
  CHECK(some.status == 0);
  CHECK_THAT(some.err, contains("broken.jpg") && contains("1 of 2 images could not be read"));
  const Json j = Json::parse(some.out);
  CHECK(j["images"].size() == 1);
  CHECK(j["skipped"][0]["path"] == broken);

  const Outcome none = tl_program({"predict", p.model, broken});
  CHECK(none.status == 2);
  CHECK(none.out.empty());
  CHECK_THAT(none.err, contains("broken.jpg") && contains("\ntl: none of 1 image could be read"));
  check_refused({"predict", p.model, broken, good, "--strict"}, "broken.jpg");
}

TEST_CASE("tl predict: images of another size than the network declares are told, or refused") {
  const Place p;
  for (const std::string other : {"crop=9,std=255", "std=255"}) {
    const Outcome o = tl_program({"predict", p.plain, p.photos + "/red", "--preprocess", other});
    CAPTURE(o.err);
    CHECK(o.status == 0);
    CHECK(is_one_line(o.err));
    CHECK_THAT(o.err, contains("note: the network declares (1,3,8,8), the preprocessing makes images of "));
  }
  p.add_photo("red/3.png", data::resize(filled(200, 0, 0), 20, 30, data::Filter::nearest));
  const Outcome mixed = tl_program({"predict", p.plain, p.photos + "/red", "--preprocess", "std=255"});
  CHECK(mixed.status == 2);
  CHECK_THAT(mixed.err, contains("\ntl: ") && contains("give crop= or resize=HxW"));
}

TEST_CASE("tl predict: a table of comma-separated values") {
  const Place p;
  p.add_photo("a, \"b\".png", filled(200, 10, 20));
  const Outcome o = tl_program({"predict", p.model, p.photos, "--csv", "--top", "2"});
  CAPTURE(o.out, o.err);
  CHECK(o.status == 0);
  CHECK(o.err.empty());
  CHECK(o.out.starts_with("path,class_1,probability_1,class_2,probability_2\n\"" + p.photos +
                          "/a, \"\"b\"\".png\",\"red\",0."));
  CHECK(std::count(o.out.begin(), o.out.end(), '\n') == 1 + 6);
  CHECK_THAT(tl_program({"predict", p.model, p.photos, "--csv"}).out,
             contains("path,class_1,probability_1,class_2,probability_2,class_3,probability_3\n"));
}

TEST_CASE("tl predict: a quoted pattern is the files that match it") {
  const Place p;
  const std::string all =
      tl_program({"predict", p.model, p.photos + "/green/1.png", p.photos + "/red/1.png"}).out;
  CHECK(tl_program({"predict", p.model, p.photos + "/[gr]*/1.png"}).out == all);
  p.add_photo("[x].png", filled(1, 2, 200));
  CHECK_THAT(tl_program({"predict", p.model, p.photos + "/[x].png"}).out, contains("[x].png: blue "));
  check_refused({"predict", p.model, p.photos + "/*.tiff"},
                "no file or folder matches '" + p.photos + "/*.tiff'");
}

TEST_CASE("tl predict: what is missing is refused") {
  const Place p;
  std::filesystem::create_directory(p.path("empty"));
  check_refused({"predict", p.model, p.path("none")}, "there is no file or folder");
  check_refused({"predict", p.model, p.path("empty")}, "there is no image in folder");
  check_refused({"predict", p.plain, p.photos}, "give --preprocess, for networks of torchvision resize=");
  check_refused({"predict", p.plain, p.photos, "--preprocess", "crop=0"}, "crop=0");
  check_refused({"predict", p.plain, p.photos, "--preprocess", "sharpen"}, "sharpen");
}

TEST_CASE("tl predict: no control characters of names and labels are printed") {
  const Place p;
  const auto network = colour_network();
  io::set_labels(network->metadata(), {"r\x1b[31med", "gr\xff", "b\xc2\x9blue"});
  network->metadata()[io::preprocess_key] = spec;
  onnx::save(*network, p.path("odd.onnx"));
  p.add_photo("odd/a\nb\x1b[2J.png", filled(200, 150, 100));
  const Outcome o = tl_program({"predict", p.path("odd.onnx"), p.photos + "/odd"});
  CAPTURE(o.out, o.err);
  CHECK(o.status == 0);
  CHECK(is_one_line(o.out));
  CHECK_THAT(o.out, contains("a\\x0ab\\x1b[2J.png: r\\x1b[31med ") && contains("gr\\xff ") &&
                        contains("b\\xc2\\x9blue "));
  const Json j = json_of({"predict", p.path("odd.onnx"), p.photos + "/odd", "--json"});
  CHECK(j["images"][0]["classes"][0]["label"] == "r\x1b[31med");
  check_refused({"predict", p.path("no\nsuch\x1b.onnx"), p.photos}, "no\\x0asuch\\x1b.onnx");
}

// ---- evaluate ----

TEST_CASE("tl evaluate: the figures are the library's, classes are matched by name") {
  const Place p;
  const Json j = json_of({"evaluate", p.model, p.photos, "--json"});
  Model<float> model = onnx::load<float>(p.model);
  const data::Dataset photos =
      data::with_classes(data::image_folder(p.photos).train, {"red", "green", "blue"});
  const train::Evaluation e = train::evaluate(model, data::Loader(photos, data::Preprocess::parse(spec)));
  CHECK(e.correct() == 4);
  CHECK(j["images"] == 5);
  CHECK(j["correct"] == e.correct());
  CHECK(j["accuracy"] == e.accuracy());
  CHECK(j["balanced_accuracy"] == e.balanced_accuracy());
  CHECK(!j.contains("top5_accuracy"));
  for (Index label = 0; label < 3; ++label) {
    const auto i = static_cast<std::size_t>(label);
    CHECK(j["classes"][i]["recall"] == e.figures(label).recall());
    CHECK(j["classes"][i]["precision"] == e.figures(label).precision());
    CHECK(j["classes"][i]["f1"] == e.figures(label).f1());
    for (Index predicted = 0; predicted < 3; ++predicted)
      CHECK(j["confusion"][i][static_cast<std::size_t>(predicted)] == e.confusion(label, predicted));
  }
  const Outcome text = tl_program({"evaluate", p.model, p.photos});
  CHECK(text.status == 0);
  CHECK(text.err.empty());
  CHECK_THAT(text.out, contains("accuracy  80.0 % (4 of 5 images"));
}

TEST_CASE("tl evaluate: without names in the model the sorted order counts, or indices of a labels file") {
  const Place p;
  const Outcome sorted = tl_program({"evaluate", p.plain, p.photos, "--preprocess", spec, "--json"});
  CHECK(sorted.status == 0);
  CHECK_THAT(sorted.err, contains("note: the model names no classes"));
  CHECK(Json::parse(sorted.out)["correct"] == 1);  // blue, green, red: only green stands in its place

  const std::string by_index =
      p.file("index.csv", "red/1.png,0\nred/2.png,0\ngreen/1.png,1\ngreen/2.png,1\nblue/1.png,2\n");
  const auto evaluate = [&](const std::string& model, const std::string& labels) {
    return json_of({"evaluate", model, p.photos, "--labels", labels, "--preprocess", spec, "--json"});
  };
  CHECK(evaluate(p.plain, by_index)["correct"] == 4);
  CHECK(evaluate(p.model, by_index)["correct"] == 4);
  CHECK(evaluate(p.model, p.file("name.csv", "path,class\ngreen/1.png,green\n"))["accuracy"] == 1);
}

TEST_CASE("tl evaluate: top-5 and the most confused pairs of many classes") {
  const Place p;
  onnx::save(*colour_network(30), p.path("thirty.onnx"));
  const std::string labels = p.file("labels.csv", "red/1.png,0\ngreen/1.png,0\nblue/1.png,9\n");
  const std::vector<std::string> arguments{"evaluate", p.path("thirty.onnx"), p.photos, "--labels",
                                           labels,     "--preprocess",        spec};
  const Outcome text = tl_program(arguments);
  CAPTURE(text.out);
  CHECK(text.status == 0);
  CHECK_THAT(text.out, contains("most often confused, of 2 pairs") && contains("top-5     66.7 %"));
  std::vector<std::string> with_json = arguments;
  with_json.emplace_back("--json");
  const Json j = json_of(with_json);
  CHECK(j["top5_accuracy"] == Approx(2. / 3));
  CHECK(j["confusion"].size() == 30);
  CHECK(j["confusion"][9].size() == 30);
}

TEST_CASE("tl evaluate: classes and labels that do not fit are refused") {
  const Place p;
  const auto labelled = [&](const std::string& model, const std::string& labels) {
    return std::vector<std::string>{"evaluate", model, p.photos, "--labels", labels, "--preprocess", spec};
  };
  std::filesystem::create_directory(p.path("empty"));
  check_refused({"evaluate", p.model, p.path("none")}, "there is no folder");
  check_refused({"evaluate", p.model, p.path("empty")}, "there is no image in folder");
  check_refused({"evaluate", p.model, p.photos + "/red"}, "no folder for each class");
  check_refused({"evaluate", p.model, p.model}, "is not a folder");
  check_refused({"evaluate", p.plain, p.photos}, "give --preprocess");
  check_refused(labelled(p.model, p.photos), "got a directory");
  check_refused(labelled(p.model, p.path("none.csv")), "none.csv': No such file");
  check_refused(labelled(p.model, p.file("far.csv", "red/1.png,3\n")), "unknown class '3'");
  check_refused(labelled(p.plain, p.file("far.csv", "red/1.png,3\n")),
                "the network has 3 outputs, counted from 0");
  check_refused(labelled(p.plain, p.file("two.csv", "red/1.png,r\ngreen/1.png,g\n")), "has 2 class names");
  check_refused(labelled(p.model, p.file("gone.csv", "red/9.png,0\n")), "there is no image");

  p.add_photo("yellow/1.png", filled(200, 200, 0));
  check_refused({"evaluate", p.model, p.photos}, "unknown class 'yellow'");
  check_refused({"evaluate", p.plain, p.photos, "--preprocess", spec},
                "has 4 class names, but the network has 3 outputs");
}

TEST_CASE("tl evaluate: a model that names another number of classes than it has outputs is refused") {
  const Place p;
  const auto network = colour_network();
  io::set_labels(network->metadata(), {"red", "green"});
  network->metadata()[io::preprocess_key] = spec;
  onnx::save(*network, p.path("odd.onnx"));
  check_refused({"evaluate", p.path("odd.onnx"), p.photos}, "names 2 classes, but its network has 3 outputs");
}

// ---- bench ----

TEST_CASE("tl bench: figures of inference and training") {
  const Place p;
  OnnxModel flat;
  flat.input("x", {0, 3, 8, 8}).output("y").weight("w", {2, 192});
  flat.node("Flatten", {"x"}, {"f"}).node("Gemm", {"f", "w"}, {"y"}).with("transB", 1);
  onnx::write_model(flat.proto(), p.path("flat.onnx"));
  for (const bool train : {false, true}) {
    std::vector<std::string> arguments{"bench",     p.model, "--batch", "2",  "--seconds", "0",
                                       "--threads", "1",     "--size",  "16", "--json"};
    if (train) arguments.emplace_back("--train");
    const Json j = json_of(arguments);
    CHECK(j["train"] == train);
    CHECK(j["input"] == Json{2, 3, 16, 16});
    CHECK(j["threads"] == 1);
    CHECK(j["isa"] == kernels::name_of(kernels::active_isa()));
    CHECK(j["repeats"] == 3);
    CHECK(j["images_per_second"].get<double>() > 0);
    CHECK(j["batch_ms"]["least"] <= j["batch_ms"]["median"]);
    CHECK(j["batch_ms"]["median"] <= j["batch_ms"]["most"]);
    CHECK(j["peak_memory_bytes"] >= 2 * 3 * 16 * 16 * 4);
  }
  const Json layers = json_of(
      {"bench", p.path("flat.onnx"), "--batch", "2", "--seconds", "0", "--layers", "--json"})["layers"];
  REQUIRE(layers.size() == 2);
  CHECK(layers[1]["operation"] == "linear");
  CHECK(layers[1]["output"] == Json{2, 2});
  CHECK(layers[1]["median_ms"] > 0);
  check_refused({"bench", p.path("flat.onnx"), "--layers", "--train"}, "--train");
  check_refused({"bench", p.path("flat.onnx"), "--size", "9"}, "does not take batches (16,3,9,9)");
  const Outcome text = tl_program({"bench", p.model, "--seconds", "0"});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, contains("inference with batches (16,3,8,8)") && contains("images a second"));
}
