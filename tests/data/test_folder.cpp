// Folders of classes, labels files, lists of images: what is found, and what is said when nothing is.
#include <tl/data/folder.hpp>
#include <tl/data/labels.hpp>

#include "data/image_checks.hpp"

using namespace tl;
using namespace tl::data;
using namespace tl::test;

namespace {

namespace fs = std::filesystem;

void touch(const fs::path& path) { put_file(path, "x"); }

/// "file:label file:label ..." with paths relative to root.
std::string told(const Dataset& dataset, const fs::path& root) {
  std::string text;
  for (const Sample& sample : dataset.samples) {
    text +=
        concat(text.empty() ? "" : " ", fs::relative(sample.path, root).generic_string(), ':', sample.label);
  }
  return text;
}

}  // namespace

TEST_CASE("one folder a class", "[data]") {
  TemporaryFolder root;
  for (const char* name :
       {"dogs/b.PNG", "dogs/a.jpg", "cats/inner/deep/z.jpeg", "cats/c.bmp", "cats/.hidden.jpg",
        "cats/notes.txt", "cats/.cache/x.jpg", ".git/y.jpg", "empty/readme.md", "stray.jpg", "cats/d.jfif"}) {
    touch(root / name);
  }
  const ImageFolder folder = image_folder(root.path());
  CHECK(folder.classes() == std::vector<std::string>{"cats", "dogs"});
  CHECK(told(folder.train, root.path()) ==
        "cats/c.bmp:0 cats/d.jfif:0 cats/inner/deep/z.jpeg:0 dogs/a.jpg:1 dogs/b.PNG:1");
  CHECK(folder.valid.empty());
  CHECK(folder.train.class_counts() == std::vector<Index>{3, 2});
  REQUIRE(folder.notes.size() == 2);
  CHECK_THAT(folder.notes[0], contains("'empty'"));
  CHECK_THAT(folder.notes[1], contains("1 image ") && contains("no class"));
  CHECK_NOTHROW(check_trainable(folder.train));
}

TEST_CASE("train and valid set apart", "[data]") {
  for (const char* valid : {"valid", "val"}) {
    TemporaryFolder root;
    for (const char* name : {"train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg"}) touch(root / name);
    touch(root.path() / valid / "c/2.jpg");
    touch(root.path() / valid / "a/2.jpg");
    const ImageFolder folder = image_folder(root.path());
    CHECK(folder.classes() == std::vector<std::string>{"a", "b", "c"});
    CHECK(folder.valid.class_names == folder.classes());
    CHECK(told(folder.train, root / "train") == "a/1.jpg:0 b/1.jpg:1 c/1.jpg:2");
    CHECK(told(folder.valid, root / valid) == "a/2.jpg:0 c/2.jpg:2");

    touch(root.path() / valid / "zebra/2.jpg");
    CHECK_THROWS_WITH(image_folder(root.path()),
                      contains("unknown class 'zebra'") && contains("'a', 'b', 'c'"));
  }
  TemporaryFolder root;  // without valid/, train is a class like any other
  touch(root / "train/1.jpg");
  touch(root / "plane/1.jpg");
  CHECK(image_folder(root.path()).classes() == std::vector<std::string>{"plane", "train"});
}

TEST_CASE("links in a circle come to an end", "[data]") {
  TemporaryFolder root;
  touch(root / "a/1.jpg");
  touch(root / "b/1.jpg");
  fs::create_directory_symlink(root.path(), root / "a/up");
  fs::create_directory_symlink(root / "a", root / "a/self");
  fs::create_symlink(root / "a/1.jpg", root / "b/link.jpg");
  fs::create_symlink(root / "gone.jpg", root / "b/gone.jpg");
  const ImageFolder folder = image_folder(root.path());
  CHECK(folder.classes() == std::vector<std::string>{"a", "b"});
  std::size_t in_b = 0;
  for (const Sample& sample : folder.train.samples) in_b += sample.label == 1 ? 1 : 0;
  CHECK(in_b == 3);  // a link that leads nowhere is listed, so that loading it can say so
}

TEST_CASE("folders that cannot serve say why", "[data]") {
  TemporaryFolder root;
  CHECK_THROWS_WITH(image_folder(root / "missing"), contains("there is no folder") && contains("missing"));
  CHECK_THROWS_WITH(image_folder(root.path()), contains("there is no image"));
  fs::create_directory(root / "class");
  CHECK_THROWS_WITH(image_folder(root.path()), contains("there is no image"));
  touch(root / "photo.jpg");
  CHECK_THROWS_WITH(image_folder(root.path()), contains("1 image but no folder for each class"));
  CHECK_THROWS_WITH(image_folder(root / "photo.jpg"), contains("is not a folder"));
  touch(root / "class/1.jpg");
  const ImageFolder folder = image_folder(root.path());
  CHECK_THROWS_WITH(check_trainable(folder.train),
                    contains("at least two classes") && contains("only 'class'"));
  CHECK_THROWS_WITH(check_trainable(Dataset{}), contains("none"));
}

TEST_CASE("classes are matched by name", "[data]") {
  const Dataset dataset{{{"x", 0}, {"y", 1}, {"z", -1}}, {"dog", "cat"}};
  const Dataset matched = with_classes(dataset, {"ant", "cat", "cow", "dog"});
  CHECK(matched.samples[0].label == 3);
  CHECK(matched.samples[1].label == 1);
  CHECK(matched.samples[2].label == -1);
  CHECK(matched.class_names.size() == 4);
  CHECK_THROWS_WITH(with_classes(dataset, {"cat"}), contains("unknown class 'dog'"));
}

TEST_CASE("subsets keep classes and order", "[data]") {
  const Dataset dataset{{{"x", 0}, {"y", 1}, {"z", 0}}, {"a", "b"}};
  const Dataset part = dataset.subset({2, 1});
  CHECK(part.samples[0].path == "z");
  CHECK(part.samples[1].path == "y");
  CHECK(part.class_names == dataset.class_names);
  CHECK_THROWS_AS(dataset.subset({3}), Error);
}

TEST_CASE("images without labels", "[data]") {
  TemporaryFolder root;
  for (const char* name : {"in/b.jpg", "in/a/c.png", "alone.data", "empty/x.txt"}) touch(root / name);
  const Dataset dataset = image_files({root / "in", root / "alone.data"});
  CHECK(told(dataset, root.path()) == "in/b.jpg:-1 in/a/c.png:-1 alone.data:-1");
  CHECK_THROWS_WITH(image_files({root / "in", root / "nothing"}),
                    contains("no file or folder") && contains("nothing"));
  CHECK_THROWS_WITH(image_files({root / "empty"}), contains("no image in folder"));
  CHECK_THROWS_AS(image_files({}), Error);
}

TEST_CASE("labels files", "[data]") {
  TemporaryFolder root;
  for (const char* name : {"1.jpg", "2.jpg", "two words.jpg", "a,b.jpg", "in/3.jpg"}) touch(root / name);
  const auto read = [&](const char* text, const std::vector<std::string>& classes = {}) {
    put_file(root / "labels.csv", text);
    return labelled_images(root.path(), root / "labels.csv", classes);
  };
  Dataset dataset =
      read("path,label\n1.jpg,dog\r\n\n 2.jpg , cat\ntwo words.jpg,dog\n\"a,b.jpg\",\"big \"\"cat\"\"\"\n");
  CHECK(dataset.class_names == std::vector<std::string>{"big \"cat\"", "cat", "dog"});
  CHECK(told(dataset, root.path()) == "1.jpg:2 2.jpg:1 two words.jpg:2 a,b.jpg:0");

  dataset = read(
      "\xEF\xBB\xBF"
      "2.jpg 7\ntwo words.jpg 0\nin/3.jpg 2");
  CHECK(dataset.class_names.size() == 8);
  CHECK(told(dataset, root.path()) == "2.jpg:7 two words.jpg:0 in/3.jpg:2");

  dataset = read("1.jpg\tn02 b\t0\t32\n2.jpg\tn01 a\t1\t2\n");
  CHECK(dataset.class_names == std::vector<std::string>{"n01 a", "n02 b"});
  CHECK(told(dataset, root.path()) == "1.jpg:1 2.jpg:0");

  // With the classes of a network: names first, then indices.
  CHECK(told(read("1.jpg,fox\n2.jpg,2\n", {"ant", "fox", "owl"}), root.path()) == "1.jpg:1 2.jpg:2");
  CHECK(read("1.jpg,1\n", {"ant", "1"}).samples[0].label == 1);

  CHECK_THROWS_WITH(read("1.jpg,fox\n2.jpg,bear\n", {"ant", "fox"}),
                    contains("line 2") && contains("unknown class 'bear'") && contains("'ant', 'fox'"));
  CHECK_THROWS_WITH(read("1.jpg,2\n", {"ant", "fox"}), contains("unknown class '2'"));
  CHECK_THROWS_WITH(read("1.jpg,-1\n", {"ant", "fox"}), contains("unknown class '-1'"));
  CHECK_THROWS_WITH(read("1.jpg,a\nmissing.jpg,b\n"), contains("line 2") && contains("missing.jpg"));
  CHECK_THROWS_WITH(read("1.jpg,a,b\n"), contains("line 1") && contains("expected a path and a class"));
  CHECK_THROWS_WITH(read("1.jpg\n"), contains("line 1"));
  CHECK_THROWS_WITH(read("1.jpg,\n"), contains("line 1"));
  CHECK_THROWS_WITH(read("\n\n"), contains("no lines"));
  CHECK_THROWS_WITH(read("1.jpg,100000\n"), contains("class indices below 100000, got 100000"));
  CHECK_THROWS_WITH(read("1.jpg,99999999\n"), contains("class indices below"));
  CHECK_THROWS_WITH(labelled_images(root.path(), root / "in"), contains("directory"));
  CHECK_THROWS_WITH(labelled_images(root.path(), root / "none.csv"), contains("none.csv"));
  CHECK_THROWS_WITH(labelled_images(root / "none", root / "labels.csv"), contains("there is no folder"));
}
