// tl finetune: the file it writes, its methods and options, and the input it refuses.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include <tl/data/encode.hpp>
#include <tl/data/preprocess.hpp>
#include <tl/io/metadata.hpp>
#include <tl/io/onnx/load.hpp>
#include <tl/io/onnx/save.hpp>
#include <tl/models/resnet.hpp>
#include <tl/nn/model.hpp>

#include "programs/program.hpp"
#include "programs/two_classes.hpp"
#include "support/tensors.hpp"

using namespace tl;
using namespace tl::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

TEST_CASE("tl finetune: every method learns and writes a file that remembers labels and preprocessing",
          "[tl]") {
  const TwoClasses s;
  const std::string method = GENERATE("head", "last:2", "full", "two-stage");
  const std::string figures = s.folder / "figures.json";
  const Outcome o =
      tl_program(s.command({"--method", method, "--json-out", figures, "--lr", "0.5", "--epochs", "8"}));
  CAPTURE(method, o.out, o.err);
  REQUIRE(o.status == 0);
  CHECK(o.err.empty());
  CHECK(o.out.find("written: " + s.out) != std::string::npos);

  const Json json = Json::parse(read_file(figures));
  CHECK(json["method"] == method);
  CHECK(json["epochs"].size() == 8);
  CHECK(json["train_images"] == 12);
  CHECK(json["valid_images"] == 4);
  CHECK(json["valid_accuracy"].get<double>() == 1.0);
  const Model<float> model(onnx::load_graph<float>(s.out));
  CHECK(io::labels(model.metadata()) == std::vector<std::string>{"blue", "red"});
  CHECK(io::preprocess_spec(model.metadata()) == data::Preprocess::parse(spec).to_string());
  CHECK(model.predict(Tensor<float>::zeros({3, 3, 16, 16})).shape() == Shape{3, 2});
}

TEST_CASE(
    "tl finetune: the method features writes an ordinary network, in the same bytes at any thread count",
    "[tl]") {
  const TwoClasses s;
  const std::string classifier = GENERATE("softmax", "svm", "ridge");
  const std::string figures = s.folder / "figures.json";
  std::string first;
  for (const char* threads : {"1", "3"}) {
    const Outcome o = tl_program(s.command(
        {"--method", "features", "--classifier", classifier, "--json-out", figures, "--threads", threads}));
    CAPTURE(classifier, o.out, o.err);
    REQUIRE(o.status == 0);
    CHECK(o.err.empty());
    CHECK_THAT(o.out, contains("trained 34 parameters; right for 4 of 4 validation images: 100.0 %"));
    CHECK(o.out.find("linear probe") == std::string::npos);
    if (first.empty()) first = read_file(s.out);
    CHECK(read_file(s.out) == first);
  }
  const Json json = Json::parse(read_file(figures));
  CHECK(json["method"] == "features");
  CHECK(json["classifier"] == classifier);
  CHECK(json["epochs"].empty());
  CHECK(json["valid_accuracy"] == 1.0);
  const Outcome judged = tl_program({"evaluate", s.out, s.photos, "--json"});
  REQUIRE(judged.status == 0);
  CHECK(Json::parse(judged.out)["accuracy"] == 1.0);
}

TEST_CASE("tl finetune: a linear probe is printed before the first epoch", "[tl]") {
  const TwoClasses s;
  for (const char* method : {"head", "two-stage"}) {
    const Outcome o = tl_program(s.command({"--method", method}));
    CAPTURE(o.out, o.err);
    REQUIRE(o.status == 0);
    const std::size_t probe = o.out.find("\nlinear probe: ridge 100.0 %, kNN 100.0 %\n");
    CHECK(probe != std::string::npos);
    CHECK(probe < o.out.find("epoch 1/"));
    CHECK(o.out.find("linear probe", probe + 5) == std::string::npos);
  }
  fs::create_directory(fs::path(s.photos) / "green");
  for (const char* name : {"1.png", "2.png", "3.png", "4.png", "5.png"})
    write_file_atomically(fs::path(s.photos) / "green" / name, concat("text ", name));
  const Outcome o = tl_program(s.command({"--method", "head"}));
  CAPTURE(o.out, o.err);
  CHECK(o.status == 0);  // a class of which no photo can be read
  CHECK(o.out.find("linear probe") == std::string::npos);
}

TEST_CASE("tl finetune: the same seed writes the same bytes, at any number of threads", "[tl]") {
  const TwoClasses s;
  const std::string method = GENERATE("features", "head", "last:2", "full");
  const auto bytes = [&](const char* seed, const char* threads) {
    const Outcome o = tl_program(s.command({"--method", method, "--seed", seed, "--threads", threads}));
    CAPTURE(method, threads, o.err);
    REQUIRE(o.status == 0);
    return read_file(s.out);
  };
  const std::string first = bytes("5", "1");
  for (const char* threads : {"1", "2", "3", "8"}) {
    CAPTURE(method, threads);
    CHECK(bytes("5", threads) == first);
  }
  CHECK(bytes("6", "1") != first);
}

TEST_CASE("tl finetune: killed at any moment and called again it writes the same bytes", "[tl]") {
  const TwoClasses s;
  const std::string checkpoint = s.folder / "kept";
  const std::vector<std::string> words = s.command(
      {"--method", "full", "--epochs", "120", "--checkpoint", checkpoint, "--checkpoint-seconds", "0"});
  REQUIRE(tl_program(words).status == 0);
  const std::string whole = read_file(s.out);
  CHECK(!fs::exists(checkpoint));
  fs::remove(s.out);

  std::vector<std::string> program = words;
  program.insert(program.begin(), TL_PROGRAM);
  Rng random(3, 0);
  int went_on = 0;
  for (int kills = 0; kills < 50;) {
    Started started(program);
    if (kills % 2 == 1) {  // where checkpoints are written, however slow the machine is
      wait_until([&] {
        const std::string out = started.out_so_far();
        const auto has = [&](const char* text) { return out.find(text) != std::string::npos; };
        return has("going on in epoch ") || has("then the layers below it too") || has("written: ");
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(150)));
    ::kill(started.id(), SIGKILL);
    const Outcome o = started.wait();
    went_on += o.out.find("going on in epoch ") != std::string::npos;
    if (o.status == 128 + SIGKILL) {
      ++kills;
      continue;
    }
    CAPTURE(o.err);
    REQUIRE(o.status == 0);  // it was faster, as the first one of a next round may not be
    CHECK(read_file(s.out) == whole);
  }
  CHECK(went_on > 10);
  const Outcome last = tl_program(words);
  CAPTURE(last.out, last.err);
  REQUIRE(last.status == 0);
  CHECK(read_file(s.out) == whole);
  CHECK(!fs::exists(checkpoint));
  CHECK(!fs::exists(checkpoint + ".before"));
}

TEST_CASE("tl finetune: what a checkpoint holds, and what it is not for", "[tl]") {
  const TwoClasses s;
  const std::string checkpoint = s.folder / "kept";
  const auto words = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--checkpoint", checkpoint, "--checkpoint-seconds", "0"});
    return s.command(std::move(more));
  };
  std::vector<std::string> program = words({"--method", "full", "--epochs", "3000"});
  program.insert(program.begin(), TL_PROGRAM);
  Started started(program);
  wait_until([&] { return fs::exists(checkpoint + ".before"); });
  ::kill(started.id(), SIGINT);
  const Outcome stopped = started.wait();
  CHECK(stopped.status == 1);
  CHECK(is_one_line(stopped.err));
  CHECK(stopped.err.find("stopped: the same command goes on from '" + checkpoint + "'") != std::string::npos);

  const auto other = [&](const std::vector<std::string>& more, const std::string& part) {
    const Outcome o = tl_program(words(more));
    CAPTURE(o.err);
    CHECK(o.status == 2);
    CHECK(is_one_line(o.err));
    CHECK(o.err.find(part) != std::string::npos);
  };
  other({"--method", "full", "--epochs", "2999"}, "of another training: its epochs: 3000; of this one: 2999");
  other({"--method", "head", "--epochs", "3000"}, "of another training: its method: full; of this one: head");
  other({"--method", "full", "--epochs", "3000", "--seed", "1"}, "of another training: its network");
  other({"--method", "full", "--epochs", "3000", "--freeze", "*bias"}, "its trained parameters");
  TwoClasses::add_class(s.photos, "red", 9);
  other({"--method", "full", "--epochs", "3000"}, "of another training: its photos");
  fs::remove(fs::path(s.photos) / "red/8.png");

  write_file_atomically(checkpoint, "damaged");
  Started again(program);
  wait_until([&] { return again.out_so_far().find("going on in epoch ") != std::string::npos; });
  ::kill(again.id(), SIGINT);
  const Outcome o = again.wait();
  CHECK(o.status == 1);
  CHECK(o.err.find("going on from the checkpoint before it") != std::string::npos);

  for (const auto& file : {checkpoint, checkpoint + ".before"}) write_file_atomically(file, "damaged");
  other({"--method", "full", "--epochs", "3000"}, checkpoint + ".before");
  check_refused(words({"--method", "features"}), "use --checkpoint with another method");
  check_refused(s.command({"--checkpoint", s.out}), "would be written twice");
  check_refused(s.command({"--checkpoint", "/proc/kept"}), "cannot write '/proc/kept");
}

TEST_CASE("tl finetune: a checkpoint that finds no room ends no training", "[tl]") {
  const TwoClasses s;
  std::string quoted;
  for (const std::string& word : s.command({"--method", "full", "--checkpoint-seconds", "0"}))
    quoted += " '" + word + "'";
  // A limit that lets the network through, and not the checkpoint with its momentum and its best epoch.
  const Outcome o = shell(file_limit(100) + "exec \"$TL\"" + quoted + " --checkpoint '" +
                          std::string(s.folder / "kept") + "'");
  CAPTURE(o.out, o.err);
  CHECK(o.status == 0);
  CHECK(fs::exists(s.out));
  CHECK(o.err.find("no checkpoint: cannot write") != std::string::npos);
  CHECK(o.err.find("the training goes on") != std::string::npos);
}

TEST_CASE("tl finetune: --freeze and --train", "[tl]") {
  const TwoClasses s;
  const Model<float> before(onnx::load_graph<float>(s.weights));
  const auto changed = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--method", "full"});
    const Outcome o = tl_program(s.command(std::move(more)));
    CAPTURE(o.err);
    REQUIRE(o.status == 0);
    const Model<float> after(onnx::load_graph<float>(s.out));
    std::vector<std::string> names;
    for (const auto& p : before.parameters()) {
      if (p.name.starts_with("fc.")) continue;  // replaced
      if (!same_bits(p.var.value(), after.parameter(p.name).value())) names.push_back(p.name);
    }
    return names;
  };
  const std::vector<std::string> without_stem = changed({"--freeze", "conv1.*", "--freeze", "bn1.*"});
  CHECK(without_stem.size() == 5);  // convolutions: batch normalisation is frozen in small batches
  for (const std::string& name : without_stem)
    CHECK((!name.starts_with("conv1.") && !name.starts_with("bn1.")));
  for (const std::string& name : changed({"--train", "layer2.0.conv2.*"}))
    CHECK(name == "layer2.0.conv2.weight");
}

TEST_CASE("tl finetune: a head that reads more is written with the network", "[tl]") {
  const TwoClasses s;
  const Outcome o = tl_program(s.command({"--method", "features", "--head", "both"}));
  CAPTURE(o.out, o.err);
  REQUIRE(o.status == 0);
  // Weights and biases of two classes, for 16 means, 16 maxima and those of the 8 channels before.
  CHECK(o.out.find("trained 98 parameters; right for 4 of 4 ") != std::string::npos);
  const Outcome judged = tl_program({"evaluate", s.out, s.photos});
  CHECK(judged.status == 0);
  CHECK(judged.out.find("accuracy  100.0 %") != std::string::npos);
}

TEST_CASE("tl finetune: recipes of training", "[tl]") {
  const TwoClasses s;
  const std::string figures = s.folder / "figures.json";
  const std::vector<std::vector<std::string>> recipes{
      {"--optimiser", "adamw", "--lr", "0.1", "--method", "head"},
      {"--optimiser", "adamw", "--lr", "0.05", "--lr-later", "0.5", "--lr-earlier", "0.5"},
      {"--balance", "--smoothing", "0", "--lr", "0.5"},
      {"--mixup", "0.2", "--method", "head", "--lr", "0.5"},
      {"--method", "gradual", "--lr", "0.5"},
      {"--method", "full", "--head", "mirrored", "--lr", "0.5", "--clip-norm", "5"},
      {"--augment", "flip=0.5,rotation=10", "--lr", "0.5", "--lr-for", "layer2.*=0.05"},
  };
  for (const auto& recipe : recipes) {
    std::vector<std::string> more = recipe;
    more.insert(more.end(), {"--epochs", "8", "--json-out", figures});
    const Outcome o = tl_program(s.command(more));
    CAPTURE(recipe, o.out, o.err);
    REQUIRE(o.status == 0);
    CHECK(o.err.empty());
    const Json json = Json::parse(read_file(figures));
    CHECK(json["valid_accuracy"] == 1.0);
    CHECK(json["epochs"].size() == 8);
  }
}

TEST_CASE("tl finetune: what a recipe says changes what is learned, and is repeatable", "[tl]") {
  const TwoClasses s;
  TwoClasses::add_class(s.photos, "red", 14);  // more than of the other class
  const auto bytes = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--method", "head", "--last-epoch"});
    const Outcome o = tl_program(s.command(more));
    CAPTURE(more, o.err);
    REQUIRE(o.status == 0);
    return read_file(s.out);
  };
  const std::string plain = bytes({});
  CHECK(bytes({"--smoothing", "0.1"}) == plain);
  CHECK(bytes({"--smoothing", "0.2"}) != plain);
  CHECK(bytes({"--balance"}) != plain);
  CHECK(bytes({"--optimiser", "adamw"}) != plain);
  CHECK(bytes({"--augment", "none"}) == plain);
  CHECK(bytes({"--augment", "light"}) != plain);
  CHECK(bytes({"--lr-for", "head.*=0.01"}) != plain);
  const std::string mixed = bytes({"--mixup", "0.4"});
  CHECK(mixed != plain);
  CHECK(bytes({"--mixup", "0.4", "--threads", "2"}) == mixed);
}

TEST_CASE("tl finetune: the best epoch is kept and named; patience ends early", "[tl]") {
  const TwoClasses s;
  const std::string figures = s.folder / "figures.json";
  const std::vector<std::string> wild{"--method", "head", "--lr",       "20",
                                      "--epochs", "30",   "--json-out", figures};
  Outcome o = tl_program(s.command(wild));
  CAPTURE(o.out, o.err);
  REQUIRE(o.status == 0);
  Json json = Json::parse(read_file(figures));
  const std::size_t kept = json["kept_epoch"];
  CHECK(json["epochs"].size() == 30);
  CHECK(json["valid_files"].size() == json["valid_images"]);
  CHECK(json["valid_accuracy"] == json["epochs"][kept - 1]["valid_accuracy"]);
  CHECK((o.out.find(concat("kept epoch ", kept, ",")) != std::string::npos) == (kept < 30));

  std::vector<std::string> patient = wild;
  patient.insert(patient.end(), {"--patience", "1"});
  o = tl_program(s.command(patient));
  REQUIRE(o.status == 0);
  json = Json::parse(read_file(figures));
  CHECK(json["epochs"].size() < 30);
  CHECK(o.out.find("written: ") != std::string::npos);

  std::vector<std::string> last = wild;
  last.push_back("--last-epoch");
  o = tl_program(s.command(last));
  REQUIRE(o.status == 0);
  CHECK(Json::parse(read_file(figures))["kept_epoch"] == 30);
  CHECK(o.out.find("kept epoch") == std::string::npos);
}

TEST_CASE("tl finetune: features are kept between runs, and the frozen part's hash is told", "[tl]") {
  const TwoClasses s;
  const std::string cache = s.folder / "cache", figures = s.folder / "figures.json";
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"--cache", cache, "--json-out", figures};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome o = tl_program(s.command(all));
    CAPTURE(o.out, o.err);
    REQUIRE(o.status == 0);
    return std::pair(o.out, Json::parse(std::ifstream(figures)));
  };
  const auto [first, first_json] = run({"--method", "head"});
  CHECK(first.find("features: 16 rows computed in ") != std::string::npos);
  CHECK(first.find(" a second; all others found in " + cache) != std::string::npos);
  CHECK(first_json["features_computed"] == 16);
  CHECK(first_json["features_seconds"] > 0);
  const std::string written = read_file(s.out), hash = first_json["frozen_sha256"];
  CHECK(hash.size() == 64);
  CHECK(first.find("SHA-256 " + hash.substr(0, 16) + " before and after") != std::string::npos);

  const auto [second, second_json] = run({"--method", "head"});
  CHECK(second.find("features: 0 rows computed; all") != std::string::npos);
  CHECK(second_json["frozen_sha256"] == hash);
  CHECK(read_file(s.out) == written);
  CHECK(run({"--method", "features"}).second["features_computed"] == 0);
  CHECK(run({"--method", "head", "--views", "3"}).second["features_computed"] ==
        3 * 12);  // 4 validate, as before
  CHECK(run({"--method", "head", "--size", "24"}).second["features_computed"] == 16);
  CHECK_FALSE(run({"--method", "full"}).second["frozen_sha256"].get<std::string>().size() == 64);
}

TEST_CASE("tl finetune: a broken image is named and left out, or an error", "[tl]") {
  const TwoClasses s;
  write_file_atomically(fs::path(s.photos) / "red" / "broken.jpg", "this is text");
  const Outcome o = tl_program(s.command());
  CAPTURE(o.err);
  CHECK(o.status == 0);
  CHECK(o.err.find("broken.jpg") != std::string::npos);
  CHECK(o.err.find("1 image could not be read") != std::string::npos);
  fs::remove(s.out);
  const Outcome strict = tl_program(s.command({"--strict"}));
  CHECK(strict.status == 2);
  CHECK(is_one_line(strict.err));
  CHECK(strict.err.find("broken.jpg") != std::string::npos);
  s.nothing_written();
}

TEST_CASE("tl finetune: input that is refused", "[tl]") {
  TwoClasses s;
  SECTION("weights that are missing") { fs::remove(s.weights), s.refused({}, "weights.onnx"); }
  SECTION("weights that are cut off") {
    fs::resize_file(s.weights, fs::file_size(s.weights) / 2);
    s.refused({}, "weights.onnx");
  }
  SECTION("a folder that is missing") { fs::remove_all(s.photos), s.refused({}, "there is no folder"); }
  SECTION("an empty folder") {
    fs::remove_all(s.photos);
    fs::create_directory(s.photos);
    s.refused({}, "there is no image in folder");
  }
  SECTION("one class") { fs::remove_all(fs::path(s.photos) / "red"), s.refused({}, "at least two classes"); }
  SECTION("classes to validate with that are not trained") {
    TwoClasses::add_class(s.folder / "valid", "green", 2);
    s.refused({"--valid", (s.folder / "valid").string()}, "unknown class 'green'");
  }
  SECTION("a size of 0") { s.refused({"--size", "0"}, "--size"); }
  SECTION("no epochs") { s.refused({"--epochs", "0"}, "--epochs"); }
  SECTION("a method that there is not") {
    s.refused({"--method", "everything"}, "unknown method 'everything'");
  }
  SECTION("a recipe that makes no sense") {
    s.refused({"--optimiser", "adam"}, "unknown optimiser 'adam': expected sgd or adamw");
    s.refused({"--smoothing", "1.5"}, "--smoothing");
    s.refused({"--mixup", "-1"}, "--mixup");
    s.refused({"--head", "broad"}, "unknown head 'broad': expected plain, wide, mirrored or both");
    s.refused({"--mixup", "nan"}, "expected numbers after --smoothing, --mixup");
    s.refused({"--patience", "0"}, "--patience");
    s.refused({"--lr-later", "-1"}, "--lr-later");
    s.refused({"--lr-earlier", "much"}, "--lr-earlier");
    s.refused({"--lr-for", "layer2.*"}, "expected GLOB=RATE such as 'layer4.*=0.001', got 'layer2.*'");
    s.refused({"--lr-for", "layer2.*=fast"}, "expected GLOB=RATE");
    s.refused({"--lr-for", "layer9.*=0.1"}, "no parameter matches 'layer9.*'");
    s.refused({"--augment", "flip=2"}, "[augment] expected a probability of flips in 0 to 1, got 2");
    s.refused({"--augment", "heavy"}, "[augment] 'heavy': expected none, light, photos or small");
    s.refused({"--method", "features", "--balance"}, "--method features has no epochs");
  }
  SECTION("a classifier that there is not, or that is no layer") {
    s.refused({"--method", "features", "--classifier", "forest"}, "unknown classifier 'forest'");
    s.refused({"--method", "features", "--classifier", "knn"}, "use softmax, svm or ridge");
  }
  SECTION("a classifier for another method") {
    s.refused({"--method", "head", "--classifier", "svm"}, "--classifier is for --method features");
  }
  SECTION("layers to train with a method that trains none") {
    s.refused({"--method", "features", "--train", "conv1.*"}, "without --train and --freeze");
  }
  SECTION("a glob that matches nothing") {
    s.refused({"--freeze", "layer9.*"}, "no parameter matches 'layer9.*'");
    s.refused({"--freeze", "layr2.*"},
              "no parameter matches 'layr2.*': did you mean 'layer2.*'? (see tl inspect)");
  }
  SECTION("everything frozen") { s.refused({"--freeze", "*"}, "nothing to train"); }
  SECTION("a preprocessing that makes no sense") { s.refused({"--preprocess", "crop=-3"}, "crop"); }
  SECTION("a file to write in a folder that is not there") {
    s.out = s.folder / "no/such/out.onnx";
    s.refused({}, "cannot write");
  }
  SECTION("a folder as the file to write") {
    s.out = s.photos;
    s.refused({}, "cannot write");
  }
}

TEST_CASE("tl finetune: a folder for features that cannot be made", "[tl]") {
  const TwoClasses s;
  std::ofstream(s.folder / "file") << "in the way";
  s.refused({"--method", "head", "--cache", s.folder / "file"}, "choose another one for the features");
  s.refused({"--views", "0"}, "--views");
}

TEST_CASE("tl inspect: what a method freezes and how it runs", "[tl]") {
  const TwoClasses s;
  const Outcome text = tl_program({"inspect", s.weights, "--plan", "head"});
  CAPTURE(text.out, text.err);
  CHECK(text.status == 0);
  CHECK(text.out.find("plan of tl finetune --method head") != std::string::npos);
  const Json head = Json::parse(tl_program({"inspect", s.weights, "--plan", "head", "--json"}).out)["plan"];
  CHECK(head["features_shape"] == Json({1, 16}));
  CHECK(head["trained_parameters"] == 7 * 16 + 7);
  CHECK(head["batch_norms_folded"] == 6);
  CHECK_FALSE(head["operations"].contains("batch_norm"));
  const Json full = Json::parse(tl_program({"inspect", s.weights, "--plan", "full", "--json"}).out)["plan"];
  CHECK(full["frozen_layers"] == 0);
  CHECK(full["features_shape"] == Json({1, 3, 16, 16}));
  check_refused({"inspect", s.weights, "--plan", "all"}, "unknown method 'all'");
}

TEST_CASE("tl finetune: where nothing says how images are prepared, the assumption is told", "[tl]") {
  const TwoClasses s;
  const Outcome o = tl_program({"finetune", s.photos, "--weights", s.weights, "--out", s.out, "--epochs", "1",
                                "--size", "16", "--threads", "1"});
  CAPTURE(o.err);
  CHECK(o.status == 0);
  CHECK(o.err.find("assuming the ImageNet standard") != std::string::npos);
}
