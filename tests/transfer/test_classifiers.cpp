// Classifiers on features: closed forms worked by hand, scikit-learn's results, refitting without each
// sample, degenerate features, threads, and input that is refused.
#include <functional>

#include <tl/transfer/classifiers/neighbours.hpp>
#include <tl/transfer/classifiers/ridge.hpp>
#include <tl/transfer/classifiers/softmax.hpp>
#include <tl/transfer/classifiers/svm.hpp>

#include "support/fixtures.hpp"

using namespace tl;
using namespace tl::test;
using namespace tl::transfer;
using Labels = Tensor<std::int64_t>;

namespace {

constexpr LinearOptions exact{.penalty = 0.3, .tolerance = 1e-10};

/// Features (n,width) of n % classes, the class's own columns moved.
Tensor<float> clouds(Index n, Index width, Index classes) {
  Tensor<float> x = hash_tensor<float>("clouds", {n, width});
  for (Index i = 0; i < n; ++i) {
    for (Index j = i % classes; j < width; j += classes) x.mutable_data()[i * width + j] += 0.4f;
  }
  return x;
}
Labels in_turn(Index n, Index classes) {
  Labels labels = Labels::empty({n});
  for (Index i = 0; i < n; ++i) labels.mutable_data()[i] = i % classes;
  return labels;
}

/// Two samples on a line, 3 of class 0 and 7 of class 1; standardised they are -1 and 1.
const Tensor<float> two = Tensor<float>::from({3, 7}, {2, 1});
const Labels two_labels = Labels::from({0, 1}, {2});

/// A classifier of `two` whose standardised weight is w for class 1 and -w for class 0.
void check_two(const LinearClassifier& c, double w) {
  const auto slope = static_cast<float>(w / 2), bias = static_cast<float>(5 * w / 2);
  CHECK(relative_difference(c.weight, Tensor<float>::from({-slope, slope}, {2, 1})) < 1e-6);
  CHECK(relative_difference(c.bias, Tensor<float>::from({bias, -bias}, {2})) < 1e-6);
  CHECK(values_of(c.predict(Tensor<float>::from({4.9f, 5.1f, -80}, {3, 1}))) ==
        std::vector<std::int64_t>{0, 1, 0});
}

struct SklearnFixture {
  Json json = read_fixture("classifiers.json");
  Tensor<float> features = matrix(json["features"]), queries = matrix(json["queries"]);
  Labels labels = Labels::from(json["labels"].get<std::vector<std::int64_t>>(), {60});

  static Tensor<float> matrix(const Json& rows) {
    std::vector<float> values;
    for (const Json& row : rows) {
      for (const Json& value : row) values.push_back(value.get<float>());
    }
    const auto n = static_cast<Index>(rows.size());
    return Tensor<float>::from(values, {n, static_cast<Index>(values.size()) / n});
  }
};

using Matrix = Eigen::MatrixXd;

Matrix one_against_rest(const Labels& labels, Index classes) {
  Matrix t = Matrix::Constant(labels.size(), classes, -1);
  for (Index i = 0; i < labels.size(); ++i) t(i, labels.at(i)) = 1;
  return t;
}

/// Mean squared error of ridge regressions that are fitted anew without each sample in turn.
double refitted_error(const Matrix& z, const Matrix& t, double alpha) {
  double sum = 0;
  for (Index left_out = 0; left_out < z.rows(); ++left_out) {
    std::vector<Index> rows;
    for (Index i = 0; i < z.rows(); ++i) {
      if (i != left_out) rows.push_back(i);
    }
    const Matrix x = z(rows, Eigen::all), y = t(rows, Eigen::all);
    const Eigen::RowVectorXd x_mean = x.colwise().mean(), y_mean = y.colwise().mean();
    const Matrix xc = x.rowwise() - x_mean, yc = y.rowwise() - y_mean;
    const Matrix ridge = xc.transpose() * xc + alpha * Matrix::Identity(z.cols(), z.cols());
    const Matrix w = ridge.ldlt().solve(xc.transpose() * yc);
    sum += (t.row(left_out) - y_mean - (z.row(left_out) - x_mean) * w).squaredNorm();
  }
  return sum / static_cast<double>(t.size());
}

}  // namespace

// ---- By hand ----

TEST_CASE("ridge of two samples: w = 1 / (1 + penalty); without one, the other is taken for its opposite") {
  const RidgeFit fit = fit_ridge(two, two_labels, 2, {.penalties = {0.25}});
  check_two(fit.classifier, 1 / 1.25);
  CHECK(fit.leave_one_out[0] == Approx(4));
}

TEST_CASE("svm of two samples: w = 2 / (2 + penalty)") {
  const LinearFit fit = fit_svm(two, two_labels, 2, exact);
  check_two(fit.classifier, 2 / 2.3);
  CHECK(fit.objective == Approx(2 * 0.3 * 0.3 / (2.3 * 2.3) + 0.3 * 4 / (2.3 * 2.3)));
}

TEST_CASE("softmax of two samples: penalty w = 1 / (1 + exp(2 w))") {
  const LinearFit fit = fit_softmax(two, two_labels, 2, exact);
  const double w = 2 * static_cast<double>(fit.classifier.weight.at(1, 0));
  CHECK(0.3 * w == Approx(1 / (1 + std::exp(2 * w))).epsilon(1e-6));
  check_two(fit.classifier, w);
}

TEST_CASE("softmax of a feature that says nothing gives the shares of the classes") {
  const LinearFit fit =
      fit_softmax(Tensor<float>::full({4, 1}, 5), Labels::from({0, 1, 0, 0}, {4}), 2, exact);
  CHECK(largest_value(fit.classifier.weight) == 0);
  CHECK(fit.classifier.bias.at(0) - fit.classifier.bias.at(1) == Approx(std::log(3.0)));
}

TEST_CASE("neighbours on a line: votes, ties and the number of neighbours") {
  const auto x = Tensor<float>::from({0, 1, 2, 10, 11, 13}, {6, 1});
  const auto labels = Labels::from({0, 0, 0, 1, 1, 1}, {6});
  const auto with = [&](std::vector<Index> candidates) {
    return NearestNeighbours(x, labels, 2, {.distance = Distance::euclidean, .candidates = candidates});
  };
  const auto query = Tensor<float>::from({5.8f, 6.2f}, {2, 1});
  CHECK(values_of(with({1}).predict(query)) == std::vector<std::int64_t>{0, 1});
  CHECK(values_of(with({3}).scores(query)) ==
        std::vector<float>{1.0f / 3 + 1.0f / 3, 1.0f / 3, 1.0f / 3, 1.0f / 3 + 1.0f / 3});
  CHECK(values_of(with({2}).predict(query)) == std::vector<std::int64_t>{0, 0});  // one vote each
  CHECK(with({5}).leave_one_out() == 0);  // two of the sample's own class, three of the other
  CHECK(with({5, 3, 1}).k() == 3);
  CHECK(with({1, 3, 99}).k() == 1);
  CHECK(with({1}).leave_one_out() == 1);
}

TEST_CASE("cosine distance minds the direction alone, and bears a zero") {
  const auto x = Tensor<float>::from({1, 0, 100, 1, 0, 1, 1, 100, 0, 0}, {5, 2});
  const NearestNeighbours nearest(x, Labels::from({0, 0, 1, 1, 0}, {5}), 2, {.candidates = {1}});
  CHECK(values_of(nearest.predict(Tensor<float>::from({9, 1, 0.1f, 5, 0, 0}, {3, 2}))) ==
        std::vector<std::int64_t>{0, 1, 0});
}

// ---- Against others ----

TEST_CASE("classifiers give scikit-learn's scores") {
  const SklearnFixture f;
  const auto scores_of = [&](const char* name) { return f.matrix(f.json[name]["scores"]); };
  const LinearOptions options{.penalty = 0.01, .tolerance = 1e-9};
  REQUIRE(60 * f.json["svm"]["C"].get<double>() * options.penalty == Approx(1));
  REQUIRE(60 * f.json["softmax"]["C"].get<double>() * options.penalty == Approx(1));
  const LinearFit softmax = fit_softmax(f.features, f.labels, 3, options);
  CHECK(softmax.gradient <= options.tolerance);
  CHECK(relative_difference(softmax.classifier.scores(f.queries), scores_of("softmax")) < 2e-6);
  const LinearFit svm = fit_svm(f.features, f.labels, 3, options);
  CHECK(svm.gradient <= options.tolerance);
  CHECK(relative_difference(svm.classifier.scores(f.queries), scores_of("svm")) < 2e-6);

  RidgeOptions grid{{}};
  for (const Json& alpha : f.json["ridge"]["alphas"]) grid.penalties.push_back(alpha.get<double>() / 60);
  const RidgeFit ridge = fit_ridge(f.features, f.labels, 3, grid);
  CHECK(60 * ridge.penalty == Approx(f.json["ridge"]["alpha"].get<double>()));
  for (std::size_t i = 0; i < grid.penalties.size(); ++i)
    CHECK(ridge.leave_one_out[i] == Approx(f.json["ridge"]["errors"][i].get<double>()).epsilon(1e-9));
  CHECK(relative_difference(ridge.classifier.scores(f.queries), scores_of("ridge")) < 2e-6);

  for (const Distance distance : {Distance::cosine, Distance::euclidean}) {
    const NearestNeighbours nearest(f.features, f.labels, 3, {.distance = distance, .candidates = {5}});
    const char* name = distance == Distance::cosine ? "cosine" : "euclidean";
    CHECK(relative_difference(nearest.scores(f.queries), f.matrix(f.json["neighbours"][name])) < 1e-6);
  }
}

TEST_CASE(
    "ridge: the leave-one-out error is that of refitting without each sample, and w solves its equations") {
  const auto [n, width] = GENERATE(table<Index, Index>({{20, 6}, {9, 9}, {8, 25}}));
  const Tensor<float> x = clouds(n, width, 3);
  const Labels labels = in_turn(n, 3);
  const std::vector<double> penalties{2, 0.1, 1e-3};
  const RidgeFit fit = fit_ridge(x, labels, 3, {.penalties = penalties});
  const Scale scale = scale_of(x);
  const Tensor<double> standard = standardised<double>(x, scale);
  const Matrix z = as_matrix(standard), t = one_against_rest(labels, 3);
  for (std::size_t i = 0; i < penalties.size(); ++i) {
    CAPTURE(n, width, penalties[i]);
    const double alpha = static_cast<double>(n) * penalties[i];
    CHECK(fit.leave_one_out[i] == Approx(refitted_error(z, t, alpha)).epsilon(1e-8));

    const LinearClassifier c = fit_ridge(x, labels, 3, {.penalties = {penalties[i]}}).classifier;
    Matrix w = as_matrix(c.weight).cast<double>().transpose();
    for (Index j = 0; j < width; ++j) w.row(j) /= scale.factor[static_cast<std::size_t>(j)];
    const Matrix centred = t.rowwise() - t.colwise().mean();
    CHECK((z.transpose() * (centred - z * w) - alpha * w).norm() < 1e-5 * (z.transpose() * centred).norm());
  }
}

// ---- Degenerate features ----

TEST_CASE("linear classifiers: constant and repeated columns, and duplicate samples") {
  using Fit = std::function<LinearClassifier(const Tensor<float>&, const Labels&)>;
  const Fit fits[] = {
      [](const auto& x, const auto& y) { return fit_softmax(x, y, 3, exact).classifier; },
      [](const auto& x, const auto& y) { return fit_svm(x, y, 3, exact).classifier; },
      [](const auto& x, const auto& y) { return fit_ridge(x, y, 3, {.penalties = {0.3}}).classifier; }};
  const Tensor<float> x = clouds(30, 4, 3);
  const Labels labels = in_turn(30, 3);
  Tensor<float> wide = Tensor<float>::empty({30, 6}), doubled = Tensor<float>::empty({60, 4});
  for (Index i = 0; i < 30; ++i) {
    for (Index j = 0; j < 4; ++j) {
      wide.set(x.at(i, j), i, j);
      doubled.set(x.at(i, j), i, j);
      doubled.set(x.at(i, j), i + 30, j);
    }
    wide.set(1e4f + 0.001f * static_cast<float>(i % 2), i, 4);  // rounding
    wide.set(2 * x.at(i, 0) + 1, i, 5);                         // says what column 0 says
  }
  for (const Fit& fit : fits) {
    const LinearClassifier c = fit(wide, labels);
    for (Index k = 0; k < 3; ++k) {
      CHECK(c.weight.at(k, 4) == 0);
      CHECK(c.weight.at(k, 0) == Approx(2 * c.weight.at(k, 5)).epsilon(1e-4).margin(1e-6));
    }
    // Two samples for each with twice the count: the same problem.
    CHECK(relative_difference(fit(doubled, in_turn(60, 3)).weight, fit(x, labels).weight) < 1e-5);
  }
}

TEST_CASE("classifiers separate more columns than samples") {
  const Tensor<float> x = clouds(12, 50, 3);
  const Labels labels = in_turn(12, 3);
  const std::vector<std::int64_t> truth = values_of(labels);
  CHECK(values_of(fit_softmax(x, labels, 3).classifier.predict(x)) == truth);
  CHECK(values_of(fit_svm(x, labels, 3).classifier.predict(x)) == truth);
  CHECK(values_of(fit_ridge(x, labels, 3).classifier.predict(x)) == truth);
  CHECK(values_of(NearestNeighbours(x, labels, 3, {.candidates = {1}}).predict(x)) == truth);
}

// ---- Threads, and what is refused ----

TEST_CASE("classifiers give the same bits at any number of threads") {
  for (const auto& [n, width] : {std::pair<Index, Index>{400, 150}, {150, 400}}) {
    const Tensor<float> x = clouds(n, width, 5);
    const Labels labels = in_turn(n, 5);
    std::vector<Tensor<float>> first;
    for (const int threads : {1, 2, 3, 8}) {
      const ScopedThreads scope(threads);
      std::vector<Tensor<float>> got;
      for (const LinearClassifier& c :
           {fit_softmax(x, labels, 5).classifier, fit_svm(x, labels, 5).classifier,
            fit_ridge(x, labels, 5).classifier}) {
        got.push_back(c.weight);
        got.push_back(c.bias);
      }
      for (const Distance distance : {Distance::cosine, Distance::euclidean})
        got.push_back(NearestNeighbours(x, labels, 5, {.distance = distance}).scores(x));
      if (first.empty()) first = got;
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], first[i]));
      CHECK(num_threads() == threads);
    }
  }
}

TEST_CASE("classifiers refuse what cannot be learned") {
  using Fit = std::function<void(const Tensor<float>&, const Labels&, Index)>;
  const Fit fits[] = {[](const auto& x, const auto& y, Index classes) { fit_softmax(x, y, classes); },
                      [](const auto& x, const auto& y, Index classes) { fit_svm(x, y, classes); },
                      [](const auto& x, const auto& y, Index classes) { fit_ridge(x, y, classes); },
                      [](const auto& x, const auto& y, Index classes) { NearestNeighbours(x, y, classes); }};
  const Tensor<float> x = clouds(6, 2, 2);
  Tensor<float> damaged = x.clone();
  damaged.set(NAN, 3, 1);
  for (const Fit& fit : fits) {
    CHECK_THROWS_WITH(fit(Tensor<float>::empty({0, 2}), Labels::empty({0}), 2),
                      contains("expected features (N,D), got (0,2)"));
    CHECK_THROWS_WITH(fit(Tensor<float>(), Labels::empty({0}), 2), contains("expected features (N,D)"));
    CHECK_THROWS_WITH(fit(Tensor<float>::ones({6, 2, 1}), in_turn(6, 2), 2), contains("got (6,2,1)"));
    CHECK_THROWS_WITH(fit(damaged, in_turn(6, 2), 2), contains("finite features, got NaN"));
    CHECK_THROWS_WITH(fit(x, in_turn(5, 2), 2), contains("expected labels (6), got (5)"));
    CHECK_THROWS_WITH(fit(x, in_turn(6, 3), 2), contains("expected labels below 2, got 2"));
    CHECK_THROWS_WITH(fit(x, Labels::full({6}, -1), 2), contains("expected labels below 2, got -1"));
    CHECK_THROWS_WITH(fit(x, in_turn(6, 2), 4), contains("samples of every class, got none of class 2"));
    CHECK_THROWS_WITH(fit(x, Labels::zeros({6}), 1), contains("at least two classes, got 1"));
  }
  const Labels labels = in_turn(6, 2);
  CHECK_THROWS_WITH(fit_softmax(x, labels, 2, {.penalty = -1}), contains("a penalty above 0, or 0 for"));
  CHECK_THROWS_WITH(fit_svm(x, labels, 2, {.penalty = NAN}), contains("own choice, got nan"));
  CHECK_THROWS_WITH(fit_ridge(x, labels, 2, {.penalties = {}}), contains("at least one penalty"));
  CHECK_THROWS_WITH(fit_ridge(x, labels, 2, {.penalties = {1, NAN}}), contains("penalties above 0, got nan"));
  CHECK_THROWS_WITH(NearestNeighbours(x, labels, 2, {.candidates = {0}}), contains("at least one neighbour"));
  CHECK_THROWS_WITH(NearestNeighbours(x, labels, 2, {.candidates = {6}}),
                    contains("below that of the samples, 6"));
  const LinearClassifier c = fit_ridge(x, labels, 2).classifier;
  CHECK_THROWS_WITH(c.predict(Tensor<float>::ones({1, 3})), contains("[linear] expected"));
  CHECK_THROWS_WITH(c.predict(damaged), contains("finite features"));
  CHECK_THROWS_WITH(NearestNeighbours(x, labels, 2).predict(Tensor<float>::ones({1, 3})),
                    contains("expected features (N,2), got (1,3)"));
}

TEST_CASE("training that may not iterate long enough says how far it came") {
  const LinearFit fit = fit_softmax(clouds(40, 10, 4), in_turn(40, 4), 4, {.penalty = 1e-4, .iterations = 3});
  CHECK(fit.iterations == 3);
  CHECK(fit.gradient > 1e-4);
}
