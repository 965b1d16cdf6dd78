// A block of Hawk: lapg_rl/models/hawk.py, sequences [t, n, d], time first.
#pragma once

#include "mlp.h"

namespace {

struct Hawk {
  Int T, N, d, hidden, lags, heads, k, part;
  const float *conv, *conv_bias, *gates, *gate_bias, *decay, *out, *mlp_in, *mlp_out;

  Hawk(const Int* s, const float* const* w)
      : T(s[0]), N(s[1]), d(s[2]), hidden(s[3]), lags(s[4]), heads(s[5]), k(d / heads), part(T * N * d), conv(w[0]),
        conv_bias(w[1]), gates(w[2]), gate_bias(w[3]), decay(w[4]), out(w[5]), mlp_in(w[6]), mlp_out(w[7]) {}

  // u of n sequences at step t; `past` [n, lags - 1, d] is what came before the first step, or null
  void convolve(float* u, const float* value, const float* past, Int t, Int first, Int n) const {
    for (Int r = 0; r < n; ++r) {
      copy(u + r * d, conv_bias, d);
      for (Int lag = 0; lag < lags; ++lag) {
        const Int from = t - (lags - 1) + lag;
        if (from < 0 && !past) continue;
        const float* v = from < 0 ? past + ((first + r) * (lags - 1) + lags - 1 + from) * d : value + (from * N + first + r) * d;
        for (Int j = 0; j < d; j += LANES) increase(u + r * d + j, load(conv + lag * d + j) * load(v + j));
      }
    }
  }

  // a and sqrt(1 - a^2), where tanh(-log(a) / 2) = t gives (1 - t) / (1 + t) and 2 sqrt(t) / (1 + t)
  void decayed(Lanes& a, Lanes& m, Lanes rate) const {
    const Lanes t = tanh(0.5f * rate), inverse = 1.0f / (1.0f + t);
    a = (1.0f - t) * inverse;
    m = 2.0f * root(t) * inverse;
    m = m < LEAST_INPUT ? all(LEAST_INPUT) : m;
  }
};

// t n d hidden lags heads | x, gate, value [t, n, d], past [n, lags - 1, d], h0 [n, d], weights
// -> y [t, n, d], h [n, d], where SAVE r, i, h, x + recurrent branch [4, t, n, d], the MLP's branches [t, n, 2 hidden]
template <bool SAVE>
void hawk_forward(const Call& call) {
  const Hawk w(call.sizes, call.in + 5);
  const Int T = w.T, N = w.N, d = w.d, m = w.hidden, k = w.k, part = w.part;
  const float *x = call.in[0], *gate = call.in[1], *value = call.in[2], *past = call.in[3];
  float *y = call.out[0], *last = call.out[1], *saved = SAVE ? call.out[2] : nullptr, *branches = SAVE ? call.out[3] : nullptr;
  Mlp mlp(d, m, w.mlp_in, w.mlp_out);
  Floats u(TILE * d), g(TILE * 2 * d), p(TILE * d), middle(TILE * d), b(TILE * 2 * m);
  copy(last, call.in[4], N * d);
  for (Int first = 0; first < N; first += ABREAST) {
    const Int n = std::min(ABREAST, N - first), steps = TILE / n, row = n * d;
    for (Int begin = 0; begin < T; begin += steps) {
      const Int end = std::min(T, begin + steps), tokens = (end - begin) * n;
      for (Int t = begin; t < end; ++t) w.convolve(u.data() + (t - begin) * row, value, past, t, first, n);
      for (Int map = 0; map < 2 * w.heads; ++map)
        product(g.data() + map * k, 2 * d, u.data() + map % w.heads * k, d, 1, w.gates + map * k * k, k, tokens, k, k);
      for (Int t = begin; t < end; ++t)
        for (Int r = 0; r < n; ++r)
          for (Int j = 0; j < d; j += LANES) {
            const Int here = (t - begin) * row + r * d + j, there = (t * N + first + r) * d + j;
            const float* into = g.data() + ((t - begin) * n + r) * 2 * d + j;
            float* state = last + (first + r) * d + j;
            const Lanes rec = sigmoid(load(into) + load(w.gate_bias + j));
            const Lanes in = sigmoid(load(into + d) + load(w.gate_bias + d + j));
            Lanes a, much;
            w.decayed(a, much, load(w.decay + j) * rec);
            const Lanes h = a * load(state) + much * in * load(u.data() + here);
            store(state, h);
            store(p.data() + here, gelu(load(gate + there)) * h);
            store(middle.data() + here, load(x + there));
            if (SAVE) store(saved + there, rec), store(saved + part + there, in), store(saved + 2 * part + there, h);
          }
      times(middle.data(), p.data(), w.out, tokens, d, d, true);
      for (Int t = begin; SAVE && t < end; ++t)
        copy(saved + 3 * part + (t * N + first) * d, middle.data() + (t - begin) * row, row);
      mlp.forward(middle.data(), b.data(), tokens);
      for (Int t = begin; SAVE && t < end; ++t)
        copy(branches + (t * N + first) * 2 * m, b.data() + (t - begin) * n * 2 * m, n * 2 * m);
      for (Int t = begin; t < end; ++t) copy(y + (t * N + first) * d, middle.data() + (t - begin) * row, row);
    }
  }
}

// t n d hidden lags heads | gate, value, saved, branches, gradient of y, weights -> gradients of x, gate, value, weights
void hawk_backward(const Call& call) {
  const Hawk w(call.sizes, call.in + 5);
  const Int T = w.T, N = w.N, d = w.d, m = w.hidden, k = w.k, part = w.part, lags = w.lags;
  const float *gate = call.in[0], *value = call.in[1], *saved = call.in[2], *branches = call.in[3], *grad = call.in[4];
  float *by_x = call.out[0], *by_gate = call.out[1], *by_value = call.out[2], *const* by = call.out + 3;
  float *by_conv = by[0], *by_conv_bias = by[1], *by_gates = by[2], *by_gate_bias = by[3], *by_decay = by[4], *by_out = by[5];
  const Int sizes[] = {lags * d, d, 2 * w.heads * k * k, 2 * d, d, d * d, d * 2 * m, m * d};
  for (int i = 0; i < 8; ++i) clear(by[i], sizes[i]);
  MlpBack mlp(d, m, w.mlp_in, w.mlp_out);
  const Floats out = transposed(w.out, d, d);
  Floats gates;
  for (Int map = 0; map < 2 * w.heads; ++map) {
    const Floats one = transposed(w.gates + map * k * k, k, k);
    gates.insert(gates.end(), one.begin(), one.end());
  }
  Floats u(TILE * d), g(TILE * 2 * d), p(TILE * d), by_y(TILE * d), by_open(TILE * d),
      by_u((TILE + (lags - 1) * ABREAST) * d), later(ABREAST * d);
  for (Int first = 0; first < N; first += ABREAST) {
    const Int n = std::min(ABREAST, N - first), steps = TILE / n, row = n * d;
    clear(later.data(), row), clear(by_u.data(), by_u.size());
    for (Int end = T; end > 0; end -= std::min(steps, end)) {
      const Int begin = std::max<Int>(0, end - steps), tokens = (end - begin) * n;
      for (Int t = begin; t < end; ++t) {
        copy(by_y.data() + (t - begin) * row, grad + (t * N + first) * d, row);
        copy(p.data() + (t - begin) * row, saved + 3 * part + (t * N + first) * d, row);
        w.convolve(u.data() + (t - begin) * row, value, nullptr, t, first, n);
      }
      const auto branch = [&](Int i) { return branches + ((begin + i / n) * N + first + i % n) * 2 * m; };
      mlp(by_y.data(), p.data(), branch, by[6], by[7], tokens);
      // the recurrent branch
      times(by_open.data(), by_y.data(), out.data(), tokens, d, d);
      for (Int t = end - 1; t >= begin; --t) {
        copy(by_x + (t * N + first) * d, by_y.data() + (t - begin) * row, row);
        for (Int r = 0; r < n; ++r)
          for (Int j = 0; j < d; j += LANES) {
            const Int here = (t - begin) * row + r * d + j, there = (t * N + first + r) * d + j;
            float *into = g.data() + ((t - begin) * n + r) * 2 * d + j, *after = later.data() + r * d + j;
            const Lanes rec = load(saved + there), input = load(saved + part + there), h = load(saved + 2 * part + there);
            const Lanes before = t ? load(saved + 2 * part + there - N * d) : Lanes{}, decay = load(w.decay + j);
            const Lanes s_out = load(by_open.data() + here), s_u = load(u.data() + here);
            Lanes slope, a, much;
            const Lanes open = gelu(load(gate + there), &slope);
            w.decayed(a, much, decay * rec);
            store(p.data() + here, open * h);
            store(by_gate + there, s_out * h * slope);
            const Lanes s = s_out * open + load(after);
            store(after, a * s);
            const Lanes through = much > LEAST_INPUT ? a * a / much : Lanes{};
            const Lanes by_rate = s * input * s_u * through - s * before * a;
            const Lanes by_rec = by_rate * decay * rec * (1.0f - rec), by_in = s * much * s_u * input * (1.0f - input);
            store(into, by_rec), store(into + d, by_in);
            store(by_u.data() + here, s * much * input);
            increase(by_decay + j, by_rate * rec);
            increase(by_gate_bias + j, by_rec), increase(by_gate_bias + d + j, by_in);
          }
      }
      increase_by_outer(by_out, p.data(), by_y.data(), tokens, d, d);
      for (Int map = 0; map < 2 * w.heads; ++map) {
        const Int head = map % w.heads * k, at = map * k * k;
        product(by_gates + at, k, u.data() + head, 1, d, g.data() + map * k, 2 * d, k, k, tokens, true);
        product(by_u.data() + head, d, g.data() + map * k, 2 * d, 1, gates.data() + at, k, tokens, k, k, true);
      }
      // the convolution; behind the tile in by_u lie the steps that follow it
      for (Int i = 0; i < tokens; ++i)
        for (Int j = 0; j < d; j += LANES) {
          const Int t = begin + i / n, there = (t * N + first + i % n) * d + j;
          const Lanes s = load(by_u.data() + i * d + j);
          Lanes back{};
          increase(by_conv_bias + j, s);
          for (Int lag = 0; lag < lags; ++lag) {
            const Int at = (lags - 1 - lag) * d + j;
            back += load(w.conv + at) * load(by_u.data() + i * d + j + lag * row);
            if (t >= lag) increase(by_conv + at, s * load(value + there - lag * N * d));
          }
          store(by_value + there, back);
        }
      std::memmove(by_u.data() + std::min(begin, steps) * row, by_u.data(), (lags - 1) * row * sizeof(float));
    }
  }
}

}  // namespace
