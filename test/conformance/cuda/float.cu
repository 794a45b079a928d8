// Floating point: result k of element i goes to out[k * n + i].
#define PUT(value) out[k++ * n + i] = (value)

extern "C" __global__ void floats_exact(const float* x, const float* y, const float* z, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  const float a = x[i], b = y[i], c = z[i];
  PUT(__fadd_rn(a, b));
  PUT(__fadd_rz(a, b));
  PUT(__fadd_rd(a, b));
  PUT(__fadd_ru(a, b));
  PUT(__fsub_rn(a, b));
  PUT(__fmul_rn(a, b));
  PUT(__fmul_rz(a, b));
  PUT(__fmul_rd(a, b));
  PUT(__fmul_ru(a, b));
  PUT(__fmaf_rn(a, b, c));
  PUT(__fmaf_rz(a, b, c));
  PUT(__fmaf_rd(a, b, c));
  PUT(__fmaf_ru(a, b, c));
  PUT(__fdiv_rn(a, b));
  PUT(__fsqrt_rn(fabsf(a)));
  PUT(__frcp_rn(a));
  PUT(fminf(a, b));
  PUT(fmaxf(a, b));
  PUT(fabsf(a));
  PUT(-a);
  PUT(copysignf(a, b));
  PUT(floorf(a));
  PUT(ceilf(a));
  PUT(truncf(a));
  PUT(rintf(a));
  PUT(__saturatef(a));
  PUT(a < b ? 1.0f : 2.0f);
  PUT(a <= b ? 1.0f : 2.0f);
  PUT(!(a > b) ? 1.0f : 2.0f);
  PUT(a == b ? 1.0f : 2.0f);
  PUT(a != b ? 1.0f : 2.0f);
  PUT(isnan(a) ? 1.0f : 2.0f);
  PUT(isinf(a) ? 1.0f : 2.0f);
}

extern "C" __global__ void flushed(const float* x, const float* y, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  float r;
  asm("add.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("mul.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("fma.rn.ftz.sat.f32 %0, %1, %2, 0f3E800000;" : "=f"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
}

// Results within some units of the last place of the true value.
extern "C" __global__ void floats_close(const float* x, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  const float a = x[i], p = fabsf(a) + 1e-3f;
  PUT(expf(a));
  PUT(exp2f(a));
  PUT(logf(p));
  PUT(log2f(p));
  PUT(rsqrtf(p));
  PUT(tanhf(a));
  PUT(erff(a));
  PUT(powf(p, 1.7f));
  PUT(sinf(a));
  PUT(cosf(a));
  PUT(1.0f / (1.0f + expf(-a)));
}

// Approximations, with more room.
extern "C" __global__ void floats_rough(const float* x, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  const float a = x[i], p = fabsf(a) + 1e-3f;
  PUT(__expf(a));
  PUT(__logf(p));
  PUT(__sinf(a));
  PUT(__cosf(a));
  PUT(__fdividef(a, p));
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(p));
  PUT(r);
  asm("sqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(p));
  PUT(r);
  asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
  PUT(r);
}

extern "C" __global__ void to_ints(const float* x, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  const float a = x[i];
  PUT(__float2int_rn(a));
  PUT(__float2int_rz(a));
  PUT(__float2int_rd(a));
  PUT(__float2int_ru(a));
  PUT(static_cast<int>(__float2uint_rn(a)));
  PUT(static_cast<int>(__float2uint_rz(a)));
  PUT(static_cast<int>(static_cast<short>(__float2int_rz(fminf(fmaxf(a, -30000.0f), 30000.0f)))));
  const long long w = __float2ll_rz(a);
  PUT(static_cast<int>(w));
  PUT(static_cast<int>(w >> 32));
}

extern "C" __global__ void from_ints(const int* x, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  const int a = x[i];
  PUT(__int2float_rn(a));
  PUT(__int2float_rz(a));
  PUT(__int2float_rd(a));
  PUT(__int2float_ru(a));
  PUT(__uint2float_rn(a));
  PUT(__ll2float_rn(static_cast<long long>(a) * 4294967311ll));
  PUT(static_cast<float>(static_cast<signed char>(a)));
  PUT(static_cast<float>(static_cast<unsigned short>(a)));
}

extern "C" __global__ void halves(const float* x, const float* y, unsigned* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  unsigned short h;
  unsigned r;
  float f;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x[i]));
  PUT(h);
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  PUT(__float_as_uint(f));
  asm("cvt.rz.f16.f32 %0, %1;" : "=h"(h) : "f"(x[i]));
  PUT(h);
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x[i]));
  PUT(h);
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("{\n\t.reg .b16 a, b, c;\n\tcvt.rn.f16.f32 a, %1;\n\tcvt.rn.f16.f32 b, %2;\n\tadd.f16 c, a, b;\n\tcvt.u32.u16 %0, c;\n\t}"
      : "=r"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("{\n\t.reg .b16 a, b, c;\n\tcvt.rn.f16.f32 a, %1;\n\tcvt.rn.f16.f32 b, %2;\n\tmul.f16 c, a, b;\n\tcvt.u32.u16 %0, c;\n\t}"
      : "=r"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
  asm("{\n\t.reg .b32 a, b;\n\tcvt.rn.bf16x2.f32 a, %1, %2;\n\tcvt.rn.bf16x2.f32 b, %2, %1;\n\tfma.rn.bf16x2 %0, a, b, a;\n\t}"
      : "=r"(r) : "f"(x[i]), "f"(y[i]));
  PUT(r);
}

extern "C" __global__ void doubles(const double* x, const double* y, double* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int k = 0;
  const double a = x[i], b = y[i];
  PUT(a + b);
  PUT(a - b);
  PUT(a * b);
  PUT(a / b);
  PUT(sqrt(fabs(a)));
  PUT(fma(a, b, 0.5));
  PUT(fmin(a, b));
  PUT(fmax(a, b));
  PUT(static_cast<float>(a));
  PUT(floor(a));
  PUT(static_cast<double>(static_cast<int>(a)));
  PUT(static_cast<double>(static_cast<long long>(a)));
  PUT(a < b ? a : b);
}
