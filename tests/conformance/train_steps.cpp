// The tl side of torch_training.py: gradients of a network, or a few steps of training it.
//
//   train_steps MODEL.onnx IMAGES.npy LABELS.npy --gradients OUT.safetensors [--mode eval] [--type double]
//   train_steps MODEL.onnx IMAGES.npy LABELS.npy --steps 3 --lr 0.01 --out NEW.onnx --logits OUT.npy
//
// Images are (N,C,H,W), labels (N) whole numbers. Gradients are those of the mean cross-entropy, by the names
// of the parameters, in training mode or, with `--mode eval`, with running statistics. The steps are SGD's
// with momentum 0.9 and weight decay 1e-4, in float; the logits are the trained network's in inference.
#include <iostream>
#include <map>
#include <string>

#include <tl/io/safetensors.hpp>
#include <tl/tl.hpp>

namespace {

class Arguments {
 public:
  Arguments(int argc, char** argv) {
    TL_CHECK(argc >= 6 && argc % 2 == 0,
             "usage: train_steps MODEL.onnx IMAGES.npy LABELS.npy --OPTION VALUE ...");
    model = argv[1], images = argv[2], labels = argv[3];
    for (int i = 4; i < argc; i += 2) options_[argv[i]] = argv[i + 1];
  }
  bool has(const std::string& option) const { return options_.count(option) > 0; }
  const std::string& operator[](const std::string& option) const {
    TL_CHECK(has(option), "expected the option ", option);
    return options_.at(option);
  }

  std::string model, images, labels;

 private:
  std::map<std::string, std::string> options_;
};

template <class T>
void write_gradients(const Arguments& arguments) {
  tl::Model<T> model = tl::onnx::load<T>(arguments.model);
  const tl::Var<T> images(tl::io::read_npy<float>(arguments.images).cast<T>());
  model.train(!arguments.has("--mode") || arguments["--mode"] == "train");
  tl::cross_entropy(model.forward(images), tl::io::read_npy<std::int64_t>(arguments.labels)).backward();
  tl::io::NamedTensors gradients;
  for (const tl::nn::Named<T>& p : model.parameters()) {
    if (p.var.grad().defined()) gradients.tensors[p.name] = p.var.grad().template cast<float>();
  }
  tl::io::write_safetensors(arguments["--gradients"], gradients);
}

void train(const Arguments& arguments) {
  tl::Model<float> model = tl::onnx::load<float>(arguments.model);
  const auto images = tl::io::read_npy<float>(arguments.images);
  const auto labels = tl::io::read_npy<std::int64_t>(arguments.labels);
  tl::optim::Sgd<float> sgd({{.params = model.parameters(), .lr = std::stod(arguments["--lr"])}},
                            {.momentum = 0.9, .weight_decay = 1e-4});
  model.train();
  for (int left = std::stoi(arguments["--steps"]); left > 0; --left) {
    tl::cross_entropy(model.forward(tl::Var<float>(images)), labels).backward();
    sgd.step();
    sgd.zero_grad();
  }
  model.eval();
  tl::io::write_npy(arguments["--logits"], model.predict(images));
  tl::onnx::save(model, arguments["--out"]);
}

}  // namespace

int main(int argc, char** argv) try {
  const Arguments arguments(argc, argv);
  if (!arguments.has("--gradients")) {
    train(arguments);
  } else if (arguments.has("--type") && arguments["--type"] == "double") {
    write_gradients<double>(arguments);
  } else {
    write_gradients<float>(arguments);
  }
} catch (const std::exception& error) {
  std::cerr << "train_steps: " << error.what() << '\n';
  return 2;
}
