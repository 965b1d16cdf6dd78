// The gated recurrent unit: lapg_rl/models/gated_unit.py, sequences [t, n, d], time first.
#pragma once

#include "lanes.h"

namespace {

// t n d | inputs [t, n, 3d], h0 [n, d], weight [d, 3d], bias [d] -> h [t, n, d], where SAVE r, z, n, c [4, t, n, d]
template <bool SAVE>
void gru_forward(const Call& call) {
  const Int T = call.sizes[0], N = call.sizes[1], d = call.sizes[2], e = 3 * d, part = T * N * d;
  const float *inputs = call.in[0], *start = call.in[1], *weight = call.in[2], *bias = call.in[3];
  float *h = call.out[0], *gates = SAVE ? call.out[1] : nullptr;
  Floats made(ABREAST * e);
  for (Int first = 0; first < N; first += ABREAST)
    for (Int t = 0; t < T; ++t) {
      const Int n = std::min(ABREAST, N - first), at = (t * N + first) * d;
      const float* past = t ? h + at - N * d : start + first * d;
      times(made.data(), past, weight, n, d, e);
      for (Int r = 0; r < n; ++r)
        for (Int j = 0; j < d; j += LANES) {
          const float *x = inputs + 3 * (at + r * d) + j, *p = made.data() + r * e + j;
          const Int here = at + r * d + j;
          Lanes reset, z;
          sigmoids(reset, z, load(x) + load(p), load(x + d) + load(p + d));
          const Lanes c = load(p + 2 * d) + load(bias + j), fresh = tanh(load(x + 2 * d) + reset * c);
          store(h + here, fresh + z * (load(past + r * d + j) - fresh));
          if (SAVE) {
            const Lanes kept[] = {reset, z, fresh, c};
            for (int k = 0; k < 4; ++k) store(gates + k * part + here, kept[k]);
          }
        }
    }
}

// t n d | h, gates, gradient of h, weight -> gradients of inputs, weight, bias; the sequences start at 0
void gru_backward(const Call& call) {
  const Int T = call.sizes[0], N = call.sizes[1], d = call.sizes[2], e = 3 * d, part = T * N * d;
  const float *h = call.in[0], *gates = call.in[1], *grad = call.in[2];
  float *by_inputs = call.out[0], *by_weight = call.out[1], *by_bias = call.out[2];
  const Floats back = transposed(call.in[3], d, e);
  Floats moved(TILE * e), past(TILE * d), later(ABREAST * d);
  clear(by_weight, d * e), clear(by_bias, d);
  for (Int first = 0; first < N; first += ABREAST) {
    const Int n = std::min(ABREAST, N - first), steps = TILE / n;
    clear(later.data(), n * d);
    for (Int end = T; end > 0; end -= std::min(steps, end)) {
      const Int begin = std::max<Int>(0, end - steps);
      for (Int t = end - 1; t >= begin; --t) {
        const Int at = (t * N + first) * d;
        float *moves = moved.data() + (t - begin) * n * e, *before = past.data() + (t - begin) * n * d;
        t ? copy(before, h + at - N * d, n * d) : clear(before, n * d);
        for (Int r = 0; r < n; ++r)
          for (Int j = 0; j < d; j += LANES) {
            const Int k = r * d + j, here = at + k;
            const Lanes reset = load(gates + here), z = load(gates + part + here);
            const Lanes fresh = load(gates + 2 * part + here), c = load(gates + 3 * part + here);
            const Lanes s = load(grad + here) + load(later.data() + k);
            const Lanes by_n = s * (1.0f - z) * (1.0f - fresh * fresh), by_c = by_n * reset;
            const Lanes by_r = by_c * (1.0f - reset) * c, by_z = s * (load(before + k) - fresh) * z * (1.0f - z);
            store(later.data() + k, s * z);
            float *m = moves + r * e + j, *g = by_inputs + 3 * (at + r * d) + j;
            store(m, by_r), store(m + d, by_z), store(m + 2 * d, by_c);
            store(g, by_r), store(g + d, by_z), store(g + 2 * d, by_n);
            increase(by_bias + j, by_c);
          }
        times(later.data(), moves, back.data(), n, e, d, true);
      }
      increase_by_outer(by_weight, past.data(), moved.data(), (end - begin) * n, d, e);
    }
  }
}

}  // namespace
