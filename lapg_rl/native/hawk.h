// A block of Hawk: lapg_rl/models/hawk.py, sequences [t, n, d], time first.
#pragma once

#include "mlp.h"

namespace {

// Steps `begin` to `end` of the n sequences from `first` on, of arrays [t, N, width]: in place where those are all there are.
struct Tile {
  Int N, first, n, begin, end;

  Int tokens() const { return (end - begin) * n; }
  Int at(Int token) const { return (begin + token / n) * N + first + token % n; }
  float* of(float* x, Int width, Floats& buffer) const { return n == N ? x + begin * N * width : buffer.data(); }
  const float* read(const float* x, Int width, Floats& buffer) const {
    if (n == N) return x + begin * N * width;
    for (Int t = begin; t < end; ++t) copy(buffer.data() + (t - begin) * n * width, x + (t * N + first) * width, n * width);
    return buffer.data();
  }
  void wrote(float* x, Int width, const Floats& buffer) const {
    for (Int t = begin; n < N && t < end; ++t)
      copy(x + (t * N + first) * width, buffer.data() + (t - begin) * n * width, n * width);
  }
};

struct Hawk {
  Int T, N, d, hidden, lags, heads, o, k, part;
  const float *table, *conv, *conv_bias, *gates, *gate_bias, *decay, *out, *mlp_in, *mlp_out;

  Hawk(const Int* s, const float* const* w)
      : T(s[0]), N(s[1]), d(s[2]), hidden(s[3]), lags(s[4]), heads(s[5]), o(s[6]), k(d / heads), part(T * N * d),
        table(o ? *w++ : nullptr), conv(w[0]), conv_bias(w[1]), gates(w[2]), gate_bias(w[3]), decay(w[4]), out(w[5]),
        mlp_in(w[6]), mlp_out(w[7]) {}

  // a and sqrt(1 - a^2), where tanh(-log(a) / 2) = t gives (1 - t) / (1 + t) and 2 sqrt(t) / (1 + t), and a^2 / sqrt(1 - a^2)
  void decayed(Lanes& a, Lanes& m, Lanes rate, Lanes* through = nullptr) const {
    const Ratio t = tanh_ratio(0.5f * rate);
    const Lanes both = t.under + t.over, middle = root(at_least(t.under * t.over, all(1e-12f))), inverse = 1.0f / (both * middle);
    a = (t.under - t.over) * middle * inverse;
    m = 2.0f * middle * middle * inverse;
    if (through) *through = m > LEAST_INPUT ? 0.5f * a * a * both * both * inverse : Lanes{};
    m = at_least(m, all(LEAST_INPUT));
  }
};

// What a block reads: x, gate and value [t, n, d], or for observations [t, n, o] their rows in a table [o, 3 d].
struct Entry {
  const Hawk& w;
  const float *tokens, *x_given, *gate_given, *value_given;
  std::vector<const float*> rows, lagging;
  Floats others;  // rows of what isn't one-hot

  Entry(const Hawk& w, const float* tokens, const float* x, const float* gate, const float* value)
      : w(w), tokens(tokens), x_given(x), gate_given(gate), value_given(value), rows(tokens ? w.T * w.N : 0), lagging(w.lags) {
    for (Int at = 0; at < Int(rows.size()); ++at) {
      const float* token = tokens + at * w.o;
      Int count = 0, place = 0;
      for (Int i = 0; i < w.o; ++i) count += token[i] != 0, place += token[i] != 0 ? i : 0;
      rows[at] = count == 1 && token[place] == 1 ? w.table + place * 3 * w.d : summed(token, at);
    }
  }
  const float* summed(const float* token, Int at) {
    const Int wide = 3 * w.d;
    if (others.empty()) others.resize(w.T * w.N * wide);
    float* y = others.data() + at * wide;
    clear(y, wide);
    for (Int i = 0; i < w.o; ++i)
      for (Int j = 0; j < wide; j += LANES) increase(y + j, token[i] * load(w.table + i * wide + j));
    return y;
  }
  const float* x(Int at) const { return tokens ? rows[at] : x_given + at * w.d; }
  const float* gate(Int at) const { return tokens ? rows[at] + w.d : gate_given + at * w.d; }
  const float* value(Int at) const { return tokens ? rows[at] + 2 * w.d : value_given + at * w.d; }

  // u of a tile; `past` [n, lags - 1, d] are the values before the first step, or null
  void convolve(float* u, const float* past, const Tile& tile) {
    const Int d = w.d, lags = w.lags;
    for (Int t = tile.begin; t < tile.end; ++t)
      for (Int r = tile.first; r < tile.first + tile.n; ++r) {
        const Int unseen = std::max<Int>(0, lags - 1 - t), from = past ? 0 : unseen;
        for (Int lag = from; lag < lags; ++lag)
          lagging[lag] = lag < unseen ? past + (r * (lags - 1) + t + lag) * d : value((t - lags + 1 + lag) * w.N + r);
        for (Int j = 0; j < d; j += LANES, u += LANES) {
          Lanes s = load(w.conv_bias + j);
          for (Int lag = from; lag < lags; ++lag) s += load(w.conv + lag * d + j) * load(lagging[lag] + j);
          store(u, s);
        }
      }
  }
  // gradients of a tile's values, of the map and of its bias; behind the tile in by_u [steps + lags - 1, n, d] lie the steps that follow
  void convolve_back(float* by_value, float* by_conv, float* by_bias, const float* by_u, const Tile& tile) {
    const Int d = w.d, lags = w.lags, row = tile.n * d;
    for (Int t = tile.begin; t < tile.end; ++t)
      for (Int r = tile.first; r < tile.first + tile.n; ++r) {
        const Int known = std::min(lags, t + 1);
        for (Int lag = 0; lag < known; ++lag) lagging[lag] = value((t - lag) * w.N + r);
        for (Int j = 0; j < d; j += LANES, by_u += LANES, by_value += LANES) {
          const Lanes s = load(by_u);
          Lanes back{};
          increase(by_bias + j, s);
          for (Int lag = 0; lag < lags; ++lag) back += load(w.conv + (lags - 1 - lag) * d + j) * load(by_u + lag * row);
          for (Int lag = 0; lag < known; ++lag) increase(by_conv + (lags - 1 - lag) * d + j, s * load(lagging[lag] + j));
          store(by_value, back);
        }
      }
  }
  // gradient of the table, from those of x, gate and value at a token
  void increase_table(float* by_table, const float* const* by, Int at, Int i) const {
    const float* token = tokens + at * w.o;
    Int from = 0, to = w.o;
    if (others.empty()) from = (rows[at] - w.table) / (3 * w.d), to = from + 1;
    for (Int each = from; each < to; ++each)
      for (Int c = 0; c < 3; ++c)
        for (Int j = 0; j < w.d; j += LANES) increase(by_table + (3 * each + c) * w.d + j, token[each] * load(by[c] + i * w.d + j));
  }
};

// t n d hidden lags heads o | x, gate, value [t, n, d], or where o observations [t, n, o], past [n, lags - 1, d], h0 [n, d],
// where o the table [o, 3 d], weights
// -> y [t, n, d], h [n, d], where SAVE r, i, h, x + recurrent branch [4, t, n, d], the MLP's branches [t, n, 2 hidden]
template <bool SAVE>
void hawk_forward(const Call& call) {
  const bool given = !call.sizes[6];
  const float* const* in = call.in + (given ? 3 : 1);
  const Hawk w(call.sizes, in + 2);
  const Int N = w.N, d = w.d, m = w.hidden, k = w.k, part = w.part;
  const float *past = in[0], *bias = w.gate_bias, *decay = w.decay;
  float *y = call.out[0], *last = call.out[1], *saved = SAVE ? call.out[2] : nullptr, *branches = SAVE ? call.out[3] : nullptr;
  Mlp mlp(d, m, w.mlp_in, w.mlp_out);
  Entry entry(w, given ? nullptr : call.in[0], call.in[0], call.in[1], call.in[2]);
  Floats own[] = {Floats(TILE * d), Floats(TILE * 2 * d), Floats(TILE * d), Floats(TILE * 2 * m)};
  Floats y_tile(TILE * d), saved_tiles[] = {Floats(TILE * d), Floats(TILE * d), Floats(TILE * d), Floats(TILE * d)};
  float *const u = own[0].data(), *const g = own[1].data(), *const p = own[2].data();
  copy(last, in[1], N * d);
  for (Int first = 0; first < N; first += ABREAST) {
    const Int n = std::min(ABREAST, N - first), steps = TILE / n;
    float* const state = last + first * d;
    for (Int begin = 0; begin < w.T; begin += steps) {
      const Tile tile{N, first, n, begin, std::min(w.T, begin + steps)};
      const Int tokens = tile.tokens();
      entry.convolve(u, past, tile);
      for (Int map = 0; map < 2 * w.heads; ++map)
        product(g + map * k, 2 * d, u + map % w.heads * k, d, 1, w.gates + map * k * k, k, tokens, k, k);
      float *kept[4] = {}, *const into = tile.of(y, d, y_tile), *const branch = SAVE ? tile.of(branches, 2 * m, own[3]) : own[3].data();
      for (Int i = 0; SAVE && i < 4; ++i) kept[i] = tile.of(saved + i * part, d, saved_tiles[i]);
      float *const recs = kept[0], *const ins = kept[1], *const hs = kept[2], *const middle = SAVE ? kept[3] : into;
      // three passes over a tile: of a long chain of operations few begin before the one before has ended
      for (Int i = 0; i < tokens; ++i)
        for (Int j = 0; j < d; j += LANES) {
          float* at = g + i * 2 * d + j;
          Lanes rec, in;
          sigmoids(rec, in, load(at) + load(bias + j), load(at + d) + load(bias + d + j));
          store(at, rec), store(at + d, in);
          if (SAVE) store(recs + i * d + j, rec), store(ins + i * d + j, in);
        }
      for (Int i = 0; i < tokens; ++i)
        for (Int j = 0; j < d; j += LANES) {
          float *at = g + i * 2 * d + j, *fresh = u + i * d + j;
          Lanes a, much;
          w.decayed(a, much, load(decay + j) * load(at));
          store(at, a), store(fresh, much * load(at + d) * load(fresh));
        }
      for (Int i = 0, r = 0; i < tokens; ++i, r = r + 1 < n ? r + 1 : 0) {
        const float* const gate = entry.gate(tile.at(i));
        copy(middle + i * d, entry.x(tile.at(i)), d);
        for (Int j = 0; j < d; j += LANES) {
          const Int here = i * d + j;
          const Lanes h = load(g + i * 2 * d + j) * load(state + r * d + j) + load(u + here);
          store(state + r * d + j, h);
          store(p + here, gelu(load(gate + j)) * h);
          if (SAVE) store(hs + here, h);
        }
      }
      times(middle, p, w.out, tokens, d, d, true);
      if (SAVE) copy(into, middle, tokens * d);
      mlp.forward(into, branch, tokens);
      tile.wrote(y, d, y_tile);
      if (SAVE) tile.wrote(branches, 2 * m, own[3]);
      for (Int i = 0; SAVE && i < 4; ++i) tile.wrote(saved + i * part, d, saved_tiles[i]);
    }
  }
}

// t n d hidden lags heads o | gate, value, or where o observations, saved, branches, gradient of y, where o the table, weights
// -> gradients of x, gate, value, or where o of the table, and of the weights
void hawk_backward(const Call& call) {
  const bool given = !call.sizes[6];
  const float* const* in = call.in + (given ? 2 : 1);
  float* const* by = call.out + (given ? 3 : 1);
  const Hawk w(call.sizes, in + 3);
  const Int N = w.N, d = w.d, m = w.hidden, k = w.k, part = w.part, lags = w.lags;
  const float *saved = in[0], *branches = in[1], *decay = w.decay;
  float *by_conv = by[0], *by_conv_bias = by[1], *by_gates = by[2], *by_gate_bias = by[3], *by_decay = by[4], *by_out = by[5];
  const Int sizes[] = {lags * d, d, 2 * w.heads * k * k, 2 * d, d, d * d, d * 2 * m, m * d};
  for (int i = 0; i < 8; ++i) clear(by[i], sizes[i]);
  if (!given) clear(call.out[0], w.o * 3 * d);
  MlpBack mlp(d, m, w.mlp_in, w.mlp_out);
  Entry entry(w, given ? nullptr : call.in[0], nullptr, call.in[0], call.in[1]);
  const Floats out = transposed(w.out, d, d);
  Floats gates;
  for (Int map = 0; map < 2 * w.heads; ++map) {
    const Floats one = transposed(w.gates + map * k * k, k, k);
    gates.insert(gates.end(), one.begin(), one.end());
  }
  Floats own[] = {Floats(TILE * d), Floats(TILE * 2 * d), Floats(TILE * d), Floats(TILE * d),
                  Floats((TILE + (lags - 1) * ABREAST) * d), Floats(ABREAST * d), Floats(TILE * 2 * m)};
  Floats by_tiles[] = {Floats(TILE * d), Floats(TILE * d), Floats(TILE * d)};
  Floats saved_tiles[] = {Floats(TILE * d), Floats(TILE * d), Floats(TILE * d), Floats(TILE * d)};
  float *const u = own[0].data(), *const g = own[1].data(), *const p = own[2].data(), *const by_open = own[3].data();
  float *const by_u = own[4].data(), *const later = own[5].data();
  for (Int first = 0; first < N; first += ABREAST) {
    const Int n = std::min(ABREAST, N - first), steps = TILE / n, row = n * d;
    clear(later, row), clear(by_u, own[4].size());
    for (Int end = w.T; end > 0; end -= std::min(steps, end)) {
      const Tile tile{N, first, n, std::max<Int>(0, end - steps), end};
      const Int begin = tile.begin, tokens = tile.tokens();
      const float* kept[4];
      float* to[3];
      for (Int i = 0; i < 4; ++i) kept[i] = tile.read(saved + i * part, d, saved_tiles[i]);
      for (Int i = 0; i < 3; ++i) to[i] = given ? tile.of(call.out[i], d, by_tiles[i]) : by_tiles[i].data();
      const float *const recs = kept[0], *const ins = kept[1], *const hs = kept[2], *const grad = tile.read(in[2], d, by_tiles[0]);
      float *const by_x = to[0], *const by_gate = to[1];
      if (by_x != grad) copy(by_x, grad, tokens * d);
      mlp(by_x, kept[3], tile.read(branches, 2 * m, own[6]), 2 * m, by[6], by[7], tokens);
      // the recurrent branch
      entry.convolve(u, nullptr, tile);
      times(by_open, by_x, out.data(), tokens, d, d);
      for (Int i = 0; i < tokens; ++i) {
        const float* const gate = entry.gate(tile.at(i));
        for (Int j = 0; j < d; j += LANES) {
          const Int here = i * d + j;
          const Lanes s_out = load(by_open + here), h = load(hs + here);
          Lanes slope, a, much, through;
          const Lanes open = gelu(load(gate + j), &slope);
          w.decayed(a, much, load(decay + j) * load(recs + here), &through);
          store(p + here, open * h);
          store(by_gate + here, s_out * h * slope);
          store(by_open + here, s_out * open);
          store(g + i * 2 * d + j, a), store(g + i * 2 * d + d + j, much), store(by_u + here, through);
        }
      }
      for (Int i = tokens - 1; i >= 0; --i) {
        const float* previous = i >= n ? hs + (i - n) * d : begin ? saved + 2 * part + ((begin - 1) * N + first + i) * d : nullptr;
        for (Int j = 0; j < d; j += LANES) {
          const Int here = i * d + j;
          float *at = g + i * 2 * d + j, *after = later + i % n * d + j;
          const Lanes rec = load(recs + here), input = load(ins + here), a = load(at), much = load(at + d), s_u = load(u + here);
          const Lanes before = previous ? load(previous + j) : Lanes{}, s = load(by_open + here) + load(after);
          store(after, a * s);
          const Lanes by_rate = s * (input * s_u * load(by_u + here) - before * a);
          const Lanes by_rec = by_rate * load(decay + j) * rec * (1.0f - rec), by_in = s * much * s_u * input * (1.0f - input);
          store(at, by_rec), store(at + d, by_in);
          store(by_u + here, s * much * input);
          increase(by_decay + j, by_rate * rec);
          increase(by_gate_bias + j, by_rec), increase(by_gate_bias + d + j, by_in);
        }
      }
      increase_by_outer(by_out, p, by_x, tokens, d, d);
      for (Int map = 0; map < 2 * w.heads; ++map) {
        const Int head = map % w.heads * k, at = map * k * k;
        product(by_gates + at, k, u + head, 1, d, g + map * k, 2 * d, k, k, tokens, true);
        product(by_u + head, d, g + map * k, 2 * d, 1, gates.data() + at, k, tokens, k, k, true);
      }
      entry.convolve_back(to[2], by_conv, by_conv_bias, by_u, tile);
      std::memmove(by_u + std::min(begin, steps) * row, by_u, (lags - 1) * row * sizeof(float));
      for (Int i = 0; given && i < 3; ++i) tile.wrote(call.out[i], d, by_tiles[i]);
      for (Int i = 0; !given && i < tokens; ++i) entry.increase_table(call.out[0], to, tile.at(i), i);
    }
  }
}

}  // namespace
