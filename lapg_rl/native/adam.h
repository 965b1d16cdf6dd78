// A step of Adam behind a clip by the global norm: lapg_rl/optimisers.py. All arrays of a tree at once.
#pragma once

#include "lanes.h"

namespace {

float squares(const float* x, Int size) {
  Lanes s{};
  Int i = 0;
  for (; i + LANES <= size; i += LANES) s += load(x + i) * load(x + i);
  float rest = 0;
  for (; i < size; ++i) rest += x[i] * x[i];
  return sum(s) + rest;
}

// k sizes | k gradients, k first and k second moments, [rate, eps, clip], and for both moments [decay, 1 - decay, correction]
// -> k steps, k first and k second moments
void adam(const Call& call) {
  const Int k = call.sizes[0], *size = call.sizes + 1;
  const float *n = call.in[3 * k], rate = n[0], eps = n[1], clip = n[2], *first = n + 3, *second = n + 6;
  float norm = 0;
  for (Int a = 0; a < k; ++a) norm += squares(call.in[a], size[a]);
  norm = std::sqrt(norm);
  const float scale = norm < clip ? 1 : clip / norm;
  for (Int a = 0; a < k; ++a) {
    const float *grad = call.in[a], *before = call.in[k + a], *square = call.in[2 * k + a];
    float *step = call.out[a], *mean = call.out[k + a], *spread = call.out[2 * k + a];
    const auto one = [&](auto& g, auto& m, auto& v) {
      g *= scale;
      m = first[1] * g + first[0] * m, v = second[1] * g * g + second[0] * v;
      g = -rate * (m / first[2]) / (root(v / second[2]) + eps);
    };
    Int i = 0;
    for (; i + LANES <= size[a]; i += LANES) {
      Lanes g = load(grad + i), m = load(before + i), v = load(square + i);
      one(g, m, v);
      store(step + i, g), store(mean + i, m), store(spread + i, v);
    }
    for (; i < size[a]; ++i) one(step[i] = grad[i], mean[i] = before[i], spread[i] = square[i]);
  }
}

}  // namespace
