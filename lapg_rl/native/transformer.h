// A block of the transformer behind its projections: lapg_rl/models/attending.py, sequences [t, n, d], time first.
#pragma once

#include <limits>

#include "mlp.h"

namespace {

constexpr float LEAST = -std::numeric_limits<float>::infinity();
constexpr Int QUERIES = 16;  // at a time: those later in a tile see more keys

// exp(x) for x <= 0, to 2e-7 of it; 0 below -87. NaN stays NaN.
inline Lanes exp(Lanes x) {
  typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
  const Lanes many = x * 1.44269504f + 12582912.0f, n = many - 12582912.0f;  // rounds: it has no bits behind the point
  const Lanes r = x - n * 0.693145752f - n * 1.42860677e-6f;
  Lanes p = r * (1.0f / 5040) + 1.0f / 720;
  for (float next : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + next;
  const Bits power = (Bits(many) << 23) + 0x3F800000u;
  return x < -87.0f ? Lanes{} : p * Lanes(power);
}

// What `softmax` finds beside weights that have no sum of 1 yet: what makes it 1, and log(sum(exp(scores))).
struct Sum {
  float inverse, log;
};

// Weights of one query, in place of its scores of `seen` keys, in rows filled up to a multiple of LANES.
inline Sum softmax(float* row, Int seen, Int filled) {
  std::fill(row + seen, row + filled, LEAST);
  Lanes most = load(row), total{};
  for (Int c = LANES; c < filled; c += LANES) most = load(row + c) > most ? load(row + c) : most;
  const float top = *std::max_element(&most[0], &most[0] + LANES);
  for (Int c = 0; c < filled; c += LANES) {
    const Lanes weight = exp(load(row + c) - top);
    store(row + c, weight);
    total += weight;
  }
  const float all_of_it = sum(total);
  return {1 / all_of_it, top + std::log(all_of_it)};
}

inline Int up(Int size) { return (size + LANES - 1) / LANES * LANES; }

// What one sequence is asked and answers, heads one behind the other: queries, scaled by 1 / sqrt(k), keys and values [t, d]; the
// latter two also [d, wide], which has a column for each token.
struct Sequence {
  Int T, N, d, heads, k, half, wide;
  const float *cosine, *sine;
  float scale;
  Floats query, key, value, keys, values, scores;

  Sequence(const Int* s, const float* const* tables)
      : T(s[0]), N(s[1]), d(s[2]), heads(s[4]), k(d / heads), half(k / 2), wide(up(T)), cosine(tables[0]), sine(tables[1]),
        scale(1 / std::sqrt(float(k))), query(T * d), key(T * d), value(T * d), keys(d * wide), values(d * wide),
        scores(QUERIES * wide) {}

  // Each pair (i, i + k/2) of a head turned by the angle of its token, or back; rows of `from` and `to` lie so far apart.
  void turn(float* to, Int to_row, const float* from, Int from_row, float direction, float factor) const {
    for (Int t = 0; t < T; ++t)
      for (Int h = 0; h < d; h += k)
        for (Int j = 0; j < half; j += LANES) {
          const float *x = from + t * from_row + h + j;
          float* y = to + t * to_row + h + j;
          const Lanes c = factor * load(cosine + t * half + j), s = factor * direction * load(sine + t * half + j);
          const Lanes first = load(x), second = load(x + half);
          store(y, first * c - second * s), store(y + half, first * s + second * c);
        }
  }

  void columns(Floats& to, const Floats& from) const {
    for (Int j = 0; j < d; ++j) {
      for (Int t = 0; t < T; ++t) to[j * wide + t] = from[t * d + j];
      for (Int t = T; t < wide; ++t) to[j * wide + t] = 0;
    }
  }

  void read(const float* q, const float* k, const float* v, Int n) {
    turn(query.data(), d, q + n * d, N * d, 1, scale);
    turn(key.data(), d, k + n * d, N * d, 1, 1);
    for (Int t = 0; t < T; ++t) copy(value.data() + t * d, v + (t * N + n) * d, d);
    columns(keys, key);
  }

  // scores [count, wide] of the queries from `first` on of the head that starts at h
  void ask(Int first, Int count, Int h) {
    product(scores.data(), wide, query.data() + first * d + h, d, 1, keys.data() + h * wide, wide, count, up(first + count), k);
  }
};

// t n d hidden heads | x, queries, keys, values [t, n, d], cosine, sine [t, k/2], weights
// -> y [t, n, d], where SAVE attended, x + attended out [2, t, n, d], log sums [t, n, heads], MLP's branches [t, n, 2 hidden]
template <bool SAVE>
void transformer_forward(const Call& call) {
  Sequence s(call.sizes, call.in + 4);
  const Int T = s.T, N = s.N, d = s.d, m = call.sizes[3], part = T * N * d;
  const float* out = call.in[6];
  Mlp mlp(d, m, call.in[7], call.in[8]);
  Floats found(TILE * d), middle(TILE * d), b(TILE * 2 * m);
  for (Int n = 0; n < N; ++n) {
    s.read(call.in[1], call.in[2], call.in[3], n);
    for (Int begin = 0; begin < T; begin += TILE) {
      const Int tokens = std::min(TILE, T - begin), end = begin + tokens;
      for (Int first = begin; first < end; first += QUERIES)
        for (Int head = 0; head < s.heads; ++head) {
          const Int h = head * s.k, last = std::min(end, first + QUERIES);
          s.ask(first, last - first, h);
          float* to = found.data() + (first - begin) * d + h;
          Sum sums[QUERIES];
          for (Int i = 0; i < last - first; ++i) sums[i] = softmax(s.scores.data() + i * s.wide, first + i + 1, up(last));
          product(to, d, s.scores.data(), s.wide, 1, s.value.data() + h, d, last - first, s.k, last);
          for (Int i = 0; i < last - first; ++i) {
            for (Int j = i * d; j < i * d + s.k; j += LANES) store(to + j, load(to + j) * sums[i].inverse);
            if (SAVE) call.out[2][((first + i) * N + n) * s.heads + head] = sums[i].log;
          }
        }
      for (Int i = 0; i < tokens; ++i) copy(middle.data() + i * d, call.in[0] + ((begin + i) * N + n) * d, d);
      times(middle.data(), found.data(), out, tokens, d, d, true);
      for (Int i = 0; SAVE && i < tokens; ++i) {
        copy(call.out[1] + ((begin + i) * N + n) * d, found.data() + i * d, d);
        copy(call.out[1] + part + ((begin + i) * N + n) * d, middle.data() + i * d, d);
      }
      mlp.forward(middle.data(), b.data(), tokens);
      for (Int i = 0; i < tokens; ++i) {
        copy(call.out[0] + ((begin + i) * N + n) * d, middle.data() + i * d, d);
        if (SAVE) copy(call.out[3] + ((begin + i) * N + n) * 2 * m, b.data() + i * 2 * m, 2 * m);
      }
    }
  }
}

// t n d hidden heads | queries, keys, values, saved, log sums, branches, gradient of y, cosine, sine, weights
// -> gradients of x, queries, keys, values, weights
void transformer_backward(const Call& call) {
  Sequence s(call.sizes, call.in + 7);
  const Int T = s.T, N = s.N, d = s.d, k = s.k, wide = s.wide, m = call.sizes[3], part = T * N * d;
  const float *saved = call.in[3], *log_sums = call.in[4], *branches = call.in[5];
  float *const* by = call.out;
  MlpBack mlp(d, m, call.in[10], call.in[11]);
  const Floats out = transposed(call.in[9], d, d);
  clear(by[4], d * d), clear(by[5], d * 2 * m), clear(by[6], m * d);
  Floats grad(TILE * d), rows(TILE * d), asked(TILE * d), moved(QUERIES * wide), by_query(T * d), by_key(T * d), by_value(T * d);
  for (Int n = 0; n < N; ++n) {
    s.read(call.in[0], call.in[1], call.in[2], n);
    s.columns(s.values, s.value);
    clear(by_key.data(), T * d), clear(by_value.data(), T * d);
    for (Int begin = 0; begin < T; begin += TILE) {
      const Int tokens = std::min(TILE, T - begin), end = begin + tokens;
      for (Int i = 0; i < tokens; ++i) {
        copy(grad.data() + i * d, call.in[6] + ((begin + i) * N + n) * d, d);
        copy(rows.data() + i * d, saved + part + ((begin + i) * N + n) * d, d);
      }
      mlp(grad.data(), rows.data(), branches + (begin * N + n) * 2 * m, N * 2 * m, by[5], by[6], tokens);
      for (Int i = 0; i < tokens; ++i) {
        copy(by[0] + ((begin + i) * N + n) * d, grad.data() + i * d, d);
        copy(rows.data() + i * d, saved + ((begin + i) * N + n) * d, d);
      }
      increase_by_outer(by[4], rows.data(), grad.data(), tokens, d, d);
      times(asked.data(), grad.data(), out.data(), tokens, d, d);
      for (Int first = begin; first < end; first += QUERIES)
        for (Int head = 0; head < s.heads; ++head) {
          const Int h = head * k, last = std::min(end, first + QUERIES), count = last - first, filled = up(last);
          const float *ask = asked.data() + (first - begin) * d + h, *got = rows.data() + (first - begin) * d + h;
          s.ask(first, count, h);
          product(moved.data(), wide, ask, d, 1, s.values.data() + h * wide, wide, count, filled, k);
          for (Int i = 0; i < count; ++i) {
            float *weight = s.scores.data() + i * wide, *move = moved.data() + i * wide;
            const float log_sum = log_sums[((first + i) * N + n) * s.heads + head];
            Lanes all_of_it{};
            for (Int j = i * d; j < i * d + k; j += LANES) all_of_it += load(ask + j) * load(got + j);
            const float mean = sum(all_of_it);
            std::fill(weight + first + i + 1, weight + filled, LEAST);
            for (Int c = 0; c < filled; c += LANES) {
              const Lanes w = exp(load(weight + c) - log_sum);
              store(weight + c, w), store(move + c, w * (load(move + c) - mean));
            }
          }
          product(by_value.data() + h, d, s.scores.data(), 1, wide, ask, d, last, k, count, true);
          product(by_query.data() + first * d + h, d, moved.data(), wide, 1, s.key.data() + h, d, count, k, last);
          product(by_key.data() + h, d, moved.data(), 1, wide, s.query.data() + first * d + h, d, last, k, count, true);
        }
    }
    s.turn(by[1] + n * d, N * d, by_query.data(), d, -1, s.scale);
    s.turn(by[2] + n * d, N * d, by_key.data(), d, -1, 1);
    for (Int t = 0; t < T; ++t) copy(by[3] + (t * N + n) * d, by_value.data() + t * d, d);
  }
}

// t n d hidden heads context | x, turned query [n, d], keys [n, heads, k, context], values [n, heads, context, k], how many [n],
// weights -> y [n, d]; t is 1
void transformer_step(const Call& call) {
  const Int N = call.sizes[1], d = call.sizes[2], m = call.sizes[3], context = call.sizes[5], k = d / call.sizes[4];
  Mlp mlp(d, m, call.in[6], call.in[7]);
  Floats found(TILE * d), b(TILE * 2 * m), scores(up(context));
  const float scale = 1 / std::sqrt(float(k));
  for (Int first = 0; first < N; first += TILE) {
    const Int n = std::min(TILE, N - first);
    float* y = call.out[0] + first * d;
    for (Int r = 0; r < n; ++r)
      for (Int h = 0; h < d; h += k) {
        const Int at = (first + r) * d + h, seen = std::min<Int>(context, call.in[4][first + r]), whole = seen / LANES * LANES;
        const float *query = call.in[1] + at, *keys = call.in[2] + at * context, *values = call.in[3] + at * context;
        clear(scores.data(), up(seen));
        for (Int j = 0; j < k; j += 4) {  // four rows of the cache at a time
          const float* row = keys + j * context;
          Lanes parts[4];
          for (int i = 0; i < 4; ++i) parts[i] = all(scale * query[j + i]);
          for (Int c = 0; c < whole; c += LANES) {
            const Lanes two = parts[0] * load(row + c) + parts[1] * load(row + context + c);
            increase(scores.data() + c, two + parts[2] * load(row + 2 * context + c) + parts[3] * load(row + 3 * context + c));
          }
          for (Int c = whole; c < seen; ++c)
            for (int i = 0; i < 4; ++i) scores[c] += parts[i][0] * row[i * context + c];
        }
        const float inverse = softmax(scores.data(), seen, up(seen)).inverse;
        for (Int j = 0; j < k; j += LANES) {
          Lanes one{}, other{};
          for (Int c = 0; c + 1 < seen; c += 2) {
            one += scores[c] * load(values + c * k + j);
            other += scores[c + 1] * load(values + (c + 1) * k + j);
          }
          if (seen % 2) one += scores[seen - 1] * load(values + (seen - 1) * k + j);
          store(found.data() + r * d + h + j, inverse * (one + other));
        }
      }
    copy(y, call.in[0] + first * d, n * d);
    times(y, found.data(), call.in[5], n, d, d, true);
    mlp.forward(y, b.data(), n);
  }
}

}  // namespace
