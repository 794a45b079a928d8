import koffi from "koffi";
import type { DevicePtr, Stream } from "../../../runtime/driver/driver.ts";
import { HydrantError } from "../../../src/util/errors.ts";
import type { CublasLibrary } from "./find-cublas.ts";

/* Values of cublas_api.h and library_types.h, the same since CUDA 11. */
const operation = { none: 0, transpose: 1 } as const;
const bf16Data = 14; // CUDA_R_16BF
const f32Compute = 68; // CUBLAS_COMPUTE_32F
const defaultAlgorithm = -1; // CUBLAS_GEMM_DEFAULT

/** Handles and device addresses as 64-bit integers, as in the driver's binding. */
const prototypes = {
  cublasCreate_v2: "int cublasCreate_v2(void *handle)",
  cublasDestroy_v2: "int cublasDestroy_v2(uint64_t handle)",
  cublasGetVersion_v2: "int cublasGetVersion_v2(uint64_t handle, void *version)",
  cublasSetStream_v2: "int cublasSetStream_v2(uint64_t handle, uint64_t stream)",
  cublasSetWorkspace_v2:
    "int cublasSetWorkspace_v2(uint64_t handle, uint64_t workspace, size_t bytes)",
  cublasGemmEx:
    "int cublasGemmEx(uint64_t handle, int transa, int transb, int m, int n, int k, void *alpha, uint64_t a, int atype, int lda, uint64_t b, int btype, int ldb, void *beta, uint64_t c, int ctype, int ldc, int compute, int algorithm)",
} as const;
type EntryPoint = keyof typeof prototypes;

/** A product y = x Wᵀ in bf16 with sums in f32, all row-major as the models have it. */
export interface Product {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

export interface ProductOperands {
  /** bf16[rows, inputs] */
  readonly x: DevicePtr;
  /** bf16[outputs, inputs] */
  readonly weights: DevicePtr;
  /** bf16[rows, outputs] */
  readonly y: DevicePtr;
}

/** Queues products on a stream, captured or not. */
export interface ProductLibrary {
  /** For people: `cuBLAS 13.0.2`. */
  readonly name: string;
  setStream(stream: Stream): void;
  multiply(product: Product, operands: ProductOperands): void;
  close(): void;
}

/** cuBLAS by its C interface, in the context that is current. */
export class Cublas implements ProductLibrary {
  readonly name: string;
  readonly #calls: ReadonlyMap<EntryPoint, (...args: unknown[]) => unknown>;
  readonly #handle: bigint;
  readonly #one = Float32Array.of(1);
  readonly #zero = Float32Array.of(0);

  /** @throws HydrantError `bench/peer` when the library does not load or lacks a function. */
  constructor({ path, ltPath }: CublasLibrary) {
    this.#calls = bind(path, ltPath);
    const handle = new BigUint64Array(1);
    this.#call("cublasCreate_v2", handle);
    this.#handle = handle[0] ?? 0n;
    const version = new Int32Array(1);
    this.#call("cublasGetVersion_v2", this.#handle, version);
    this.name = `cuBLAS ${versionText(version[0] ?? 0)}`;
  }

  setStream(stream: Stream): void {
    this.#call("cublasSetStream_v2", this.#handle, stream);
  }

  /**
   * Scratch memory of ours: graphs can be captured then, and split products need it. After
   * `setStream`, which sets it back.
   */
  setWorkspace(workspace: DevicePtr, bytes: number): void {
    this.#call("cublasSetWorkspace_v2", this.#handle, workspace, bytes);
  }

  /** As columns before rows, which is cuBLAS's order, y is W x with W transposed and x as it is. */
  multiply({ rows, inputs, outputs }: Product, { x, weights, y }: ProductOperands): void {
    this.#call(
      "cublasGemmEx",
      this.#handle,
      operation.transpose,
      operation.none,
      outputs,
      rows,
      inputs,
      this.#one,
      weights,
      bf16Data,
      inputs,
      x,
      bf16Data,
      inputs,
      this.#zero,
      y,
      bf16Data,
      outputs,
      f32Compute,
      defaultAlgorithm,
    );
  }

  close(): void {
    this.#call("cublasDestroy_v2", this.#handle);
  }

  #call(name: EntryPoint, ...args: unknown[]): void {
    const status = this.#calls.get(name)?.(...args);
    if (status === 0) return;
    throw new HydrantError("bench/peer", `${name} answered status ${String(status)}.`, {
      hint: "The numbers are those of cublasStatus_t: 3 is too little memory, 7 a bad argument, 13 a failed launch, 15 unsupported.",
    });
  }
}

function bind(
  path: string,
  ltPath: string | undefined,
): ReadonlyMap<EntryPoint, (...args: unknown[]) => unknown> {
  try {
    if (ltPath !== undefined) koffi.load(ltPath, { global: true });
    const library = koffi.load(path);
    return new Map(entryPoints.map((name) => [name, library.func(prototypes[name])] as const));
  } catch (error) {
    throw new HydrantError("bench/peer", "libcublas does not load.", {
      path,
      hint: "Point HYDRANT_CUBLAS at the libcublas.so of a whole installation.",
      cause: error,
    });
  }
}

const entryPoints = [
  "cublasCreate_v2",
  "cublasDestroy_v2",
  "cublasGetVersion_v2",
  "cublasSetStream_v2",
  "cublasSetWorkspace_v2",
  "cublasGemmEx",
] as const satisfies readonly EntryPoint[];

/** 130002 is 13.0.2; before 12.7 it was 120600 for 12.6.0. */
function versionText(version: number): string {
  return `${Math.floor(version / 10000)}.${Math.floor((version % 10000) / 100)}.${version % 100}`;
}
