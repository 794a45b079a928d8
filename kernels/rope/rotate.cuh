// Rotary embedding of one pair of elements.
#pragma once
#include "prelude/types.cuh"

struct Rotation {
  float cosine;
  float sine;
};

// The turn by position · inverse_frequency radians, right to 2e-7. The product of an int and a float is
// exact in double up to 2^29, so whole turns are dropped without loss however long the context: what is
// left goes to sincospif, which has no slow path and no local memory.
DEVICE Rotation rotation(int position, float inverse_frequency) {
  const double turns = static_cast<double>(position) * static_cast<double>(inverse_frequency) * 0.15915494309189535;
  const float half_turns = 2.0f * static_cast<float>(turns - rint(turns));
  Rotation r;
  sincospif(half_turns, &r.sine, &r.cosine);
  return r;
}

// The pair (low, high) of a head's elements (i, i + headDim / 2), turned.
DEVICE void rotate(float& low, float& high, const Rotation& by) {
  const float turned = fmaf(low, by.cosine, -(high * by.sine));
  high = fmaf(high, by.cosine, low * by.sine);
  low = turned;
}
