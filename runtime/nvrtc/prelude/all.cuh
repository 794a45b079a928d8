// Everything of the prelude, for kernels that do not choose.
#pragma once
#include "prelude/types.cuh"
#include "prelude/convert.cuh"
#include "prelude/memory.cuh"
#include "prelude/mma.cuh"
#include "prelude/async-copy.cuh"
#include "prelude/wgmma.cuh"
