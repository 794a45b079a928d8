/**
 * NVRTC options of every kernel, beyond those all compilations have (`nvrtcOptions`). Contraction of
 * products and sums would let two specialisations of one formula round differently; kernels say fmaf
 * where they mean it.
 */
export const kernelOptions: readonly string[] = ["--fmad=false"];
