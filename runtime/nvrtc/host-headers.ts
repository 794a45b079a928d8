const INTEGERS = `#pragma once
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef long intptr_t;
typedef unsigned long uintptr_t;
`;

const LIMITS = `#pragma once
#define CHAR_BIT 8
#define INT_MAX 2147483647
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 4294967295u
#define LONG_MAX 9223372036854775807l
#define LONG_MIN (-LONG_MAX - 1)
#define ULONG_MAX 18446744073709551615ul
#define LLONG_MAX 9223372036854775807ll
#define LLONG_MIN (-LLONG_MAX - 1)
#define ULLONG_MAX 18446744073709551615ull
`;

const FLOATS = `#pragma once
#define FLT_MAX 3.402823466e+38f
#define FLT_MIN 1.175494351e-38f
#define FLT_EPSILON 1.192092896e-07f
#define DBL_MAX 1.7976931348623158e+308
#define DBL_MIN 2.2250738585072014e-308
#define DBL_EPSILON 2.2204460492503131e-16
`;

/** What NVRTC has built in and files written for nvcc include all the same. */
const BUILT_IN = "#pragma once\n";

/**
 * Stand-ins for the headers that CUDA files written for nvcc commonly include, by include name.
 * NVRTC ships none, and needs none for what it has built in: threads, vectors, mathematics.
 */
export const HOST_HEADERS: Readonly<Record<string, string>> = {
  "stdint.h": INTEGERS,
  cstdint: INTEGERS,
  "limits.h": LIMITS,
  climits: LIMITS,
  "float.h": FLOATS,
  cfloat: FLOATS,
  "stddef.h": BUILT_IN,
  cstddef: BUILT_IN,
  "math.h": BUILT_IN,
  cmath: BUILT_IN,
  "cuda_runtime.h": BUILT_IN,
  "device_launch_parameters.h": BUILT_IN,
};
