// Random words: Threefry-2x32 with 20 rounds (Salmon et al. 2011), as jax.random draws them.
#pragma once

#include "lanes.h"

namespace {

typedef uint32_t Words __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// n pairs | key [2], first [1] -> the words of the counters `first` and the n - 1 that follow it: both of each where `pairs`,
// [n, 2], else one exclusive or the other, [n]
void threefry(const Call& call) {
  const Int n = call.sizes[0], pairs = call.sizes[1];
  const uint32_t *key = reinterpret_cast<const uint32_t*>(call.in[0]), *first = reinterpret_cast<const uint32_t*>(call.in[1]);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0]);
  const uint32_t keys[] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA};
  constexpr int ROTATIONS[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  for (Int i = 0; i < n; i += LANES) {
    Words x{}, y{};
    for (int l = 0; l < LANES; ++l) y[l] = *first + uint32_t(i) + l;
    x += keys[0], y += keys[1];
    for (int group = 0; group < 5; ++group) {
      for (const int by : ROTATIONS[group % 2]) x += y, y = (y << by | y >> (32 - by)) ^ x;
      x += keys[(group + 1) % 3], y += keys[(group + 2) % 3] + group + 1;
    }
    for (Int l = 0; l < std::min(LANES, n - i); ++l)
      if (pairs) out[2 * (i + l)] = x[l], out[2 * (i + l) + 1] = y[l];
      else out[i + l] = x[l] ^ y[l];
  }
}

}  // namespace
