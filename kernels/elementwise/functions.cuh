// Scalar functions of generated expressions.
#pragma once
#include "prelude/types.cuh"

DEVICE float silu(float x) { return x / (1.0f + expf(-x)); }
