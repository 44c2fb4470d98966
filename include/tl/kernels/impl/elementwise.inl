// Elementwise kernels for one instruction set; described in elementwise.hpp.

namespace tl::kernels::TL_ISA {

// One struct a function: forward(x), and derivative(s) of the saved input or output as the table says.
template <class T>
struct Constants {
  using V = Vec<T>;
  V alpha, beta;
  V zero = V::zero(), one = V::set1(1), half = V::set1(T(0.5));
};

template <class T>
struct Relu : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return max(this->zero, x); }
  TL_INLINE V derivative(V y) const { return select(y > this->zero, this->one, this->zero); }
};
template <class T>
struct Clip : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return min(this->beta, max(this->alpha, x)); }
  TL_INLINE V derivative(V x) const {
    return select((x > this->alpha) & (x < this->beta), this->one, this->zero);
  }
};
template <class T>
struct LeakyRelu : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return select(x > this->zero, x, this->alpha * x); }
  TL_INLINE V derivative(V x) const { return select(x > this->zero, this->one, this->alpha); }
};
template <class T>
struct Sigmoid : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return sigmoid(x); }
  TL_INLINE V derivative(V y) const { return y * (this->one - y); }
};
template <class T>
struct Tanh : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return tanh(x); }
  TL_INLINE V derivative(V y) const { return (this->one - y) * (this->one + y); }
};
template <class T>
struct Silu : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return x * sigmoid(x); }
  TL_INLINE V derivative(V x) const {
    const V e = exp(-abs(x)), near = this->one / (this->one + e), far = e * near;
    const Mask<T> positive = x >= this->zero;
    const V s = select(positive, near, far), one_minus_s = select(positive, far, near);
    return s * fma(x, one_minus_s, this->one);
  }
};
template <class T>
struct HardSwish : Constants<T> {
  using V = Vec<T>;
  const V three = V::set1(3), sixth = V::set1(T(1) / 6), third = V::set1(T(1) / 3);
  TL_INLINE V forward(V x) const { return x * min(this->one, max(this->zero, fma(x, sixth, this->half))); }
  TL_INLINE V derivative(V x) const {
    const V inside = fma(x, third, this->half);
    return select(x <= -three, this->zero, select(x >= three, this->one, inside));
  }
};
template <class T>
struct HardSigmoid : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return min(this->one, max(this->zero, fma(this->alpha, x, this->beta))); }
  TL_INLINE V derivative(V y) const {
    return select((y > this->zero) & (y < this->one), this->alpha, this->zero);
  }
};
template <class T>
struct Exp : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return exp(x); }
  TL_INLINE V derivative(V y) const { return y; }
};
template <class T>
struct Log : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return log(x); }
  TL_INLINE V derivative(V x) const { return this->one / x; }
};
template <class T>
struct Sqrt : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return sqrt(x); }
  TL_INLINE V derivative(V y) const { return this->half / y; }
};
template <class T>
struct Abs : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return abs(x); }
  TL_INLINE V derivative(V x) const {
    return select(x > this->zero, this->one, select(x < this->zero, -this->one, x));
  }
};
template <class T>
struct Neg : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return -x; }
  TL_INLINE V derivative(V) const { return -this->one; }
};
template <class T>
struct Reciprocal : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return this->one / x; }
  TL_INLINE V derivative(V y) const { return -(y * y); }
};
template <class T>
struct Gelu : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return x * normal(x).distribution; }
  TL_INLINE V derivative(V x) const {
    const Normal<T> n = normal(x);
    return fma(x, n.density, n.distribution);
  }
};

template <class T>
struct Elu : Constants<T> {
  using V = Vec<T>;
  const V lowest = V::set1(-80);  // where exp(x) is nothing beside 1
  TL_INLINE V forward(V x) const {
    const V below = this->alpha * expm1(max(lowest, min(this->zero, x)));
    return this->beta * select(x > this->zero, x, below);
  }
  TL_INLINE V derivative(V x) const {
    return this->beta * select(x > this->zero, this->one, this->alpha * exp(x));
  }
};
template <class T>
struct Softplus : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return max(this->zero, x) + log1p(exp(-abs(x))); }
  TL_INLINE V derivative(V x) const { return sigmoid(x); }
};
template <class T>
struct Mish : Constants<T> {
  using V = Vec<T>;
  struct Gate {
    V t, one_minus_t;
  };
  /// t = tanh(log(1 + e^x)) = (u^2 - 1) / (u^2 + 1), u = 1 + e^x, both sides divided by e^2x where x is
  /// positive.
  TL_INLINE Gate gate(V x) const {
    const V e = exp(-abs(x)), two = this->one + this->one;
    const V positive = fma(two, e, this->one), negative = e * (e + two);
    const V top = select(x >= this->zero, positive, negative);
    const V rest = select(x >= this->zero, two * e * e, two);
    return {top / (top + rest), rest / (top + rest)};
  }
  TL_INLINE V forward(V x) const { return x * gate(x).t; }
  TL_INLINE V derivative(V x) const {
    const Gate g = gate(x);
    return fma(x * g.one_minus_t, (this->one + g.t) * sigmoid(x), g.t);
  }
};
template <class T>
struct Erf : Constants<T> {
  using V = Vec<T>;
  TL_INLINE V forward(V x) const { return erf(x); }
  TL_INLINE V derivative(V x) const {
    return exp(-(x * x)) * V::set1(static_cast<T>(1.12837916709551257390));
  }
};

template <class F, class T>
void forward_block(T alpha, T beta, Index n, const T* x, T* y) {
  using V = Vec<T>;
  const F f{{V::set1(alpha), V::set1(beta)}};
  Index i = 0;
  for (; i + V::width <= n; i += V::width) f.forward(V::load(x + i)).store(y + i);
  if (i < n) f.forward(V::load(x + i, n - i)).store(y + i, n - i);
}

template <class F, class T>
void backward_block(T alpha, T beta, Index n, const T* saved, const T* dy, T* dx) {
  using V = Vec<T>;
  const F f{{V::set1(alpha), V::set1(beta)}};
  Index i = 0;
  for (; i + V::width <= n; i += V::width) {
    (V::load(dy + i) * f.derivative(V::load(saved + i))).store(dx + i);
  }
  if (i < n) (V::load(dy + i, n - i) * f.derivative(V::load(saved + i, n - i))).store(dx + i, n - i);
}

template <class F, class T>
internal::UnaryBlocks<T> unary_blocks_of() {
  return {&forward_block<F, T>, &backward_block<F, T>};
}

template <class T>
internal::UnaryBlocks<T> unary_blocks(Unary op) {
  switch (op) {
    case Unary::relu:
      return unary_blocks_of<Relu<T>, T>();
    case Unary::clip:
      return unary_blocks_of<Clip<T>, T>();
    case Unary::leaky_relu:
      return unary_blocks_of<LeakyRelu<T>, T>();
    case Unary::sigmoid:
      return unary_blocks_of<Sigmoid<T>, T>();
    case Unary::tanh:
      return unary_blocks_of<Tanh<T>, T>();
    case Unary::silu:
      return unary_blocks_of<Silu<T>, T>();
    case Unary::hard_swish:
      return unary_blocks_of<HardSwish<T>, T>();
    case Unary::hard_sigmoid:
      return unary_blocks_of<HardSigmoid<T>, T>();
    case Unary::exp:
      return unary_blocks_of<Exp<T>, T>();
    case Unary::log:
      return unary_blocks_of<Log<T>, T>();
    case Unary::sqrt:
      return unary_blocks_of<Sqrt<T>, T>();
    case Unary::abs:
      return unary_blocks_of<Abs<T>, T>();
    case Unary::neg:
      return unary_blocks_of<Neg<T>, T>();
    case Unary::reciprocal:
      return unary_blocks_of<Reciprocal<T>, T>();
    case Unary::gelu:
      return unary_blocks_of<Gelu<T>, T>();
    case Unary::elu:
      return unary_blocks_of<Elu<T>, T>();
    case Unary::softplus:
      return unary_blocks_of<Softplus<T>, T>();
    case Unary::mish:
      return unary_blocks_of<Mish<T>, T>();
    case Unary::erf:
      break;
  }
  return unary_blocks_of<Erf<T>, T>();
}

template <class T>
struct Add {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a + b; }
};
template <class T>
struct Sub {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a - b; }
};
template <class T>
struct Mul {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a * b; }
};
template <class T>
struct Div {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return a / b; }
};
template <class T>
struct Max {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return select(a == a, max(a, b), a); }
};
template <class T>
struct Min {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return select(a == a, min(a, b), a); }
};
template <class T>
struct Greater {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return select(a > b, Vec<T>::set1(1), Vec<T>::zero()); }
};
template <class T>
struct GreaterEqual {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return select(a >= b, Vec<T>::set1(1), Vec<T>::zero());
  }
};
template <class T>
struct Equal {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) {
    return select(a == b, Vec<T>::set1(1), Vec<T>::zero());
  }
};
template <class T>
struct KeepWhere {
  static TL_INLINE Vec<T> apply(Vec<T> a, Vec<T> b) { return select(b != Vec<T>::zero(), a, Vec<T>::zero()); }
};

template <class F, class T>
void binary_block(Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y) {
  using V = Vec<T>;
  Index i = 0;
  if (stride_a == 1 && stride_b == 1) {
    for (; i + V::width <= n; i += V::width) F::apply(V::load(a + i), V::load(b + i)).store(y + i);
    if (i < n) F::apply(V::load(a + i, n - i), V::load(b + i, n - i)).store(y + i, n - i);
  } else if (stride_a == 1) {
    const V all = V::set1(n > 0 ? *b : T(0));
    for (; i + V::width <= n; i += V::width) F::apply(V::load(a + i), all).store(y + i);
    if (i < n) F::apply(V::load(a + i, n - i), all).store(y + i, n - i);
  } else {
    const V all = V::set1(n > 0 ? *a : T(0));
    const V other = V::set1(n > 0 ? *b : T(0));
    for (; i + V::width <= n; i += V::width) {
      F::apply(all, stride_b == 1 ? V::load(b + i) : other).store(y + i);
    }
    if (i < n) F::apply(all, stride_b == 1 ? V::load(b + i, n - i) : other).store(y + i, n - i);
  }
}

template <class T>
void pow_block(Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y) {
  for (Index i = 0; i < n; ++i) y[i] = std::pow(a[i * stride_a], b[i * stride_b]);
}

template <class T>
internal::BinaryBlock<T> binary_block_of(Binary op) {
  switch (op) {
    case Binary::add:
      return &binary_block<Add<T>, T>;
    case Binary::sub:
      return &binary_block<Sub<T>, T>;
    case Binary::mul:
      return &binary_block<Mul<T>, T>;
    case Binary::div:
      return &binary_block<Div<T>, T>;
    case Binary::max:
      return &binary_block<Max<T>, T>;
    case Binary::min:
      return &binary_block<Min<T>, T>;
    case Binary::greater:
      return &binary_block<Greater<T>, T>;
    case Binary::greater_equal:
      return &binary_block<GreaterEqual<T>, T>;
    case Binary::equal:
      return &binary_block<Equal<T>, T>;
    case Binary::keep_where:
      return &binary_block<KeepWhere<T>, T>;
    case Binary::pow:
      break;
  }
  return &pow_block<T>;
}

template <class T>
void fill_block(Index n, T value, T* y) {
  using V = Vec<T>;
  const V v = V::set1(value);
  Index i = 0;
  for (; i + V::width <= n; i += V::width) v.store(y + i);
  if (i < n) v.store(y + i, n - i);
}

/// y = alpha a + beta b; without b (null) y = alpha a.
template <class T>
void weighted_sum_block(Index n, T alpha, const T* a, T beta, const T* b, T* y) {
  using V = Vec<T>;
  const V va = V::set1(alpha), vb = V::set1(beta);
  Index i = 0;
  if (b == nullptr) {
    for (; i + V::width <= n; i += V::width) (va * V::load(a + i)).store(y + i);
    if (i < n) (va * V::load(a + i, n - i)).store(y + i, n - i);
    return;
  }
  for (; i + V::width <= n; i += V::width) fma(va, V::load(a + i), vb * V::load(b + i)).store(y + i);
  if (i < n) fma(va, V::load(a + i, n - i), vb * V::load(b + i, n - i)).store(y + i, n - i);
}

}  // namespace tl::kernels::TL_ISA
