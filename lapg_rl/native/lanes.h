// What all kernels are made of: eight floats at a time, products of small matrices, activations. Arrays are float32.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <vector>

typedef int64_t Int;

namespace {

constexpr Int LANES = 8, ABREAST = 16, TILE = 64;
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#ifdef __AVX__
#define IN_REGISTER(x) asm("" : "+x"(x))  // or compilers read it from memory once for each product
#else
#define IN_REGISTER(x)
#endif

// Memory that calls of this thread gave back, by bytes: calls are many, and need the same again and again. Not the largest pieces.
constexpr size_t LARGE = 1 << 20;
struct Spare {
  std::map<size_t, std::vector<void*>> pieces;
  ~Spare() {
    for (auto& of_size : pieces)
      for (void* piece : of_size.second) ::operator delete(piece, std::align_val_t(64));
  }
};
inline Spare& spare() {
  static thread_local Spare here;
  return here;
}

template <class T>
struct Aligned : std::allocator<T> {
  template <class U>
  struct rebind {
    typedef Aligned<U> other;
  };
  void construct(T*) {}  // unlike a vector's own, which fills with 0
  template <class... Args>
  void construct(T* p, Args&&... args) { *p = T(args...); }
  T* allocate(size_t n) {
    auto& pieces = spare().pieces[n * sizeof(T)];
    if (pieces.empty()) return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64)));
    void* piece = pieces.back();
    pieces.pop_back();
    return static_cast<T*>(piece);
  }
  void deallocate(T* p, size_t n) {
    if (n * sizeof(T) > LARGE) return ::operator delete(p, std::align_val_t(64));
    spare().pieces[n * sizeof(T)].push_back(p);
  }
};
typedef std::vector<float, Aligned<float>> Floats;

inline Lanes load(const float* at) { return *reinterpret_cast<const Lanes*>(at); }
inline void store(float* at, Lanes value) { *reinterpret_cast<Lanes*>(at) = value; }
inline void increase(float* at, Lanes by) { store(at, load(at) + by); }
inline Lanes all(float x) { return Lanes{x, x, x, x, x, x, x, x}; }
inline float root(float x) { return std::sqrt(x); }
inline Lanes root(Lanes x) {
  for (int l = 0; l < LANES; ++l) x[l] = std::sqrt(x[l]);
  return x;
}
inline void clear(float* x, Int size) { std::fill(x, x + size, 0.f); }
inline void copy(float* to, const float* from, Int size) { std::memcpy(to, from, size * sizeof(float)); }
inline float sum(Lanes x) { return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7])); }

// Lower and upper bounds; NaN stays NaN.
inline Lanes at_most(Lanes x, Lanes most) { return most < x ? most : x; }
inline Lanes at_least(Lanes x, Lanes least) { return least > x ? least : x; }

// tanh(x) = over / under: x P(x^2) and Q(x^2), by least squares of the relative error on |x| < 8.3, where it is below 1e-8. Beyond it
// the quotient grows past 1, where it is cut off: exactly 1 from 9 on, since the slope of `gelu` multiplies what is left to 1 by x^3,
// and nowhere more, since a sigmoid must not be negative. NaN stays NaN.
struct Ratio {
  Lanes over, under;
};
inline Ratio tanh_ratio(Lanes x) {
  const Lanes u = at_most(x * x, all(81.0f));
  const Lanes p = (((1.4648201e-08f * u + 2.15084525e-05f) * u + 0.00354916646f) * u + 0.134258682f) * u + 0.999999991f;
  const Lanes q = (((8.29508434e-07f * u + 0.000337394611f) * u + 0.0260799394f) * u + 0.46759193f) * u + 1.0f;
  return {at_least(at_most(x * p, q), -q), q};
}
inline Lanes tanh(Lanes x) {
  const Ratio t = tanh_ratio(x);
  return t.over / t.under;
}
// The logistic function of two numbers, by one division.
inline void sigmoids(Lanes& a, Lanes& b, Lanes x, Lanes y) {
  const Ratio s = tanh_ratio(0.5f * x), t = tanh_ratio(0.5f * y);
  const Lanes inverse = 0.5f / (s.under * t.under);
  a = (s.under + s.over) * t.under * inverse;
  b = (t.under + t.over) * s.under * inverse;
}

constexpr float GELU = 0.7978845608028654f, CUBIC = 0.044715f, LEAST_INPUT = 1e-3f;
inline Lanes gelu(Lanes x, Lanes* slope = nullptr) {
  const Lanes square = CUBIC * x * x, t = tanh(GELU * x * (1.0f + square));
  if (slope) *slope = 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * GELU * (1.0f + 3.0f * square);
  return 0.5f * x * (1.0f + t);
}

// R rows and C vectors of columns of `product`.
template <int R, int C>
inline void block(float* out, Int ldo, const float* a, Int row, Int column, const float* b, Int ldb, Int inner, bool add) {
  Lanes sums[R][C] = {};
  for (Int k = 0; k < inner; ++k) {
    Lanes right[C];
    for (int c = 0; c < C; ++c) {
      right[c] = load(b + k * ldb + c * LANES);
      IN_REGISTER(right[c]);
    }
    for (int r = 0; r < R; ++r) {
      const Lanes left = all(a[r * row + k * column]);
      for (int c = 0; c < C; ++c) sums[r][c] += left * right[c];
    }
  }
  if (add)
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) sums[r][c] += load(out + r * ldo + c * LANES);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) store(out + r * ldo + c * LANES, sums[r][c]);
}

template <int C>
inline void columns(float* out, Int ldo, const float* a, Int row, Int column, const float* b, Int ldb, Int rows, Int inner,
                    bool add) {
  Int r = 0;
  for (; r + 4 <= rows; r += 4) block<4, C>(out + r * ldo, ldo, a + r * row, row, column, b, ldb, inner, add);
  for (; r < rows; ++r) block<1, C>(out + r * ldo, ldo, a + r * row, row, column, b, ldb, inner, add);
}

// out [rows, cols] is, or is increased by, a b; a(r, k) lies at r * row + k * column, so that a may be a transpose.
void product(float* out, Int ldo, const float* a, Int row, Int column, const float* b, Int ldb, Int rows, Int cols, Int inner,
             bool add = false) {
  for (Int c = 0, left = cols / LANES; left;) {  // never one vector alone where there are more: too few sums at a time
    const Int now = left == 2 || left == 4 ? 2 : std::min<Int>(left, 3);
    if (now == 3) columns<3>(out + c, ldo, a, row, column, b + c, ldb, rows, inner, add);
    if (now == 2) columns<2>(out + c, ldo, a, row, column, b + c, ldb, rows, inner, add);
    if (now == 1) columns<1>(out + c, ldo, a, row, column, b + c, ldb, rows, inner, add);
    c += now * LANES, left -= now;
  }
}
// The same for rows that lie one behind the other, and the gradient of b.
void times(float* out, const float* a, const float* b, Int rows, Int inner, Int cols, bool add = false) {
  product(out, cols, a, inner, 1, b, cols, rows, cols, inner, add);
}
void increase_by_outer(float* out, const float* a, const float* b, Int rows, Int inner, Int cols) {
  product(out, cols, a, 1, inner, b, cols, inner, cols, rows, true);
}

Floats transposed(const float* x, Int rows, Int cols) {
  Floats y(rows * cols);
  for (Int r = 0; r < rows; ++r)
    for (Int c = 0; c < cols; ++c) y[c * rows + r] = x[r * cols + c];
  return y;
}

// y = x / sqrt(mean(x^2) + 1e-6), for rows of d; the factors go to `scale`.
void normalise(float* y, float* scale, const float* x, Int rows, Int d) {
  for (Int i = 0; i < rows; ++i) {
    Lanes s{};
    for (Int j = i * d; j < (i + 1) * d; j += LANES) s += load(x + j) * load(x + j);
    scale[i] = 1.0f / std::sqrt(sum(s) / d + 1e-6f);
    for (Int j = i * d; j < (i + 1) * d; j += LANES) store(y + j, load(x + j) * scale[i]);
  }
}
// x += scale (grad - y mean(grad y)), its derivative.
void normalise_back(float* x, const float* scale, const float* y, const float* grad, Int rows, Int d) {
  for (Int i = 0; i < rows; ++i) {
    Lanes s{};
    for (Int j = i * d; j < (i + 1) * d; j += LANES) s += load(grad + j) * load(y + j);
    const float mean = sum(s) / d;
    for (Int j = i * d; j < (i + 1) * d; j += LANES) increase(x + j, scale[i] * (load(grad + j) - load(y + j) * mean));
  }
}

// What a kernel gets: sizes (t and n first), inputs, outputs.
struct Call {
  const Int* sizes;
  const float* const* in;
  float* const* out;
};

}  // namespace
