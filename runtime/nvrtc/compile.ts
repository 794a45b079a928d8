/** CUDA C++ text → PTX and cubin for one architecture, through the disk cache. */
import { HydrantError } from "../../src/util/errors.ts";
import { KernelCache } from "./cache.ts";
import { CompileError } from "./compile-error.ts";
import type { Nvrtc, NvrtcOutput } from "./nvrtc.ts";
import { parseResourceUsage, type ResourceUsage } from "./resource-usage.ts";

export interface CompileRequest {
  readonly source: string;
  /** File name for messages and line information, for example `rms_norm_4096_bf16.cu`. */
  readonly name: string;
  /**
   * `sm_80`, `sm_90a`: machine code for exactly that, with PTX beside it. `compute_80`: PTX only,
   * and its inline assembly is not even checked (NVRTC runs no ptxas then).
   */
  readonly arch: string;
  readonly defines?: Readonly<Record<string, string>>;
  /** Further NVRTC options, for example `--use_fast_math`. */
  readonly options?: readonly string[];
  /** Texts for `#include "NAME"`. Nothing else can be included: NVRTC comes without headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** C++ names of kernels whose mangled forms are wanted. */
  readonly nameExpressions?: readonly string[];
}

export interface CompiledModule {
  readonly arch: string;
  /** For example `13.0`. */
  readonly nvrtcVersion: string;
  readonly ptx: string;
  /** Empty for a `compute_` architecture. */
  readonly cubin: Uint8Array;
  /** The compiler's messages, warnings included. */
  readonly log: string;
  /** Symbol of each name expression asked for. */
  readonly loweredNames: Readonly<Record<string, string>>;
  /** By kernel symbol; empty for a `compute_` architecture. */
  readonly resources: Readonly<Record<string, ResourceUsage>>;
  readonly fromCache: boolean;
}

/**
 * Compiles, or finds the result of an earlier identical compilation in `cache`. Blocks for tens of
 * milliseconds when it compiles. Throws `CompileError` when the source is at fault and
 * `nvrtc/unsupported-arch` when this NVRTC is too old or too new for the architecture.
 */
export function compileCuda(
  nvrtc: Nvrtc,
  request: CompileRequest,
  cache?: KernelCache,
): CompiledModule {
  return cachedModule(nvrtc, request, cache) ?? compileAnew(nvrtc, request, cache);
}

/** As `compileCuda`, without a look into the cache: its entry, if any, is replaced. */
export function compileAnew(
  nvrtc: Nvrtc,
  request: CompileRequest,
  cache?: KernelCache,
): CompiledModule {
  const options = nvrtcOptions(request);
  const output = nvrtc.compile({
    source: request.source,
    name: request.name,
    options,
    headers: request.headers ?? {},
    nameExpressions: request.nameExpressions ?? [],
  });
  if (!output.ok) {
    throw new CompileError({
      source: request.source,
      fileName: request.name,
      options,
      headers: request.headers ?? {},
      log: mapAssemblerErrors(nvrtc, request, output.log),
    });
  }
  const entry: Entry = { ...pick(output), resources: parseResourceUsage(output.log) };
  cache?.set(keyOf(nvrtc, request), {
    ...entry,
    cubin: Buffer.from(entry.cubin).toString("base64"),
  });
  return { arch: request.arch, nvrtcVersion: versionOf(nvrtc), ...entry, fromCache: false };
}

/** The module of an earlier identical compilation, if `cache` has it. */
export function cachedModule(
  nvrtc: Nvrtc,
  request: CompileRequest,
  cache: KernelCache | undefined,
): CompiledModule | undefined {
  checkArch(nvrtc, request.arch);
  const entry = decodeEntry(cache?.get(keyOf(nvrtc, request)));
  if (entry === undefined) return undefined;
  return { arch: request.arch, nvrtcVersion: versionOf(nvrtc), ...entry, fromCache: true };
}

const versionOf = ({ version }: Nvrtc): string => `${version.major}.${version.minor}`;

/** All that decides the result. */
const keyOf = (nvrtc: Nvrtc, request: CompileRequest): string =>
  KernelCache.key([
    versionOf(nvrtc),
    request.name,
    request.source,
    JSON.stringify([nvrtcOptions(request), request.headers ?? {}, request.nameExpressions ?? []]),
  ]);

/** The options one request comes to, in a fixed order: they are part of the cache key. */
export function nvrtcOptions(request: CompileRequest): string[] {
  return [
    `--gpu-architecture=${request.arch}`,
    // The default of NVRTC 11 predates lambdas.
    "--std=c++17",
    "--generate-line-info",
    ...(request.arch.startsWith("sm_") ? ["--ptxas-options=-v"] : []),
    ...Object.entries(request.defines ?? {}).map(([key, value]) =>
      value === "" ? `--define-macro=${key}` : `--define-macro=${key}=${value}`,
    ),
    ...(request.options ?? []),
  ];
}

function checkArch(nvrtc: Nvrtc, arch: string): void {
  const parsed = /^(?:sm|compute)_(\d+)([af]?)$/.exec(arch);
  const { major, minor } = nvrtc.version;
  const known = nvrtc.supportedArchs.includes(Number(parsed?.[1]));
  // The architecture-specific forms came with CUDA 12.
  if (known && (parsed?.[2] === "" || major >= 12)) return;
  throw new HydrantError(
    "nvrtc/unsupported-arch",
    `NVRTC ${major}.${minor} does not compile for ${arch}.`,
    {
      path: nvrtc.library.path,
      hint: `It knows ${nvrtc.supportedArchs.map((one) => `sm_${one}`).join(" ")}; newer CUDA versions know newer architectures.`,
    },
  );
}

type Entry = Omit<CompiledModule, "arch" | "nvrtcVersion" | "fromCache">;

const pick = ({ ptx, cubin, log, loweredNames }: NvrtcOutput) => ({
  ptx,
  cubin,
  log,
  loweredNames,
});

function decodeEntry(value: unknown): Entry | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { cubin, ...rest } = value as Omit<Entry, "cubin"> & { cubin: unknown };
  if (typeof cubin !== "string") return undefined;
  return { ...rest, cubin: new Uint8Array(Buffer.from(cubin, "base64")) };
}

/**
 * ptxas reports inline assembly by line of the PTX, which it hands out only on success. The same
 * text comes from compiling for the virtual architecture; its `.loc` lines lead back to the source.
 */
function mapAssemblerErrors(nvrtc: Nvrtc, request: CompileRequest, log: string): string {
  const ptxError = /^ptxas application ptx input, line (\d+); error\s*: (.*)$/gm;
  if (!ptxError.test(log)) return log;
  const virtual = nvrtc.compile({
    source: request.source,
    name: request.name,
    options: nvrtcOptions({ ...request, arch: request.arch.replace(/^sm_/, "compute_") }),
    headers: request.headers ?? {},
    nameExpressions: request.nameExpressions ?? [],
  });
  if (!virtual.ok) return log;
  const ptx = virtual.ptx.split("\n");
  const files = new Map<string, string>();
  for (const line of ptx) {
    const file = /^\s*\.file\s+(\d+)\s+"([^"]*)"/.exec(line);
    if (file !== null) files.set(file[1] ?? "", file[2] ?? "");
  }
  return log.replace(ptxError, (whole, number: string, message: string) => {
    for (let at = Number(number) - 1; at >= 0; at--) {
      const loc = /^\s*\.loc\s+(\d+)\s+(\d+)/.exec(ptx[at] ?? "");
      if (loc === null) continue;
      const file = files.get(loc[1] ?? "") ?? request.name;
      // Line tables hold absolute paths; the name the caller gave is the one to show.
      const shown = file.endsWith(`/${request.name}`) ? request.name : file;
      const text = (ptx[Number(number) - 1] ?? "").trim();
      return `${shown}(${loc[2]}): error: ${message} [PTX line ${number}: ${text}]`;
    }
    return whole;
  });
}
