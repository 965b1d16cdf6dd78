// What sequences enter and leave a network by: lapg_rl/models/layers.py. Results are columns of one product, apart in several arrays.
#pragma once

#include "lanes.h"

namespace {

// Whether so many numbers are mostly 0, as those of a one-hot are: then rows of a table are summed, else multiplied as a matrix.
// What is no number shows in rows that are summed only.
bool sparse(const float* x, Int size) {
  Int count = 0;
  for (Int i = 0; i < size; ++i) count += x[i] != 0;
  return 4 * count < size;
}

// t n o p e | x [t, n, o], table [o, p e] -> p parts [t, n, e] of x table
void embed_forward(const Call& call) {
  const Int N = call.sizes[0] * call.sizes[1], o = call.sizes[2], p = call.sizes[3], e = call.sizes[4];
  std::vector<Int> there(o);
  for (Int first = 0; first < N; first += TILE) {
    const Int n = std::min(TILE, N - first);
    const float* tile = call.in[0] + first * o;
    if (!sparse(tile, n * o)) {
      for (Int part = 0; part < p; ++part)
        product(call.out[part] + first * e, e, tile, o, 1, call.in[1] + part * e, p * e, n, e, o);
      continue;
    }
    for (Int i = 0; i < n; ++i) {
      const float* x = tile + i * o;
      Int count = 0;
      for (Int k = 0; k < o; ++k) there[count] = k, count += x[k] != 0;
      for (Int part = 0; part < p; ++part)
        for (Int j = 0; j < e; j += LANES) {
          const float* table = call.in[1] + part * e + j;
          Lanes s{};
          for (Int k = 0; k < count; ++k) s += x[there[k]] * load(table + there[k] * p * e);
          store(call.out[part] + (first + i) * e + j, s);
        }
    }
  }
}

// t n o p e | x, gradients of the p parts -> gradient of the table
void embed_backward(const Call& call) {
  const Int N = call.sizes[0] * call.sizes[1], o = call.sizes[2], p = call.sizes[3], e = call.sizes[4];
  clear(call.out[0], o * p * e);
  for (Int first = 0; first < N; first += TILE) {
    const Int n = std::min(TILE, N - first);
    const float* tile = call.in[0] + first * o;
    const bool few = sparse(tile, n * o);
    for (Int part = 0; part < p; ++part) {
      const float* grad = call.in[1 + part] + first * e;
      float* table = call.out[0] + part * e;
      if (!few) {
        product(table, p * e, tile, 1, o, grad, e, o, e, n, true);
        continue;
      }
      for (Int i = 0; i < n; ++i)
        for (Int k = 0; k < o; ++k)
          if (const float x = tile[i * o + k])
            for (Int j = 0; j < e; j += LANES) increase(table + k * p * e + j, x * load(grad + i * e + j));
    }
  }
}

// normalised(x) weight + bias, its c columns in p parts of any widths: multiplied apart where these are multiples of LANES, else as
// one, with columns of 0 behind it
struct Projection {
  Int N, d, p, c, wide;
  bool apart = true;
  const Int* widths;
  Floats weight;

  Projection(const Int* s, const float* given) : N(s[0] * s[1]), d(s[2]), p(s[3]), c(0), widths(s + 4) {
    for (Int i = 0; i < p; ++i) c += widths[i], apart = apart && widths[i] % LANES == 0;
    wide = (c + LANES - 1) / LANES * LANES;
    weight = widened(given, d);
  }

  Floats widened(const float* x, Int rows) const {
    Floats y(rows * wide);
    if (wide > c) clear(y.data(), rows * wide);
    for (Int r = 0; r < rows; ++r) copy(y.data() + r * wide, x + r * c, c);
    return y;
  }
  // for each part: which, the width, the first column
  template <class Each>
  void parts(Each each) const {
    for (Int i = 0, at = 0; i < p; at += widths[i++]) each(i, widths[i], at);
  }
};

// t n d p widths | x [t, n, d], weight [d, c], bias [c] -> the p parts of normalised(x) weight + bias, [t, n, width] each
void project_forward(const Call& call) {
  const Projection w(call.sizes, call.in[1]);
  const Floats bias = w.widened(call.in[2], 1);
  Floats y(TILE * w.d), scale(TILE), tile(TILE * w.wide);
  for (Int first = 0; first < w.N; first += TILE) {
    const Int n = std::min(TILE, w.N - first);
    normalise(y.data(), scale.data(), call.in[0] + first * w.d, n, w.d);
    if (w.apart) {
      w.parts([&](Int i, Int width, Int at) {
        float* out = call.out[i] + first * width;
        for (Int r = 0; r < n; ++r) copy(out + r * width, bias.data() + at, width);
        product(out, width, y.data(), w.d, 1, w.weight.data() + at, w.wide, n, width, w.d, true);
      });
      continue;
    }
    for (Int r = 0; r < n; ++r) copy(tile.data() + r * w.wide, bias.data(), w.wide);
    times(tile.data(), y.data(), w.weight.data(), n, w.d, w.wide, true);
    w.parts([&](Int i, Int width, Int at) {
      for (Int r = 0; r < n; ++r)
        for (Int j = 0; j < width; ++j) call.out[i][(first + r) * width + j] = tile[r * w.wide + at + j];
    });
  }
}

// t n d p widths | x, gradients of the p parts, weight -> gradients of x, weight, bias
void project_backward(const Call& call) {
  const Projection w(call.sizes, call.in[1 + call.sizes[3]]);
  const Floats back = transposed(w.weight.data(), w.d, w.wide);
  Floats y(TILE * w.d), scale(TILE), by_y(TILE * w.d), tile(TILE * w.wide), by_weight(w.d * w.wide), by_bias(w.wide);
  clear(call.out[0], w.N * w.d), clear(tile.data(), tile.size());
  clear(by_weight.data(), by_weight.size()), clear(by_bias.data(), w.wide);
  for (Int first = 0; first < w.N; first += TILE) {
    const Int n = std::min(TILE, w.N - first);
    normalise(y.data(), scale.data(), call.in[0] + first * w.d, n, w.d);
    const auto columns = [&](const float* grad, Int width, Int at) {
      product(by_y.data(), w.d, grad, width, 1, back.data() + at * w.d, w.d, n, w.d, width, at);
      product(by_weight.data() + at, w.wide, y.data(), 1, w.d, grad, width, w.d, width, n, true);
      for (Int r = 0; r < n; ++r)
        for (Int j = 0; j < width; j += LANES) increase(by_bias.data() + at + j, load(grad + r * width + j));
    };
    if (w.apart) {
      w.parts([&](Int i, Int width, Int at) { columns(call.in[1 + i] + first * width, width, at); });
    } else {
      w.parts([&](Int i, Int width, Int at) {
        for (Int r = 0; r < n; ++r)
          for (Int j = 0; j < width; ++j) tile[r * w.wide + at + j] = call.in[1 + i][(first + r) * width + j];
      });
      columns(tile.data(), w.wide, 0);
    }
    normalise_back(call.out[0] + first * w.d, scale.data(), y.data(), by_y.data(), n, w.d);
  }
  for (Int r = 0; r < w.d; ++r) copy(call.out[1] + r * w.c, by_weight.data() + r * w.wide, w.c);
  copy(call.out[2], by_bias.data(), w.c);
}

}  // namespace
