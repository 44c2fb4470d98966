// Matrix products against three plain loops.
#include <vector>

#include <tl/kernels/reference/gemm.hpp>
#include "kernels/kernel_checks.hpp"

using namespace kernel_checks;
using tl::kernels::Trans;

namespace {

struct Case {
  Trans trans_a, trans_b;
  Index m, n, k, extra_a = 0, extra_b = 0, extra_c = 0;
  bool accumulate = false;
};

template <class T, class Gemm>
std::vector<T> product(const Case& s, const Gemm& gemm) {
  const Index lda = (s.trans_a == Trans::no ? s.k : s.m) + s.extra_a;
  const Index ldb = (s.trans_b == Trans::no ? s.n : s.k) + s.extra_b, ldc = s.n + s.extra_c;
  const auto a = converted<T>(random_values<float>((s.trans_a == Trans::no ? s.m : s.k) * lda, 1));
  const auto b = converted<T>(random_values<float>((s.trans_b == Trans::no ? s.k : s.n) * ldb, 2));
  auto c = converted<T>(random_values<float>(s.m * ldc, 3));
  gemm(s.trans_a, s.trans_b, s.m, s.n, s.k, a.data(), lda, b.data(), ldb, c.data(), ldc, s.accumulate);
  return c;
}

template <class T>
void check(const Case& s) {
  CAPTURE(s.trans_a == Trans::yes, s.trans_b == Trans::yes, s.m, s.n, s.k, s.accumulate);
  const auto got = product<T>(s, tl::kernels::gemm<T>);
  const auto want = product<Wide<T>>(s, tl::kernels::reference::gemm<Wide<T>>);
  // Rounding errors of a sum of k products grow at most like k, in fact like its square root.
  check_close(got, want, 4 + std::sqrt(static_cast<double>(s.k)));
  if (s.extra_c > 0) {  // what lies between the rows is not touched
    const auto before = converted<T>(random_values<float>(s.m * (s.n + s.extra_c), 3));
    Index changed = 0;
    for (Index i = 0; i < s.m; ++i) {
      for (Index j = s.n; j < s.n + s.extra_c; ++j) {
        changed += got[size_of(i * (s.n + s.extra_c) + j)] != before[size_of(i * (s.n + s.extra_c) + j)];
      }
    }
    CHECK(changed == 0);
  }
}

constexpr Trans both[] = {Trans::no, Trans::yes};

}  // namespace

TEMPLATE_TEST_CASE("gemm agrees with plain loops for every transpose and every tail", "[gemm]", float,
                   double) {
  on_each_isa([] {
    for (const Trans trans_a : both) {
      for (const Trans trans_b : both) {
        for (const Index m : {1, 2, 3, 5, 7, 13, 14, 15, 16, 27, 28, 29, 33, 61}) {
          for (const Index n : {1, 3, 7, 8, 9, 16, 17, 31, 32, 33, 65}) {
            check<TestType>({trans_a, trans_b, m, n, (m * 7 + n * 3) % 37 + 1});
          }
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("gemm over several blocks of k, rows apart, added to what is there", "[gemm]", float,
                   double) {
  on_each_isa([] {
    for (const Trans trans_a : both) {
      for (const Trans trans_b : both) {
        check<TestType>({trans_a, trans_b, 37, 50, 300, 3, 5, 7, true});
        check<TestType>({trans_a, trans_b, 3, 200, 515, 1, 2, 3, true});
        check<TestType>({trans_a, trans_b, 100, 5, 260, 1, 1, 9, true});
        check<TestType>({trans_a, trans_b, 20, 3, 1030, 0, 0, 1, false});
        check<TestType>({trans_a, trans_b, 65, 1100, 33, 0, 4, 1, false});
        check<TestType>({trans_a, trans_b, 40, 48, 1100, 2, 0, 2, false});
      }
    }
  });
}

TEMPLATE_TEST_CASE("gemm with an extent of 0", "[gemm]", float, double) {
  on_each_isa([] {
    for (const bool accumulate : {false, true}) {
      check<TestType>({Trans::no, Trans::no, 3, 5, 0, 1, 0, 2, accumulate});
      check<TestType>({Trans::no, Trans::yes, 0, 5, 4, 0, 0, 0, accumulate});
      check<TestType>({Trans::yes, Trans::no, 3, 0, 4, 0, 1, 1, accumulate});
    }
  });
}

TEMPLATE_TEST_CASE("gemm gives the same bits at any thread count", "[gemm]", float, double) {
  on_each_isa([] {
    for (const Trans trans_a : both) {
      for (const Trans trans_b : both) {
        for (const Index m : {1, 16, 49, 300}) {
          check_same_bits_at_any_thread_count([&] {
            return product<TestType>({trans_a, trans_b, m, 201, 530}, tl::kernels::gemm<TestType>);
          });
        }
      }
    }
  });
}

TEMPLATE_TEST_CASE("gemm passes NaN and infinity on, and reads nothing beyond its operands", "[gemm]", float,
                   double) {
  on_each_isa([] {
    const auto nan = std::numeric_limits<TestType>::quiet_NaN();
    for (const Trans trans_b : both) {
      for (const Index m : {2, 40}) {
        const Index n = 19, k = 21, ldb = (trans_b == Trans::no ? n : k) + 6;
        std::vector<TestType> a(size_of(m * k), 1), c(size_of(m * n), nan);
        std::vector<TestType> b(size_of((trans_b == Trans::no ? k : n) * ldb), nan);
        for (Index i = 0; i < k; ++i) {
          for (Index j = 0; j < n; ++j) b[size_of(trans_b == Trans::no ? i * ldb + j : j * ldb + i)] = 1;
        }
        a[size_of(k)] = nan;  // row 1
        tl::kernels::gemm(Trans::no, trans_b, m, n, k, a.data(), k, b.data(), ldb, c.data(), n, false);
        Index wrong = 0;
        for (Index i = 0; i < m * n; ++i) {
          wrong += i / n == 1 ? !std::isnan(c[size_of(i)]) : c[size_of(i)] != TestType(k);
        }
        CHECK(wrong == 0);
      }
    }
  });
}
