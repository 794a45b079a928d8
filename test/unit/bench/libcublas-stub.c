// A cuBLAS that computes nothing: it writes every call with every argument into a log.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char record[1 << 14];
static size_t used;
static int failing;

#define NOTE(...) used += (size_t)snprintf(record + used, sizeof record - used, __VA_ARGS__)

const char *stub_take_log(void) {
  static char taken[sizeof record];
  memcpy(taken, record, used + 1);
  used = 0;
  record[0] = 0;
  return taken;
}
void stub_fail(int status) { failing = status; }

int cublasCreate_v2(void **handle) {
  NOTE("create\n");
  *handle = (void *)0x7f0000001000;
  return 0;
}
int cublasDestroy_v2(void *handle) { NOTE("destroy %p\n", handle); return 0; }
int cublasGetVersion_v2(void *handle, int *version) { (void)handle; *version = 130002; return 0; }
int cublasSetStream_v2(void *handle, void *stream) { NOTE("stream %p %p\n", handle, stream); return 0; }
int cublasSetWorkspace_v2(void *handle, void *workspace, size_t bytes) {
  NOTE("workspace %p %p %zu\n", handle, workspace, bytes);
  return 0;
}
int cublasGemmEx(void *handle, int transa, int transb, int m, int n, int k, const void *alpha,
                 const void *a, int atype, int lda, const void *b, int btype, int ldb,
                 const void *beta, void *c, int ctype, int ldc, int compute, int algorithm) {
  NOTE("gemm %p ops %d %d, %d x %d x %d, alpha %g, a %p type %d ld %d, b %p type %d ld %d, "
       "beta %g, c %p type %d ld %d, compute %d algorithm %d\n",
       handle, transa, transb, m, n, k, *(const float *)alpha, a, atype, lda, b, btype, ldb,
       *(const float *)beta, c, ctype, ldc, compute, algorithm);
  return failing;
}
