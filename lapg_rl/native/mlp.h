// The gated MLP at the end of a block: lapg_rl/models/layers.py.
#pragma once

#include "lanes.h"

namespace {

struct Mlp {
  Int d, m;
  const float *in, *out;
  Floats p, q, scale;

  Mlp(Int d, Int m, const float* in, const float* out) : d(d), m(m), in(in), out(out), p(TILE * d), q(TILE * m), scale(TILE) {}

  // x [tokens, d] becomes the block's output; b [tokens, 2m] the branches before their activation
  void forward(float* x, float* b, Int tokens) {
    normalise(p.data(), scale.data(), x, tokens, d);
    times(b, p.data(), in, tokens, d, 2 * m);
    for (Int i = 0; i < tokens; ++i)
      for (Int j = 0; j < m; j += LANES)
        store(q.data() + i * m + j, gelu(load(b + i * 2 * m + j)) * load(b + i * 2 * m + m + j));
    times(x, q.data(), out, tokens, m, d, true);
  }
};

struct MlpBack {
  Int d, m;
  Floats in, out, normal, scale, by_normal, q, by_q, by_branches;

  MlpBack(Int d, Int m, const float* in, const float* out)
      : d(d), m(m), in(transposed(in, d, 2 * m)), out(transposed(out, m, d)), normal(TILE * d), scale(TILE), by_normal(TILE * d),
        q(TILE * m), by_q(TILE * m), by_branches(TILE * 2 * m) {}

  // grad [tokens, d] of the output becomes that of the input x; `stride` lies between the branches of two tokens
  void operator()(float* grad, const float* x, const float* branches, Int stride, float* by_in, float* by_out, Int tokens) {
    normalise(normal.data(), scale.data(), x, tokens, d);
    times(by_q.data(), grad, out.data(), tokens, d, m);
    for (Int i = 0; i < tokens; ++i) {
      const float* branch = branches + i * stride;
      for (Int j = 0; j < m; j += LANES) {
        Lanes slope;
        const Lanes open = gelu(load(branch + j), &slope), up = load(branch + m + j), s = load(by_q.data() + i * m + j);
        store(q.data() + i * m + j, open * up);
        store(by_branches.data() + i * 2 * m + j, s * up * slope);
        store(by_branches.data() + i * 2 * m + m + j, s * open);
      }
    }
    increase_by_outer(by_out, q.data(), grad, tokens, m, d);
    increase_by_outer(by_in, normal.data(), by_branches.data(), tokens, d, 2 * m);
    times(by_normal.data(), by_branches.data(), in.data(), tokens, 2 * m, d);
    normalise_back(grad, scale.data(), normal.data(), by_normal.data(), tokens, d);
  }
};

}  // namespace
