/** Compiles one CUDA kernel, runs it once on the emulator or a GPU, and reports what it saw. */
import { readdirSync, realpathSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { CudaDriver, Device, DevicePtr, Dim3 } from "../../runtime/driver/driver.ts";
import type {
  Finding,
  InstrumentedDriver,
  KernelCounters,
} from "../../runtime/driver/instrumented-driver.ts";
import type { KernelArg } from "../../runtime/driver/kernel-args.ts";
import type { CompiledModule } from "../../runtime/nvrtc/compile.ts";
import type { CompileError } from "../../runtime/nvrtc/compile-error.ts";
import type { Nvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { HydrantError } from "../util/errors.ts";
import { bytesPerElement, initialBytes, type KernelRunArg } from "./kernel-arg.ts";

/** A kernel, its launch and its arguments. */
export interface KernelRunOptions {
  /** CUDA C++, or PTX when `fileName` ends in `.ptx`. */
  readonly source: string;
  readonly fileName: string;
  /** C++ name of the kernel (`scale<float, 4>`, `ns::f`) or its `extern "C"` name. */
  readonly entry: string;
  /** Blocks, and threads per block. */
  readonly grid: Dim3;
  readonly block: Dim3;
  /** Bytes of dynamic shared memory. */
  readonly sharedBytes?: number;
  /** For example `sm_80` (the default on the emulator); a GPU's own when absent. */
  readonly arch?: string;
  readonly defines?: Readonly<Record<string, string>>;
  readonly args: readonly KernelRunArg[];
  readonly device?: "emulator" | "cuda";
  /** Of random buffers and of the order in which the emulator runs blocks and warps. */
  readonly seed?: number;
  /** Warp instructions after which the emulator takes the kernel for endless. */
  readonly fuel?: number;
}

/** What a run did: faults found, what it cost, and the buffers afterwards. */
export interface KernelRunResult {
  /** Empty on a GPU, which looks for nothing. */
  readonly findings: readonly Finding[];
  /** Empty on a GPU. */
  readonly counters: KernelCounters | Readonly<Record<string, never>>;
  readonly resources: {
    readonly registers: number;
    readonly spillBytes: number;
    readonly sharedBytes: number;
  };
  /** Milliseconds the kernel took: of the GPU's clock, or of this machine's for the emulator. */
  readonly ms: number;
  /** Bytes after the run, by argument position; undefined for scalars and when a fault ended it. */
  readonly buffers: readonly (Uint8Array | undefined)[];
}

/**
 * Compiles one CUDA kernel and runs it once.
 *
 * @throws HydrantError `nvrtc/compile` (with `details`) for source that does not compile, `kernel/arguments` when
 * the arguments do not fit the kernel, and the errors of the driver and of NVRTC.
 */
export async function runKernel(options: KernelRunOptions): Promise<KernelRunResult> {
  const device = options.device ?? "emulator";
  const emulated = device === "emulator" ? await openEmulator(options) : undefined;
  const { openDriver } = await import("../../runtime/driver/open-driver.ts");
  const driver = emulated ?? (await openDriver("cuda"));
  try {
    return await runOn(driver, emulated, options);
  } finally {
    driver.close();
  }
}

async function openEmulator(options: KernelRunOptions): Promise<InstrumentedDriver> {
  const { openDriver } = await import("../../runtime/driver/open-driver.ts");
  const version = Number(/\d+/.exec(options.arch ?? "sm_80")?.[0] ?? 80);
  return openDriver("emulator", {
    computeCapability: version >= 90 ? "9.0" : "8.0",
    seed: options.seed ?? 0,
    ...(options.fuel === undefined ? {} : { fuel: options.fuel }),
  });
}

interface Buffer {
  readonly position: number;
  readonly ptr: DevicePtr;
  readonly bytes: number;
}

async function runOn(
  driver: CudaDriver,
  emulated: InstrumentedDriver | undefined,
  options: KernelRunOptions,
): Promise<KernelRunResult> {
  const { packArgs } = await import("../../runtime/driver/kernel-args.ts");
  const device = driver.deviceGet(0);
  const { image, symbol, resources } = await buildModule(driver, device, options, emulated);
  driver.contextSetCurrent(driver.primaryContextRetain(device));
  const buffers: Buffer[] = [];
  const after = new Map<number, Uint8Array>();
  let ms = 0;
  let started = performance.now();
  try {
    const packed = packArgs(placeArguments(driver, options, buffers));
    const module = driver.moduleLoadData(image);
    const fn = driver.moduleGetFunction(module, symbol);
    if (driver.supports("param-layout")) {
      checkArguments(options.entry, driver.functionParams(fn), packed);
    }
    const { grid, block, sharedBytes = 0 } = options;
    // Past 48 KiB, static and dynamic together, a function has to opt in; below it does no harm.
    if (sharedBytes > 0) driver.functionSetAttribute(fn, "maxDynamicSharedSize", sharedBytes);
    const launch = { function: fn, grid, block, sharedBytes, args: packed };
    started = performance.now();
    ms = timeLaunch(driver, launch, emulated !== undefined);
    for (const { position, ptr, bytes } of buffers) {
      const content = new Uint8Array(bytes);
      driver.memcpyDtoH(content, ptr);
      after.set(position, content);
    }
    driver.moduleUnload(module);
  } catch (error) {
    // A fault the emulator has explained is a result, not a failure of this program.
    if (emulated === undefined || emulated.findings().length === 0) throw error;
    ms = performance.now() - started;
  } finally {
    giveBack(driver, device, buffers);
  }
  return {
    findings: (emulated?.findings() ?? []).map((finding) => showPath(finding, options.fileName)),
    counters: emulated?.counters() ?? {},
    resources,
    ms,
    buffers: options.args.map((_, position) => after.get(position)),
  };
}

/** Allocates and fills the buffers, adding each to `buffers` as soon as it exists. */
function placeArguments(
  driver: CudaDriver,
  { args, seed = 0 }: KernelRunOptions,
  buffers: Buffer[],
): KernelArg[] {
  return args.map((arg, position) => {
    if (arg.kind === "scalar") {
      return { type: "bytes", value: arg.bytes, align: arg.bytes.length };
    }
    const initial = initialBytes(arg, seed, position);
    const bytes = arg.count * bytesPerElement[arg.dtype];
    const ptr = driver.memAlloc(bytes);
    buffers.push({ position, ptr, bytes });
    if (initial !== undefined) driver.memcpyHtoD(ptr, initial);
    return { type: "ptr", value: ptr };
  });
}

function giveBack(driver: CudaDriver, device: Device, buffers: readonly Buffer[]): void {
  try {
    for (const { ptr } of buffers) driver.memFree(ptr);
    driver.primaryContextRelease(device);
  } catch {
    // After a fault the context takes no calls; the end of the process gives everything back.
  }
}

function timeLaunch(
  driver: CudaDriver,
  launch: Parameters<CudaDriver["launch"]>[0],
  emulated: boolean,
): number {
  const stream = driver.streamCreate();
  const start = driver.eventCreate({ timing: true });
  const end = driver.eventCreate({ timing: true });
  const before = performance.now();
  driver.eventRecord(start, stream);
  driver.launch(launch, stream);
  driver.eventRecord(end, stream);
  driver.streamSynchronize(stream);
  const ms = emulated ? performance.now() - before : driver.eventElapsed(start, end);
  driver.eventDestroy(start);
  driver.eventDestroy(end);
  driver.streamDestroy(stream);
  return ms;
}

interface BuiltModule {
  readonly image: Uint8Array;
  readonly symbol: string;
  readonly resources: KernelRunResult["resources"];
}

async function buildModule(
  driver: CudaDriver,
  device: Device,
  options: KernelRunOptions,
  emulated: InstrumentedDriver | undefined,
): Promise<BuiltModule> {
  const none = { registers: 0, spillBytes: 0, sharedBytes: 0 };
  if (options.fileName.endsWith(".ptx")) {
    const image = new TextEncoder().encode(options.source);
    return { image, symbol: options.entry, resources: none };
  }
  const { openNvrtc } = await import("../../runtime/nvrtc/nvrtc.ts");
  const nvrtc = openNvrtc(
    emulated === undefined ? { maxMajor: Math.floor(driver.driverVersion() / 1000) } : {},
  );
  const { targetArch } = await import("../../runtime/nvrtc/target-arch.ts");
  const own = {
    major: driver.deviceAttribute(device, "computeCapabilityMajor"),
    minor: driver.deviceAttribute(device, "computeCapabilityMinor"),
  };
  const arch = options.arch ?? (emulated === undefined ? targetArch(nvrtc, own) : "sm_80");
  const module = await compileFile(nvrtc, arch, options);
  const symbol = module.loweredNames[options.entry] ?? options.entry;
  const { registers, spillBytes, sharedBytes } = module.resources[symbol] ?? none;
  return {
    image:
      emulated === undefined && module.cubin.length > 0
        ? module.cubin
        : new TextEncoder().encode(module.ptx),
    symbol,
    resources: { registers, spillBytes, sharedBytes },
  };
}

async function compileFile(
  nvrtc: Nvrtc,
  arch: string,
  options: KernelRunOptions,
): Promise<CompiledModule> {
  const { compileCuda } = await import("../../runtime/nvrtc/compile.ts");
  const { CompileError } = await import("../../runtime/nvrtc/compile-error.ts");
  const { KernelCache } = await import("../../runtime/nvrtc/cache.ts");
  const { preludeHeaders } = await import("../../runtime/nvrtc/prelude.ts");
  const { HOST_HEADERS } = await import("../../runtime/nvrtc/host-headers.ts");
  const headers = { ...HOST_HEADERS, ...preludeHeaders() };
  const included = [...options.source.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)];
  const fromDisk = included.some(([, name]) => name === undefined || !(name in headers));
  const folders = fromDisk
    ? [dirname(resolve(options.fileName)), ...toolkitIncludes(nvrtc.version.major)]
    : [];
  const request = {
    source: options.source,
    name: options.fileName,
    arch,
    headers,
    nameExpressions: [options.entry],
    ...(options.defines === undefined ? {} : { defines: options.defines }),
    options: folders.map((folder) => `--include-path=${folder}`),
  };
  try {
    // The key of an entry does not cover files on disk.
    return compileCuda(nvrtc, request, fromDisk ? undefined : new KernelCache());
  } catch (error) {
    throw error instanceof CompileError ? (unknownEntry(error, options) ?? error) : error;
  }
}

/** NVRTC looks a name up in a file of its own making; what it says of it there helps nobody. */
function unknownEntry(
  error: CompileError,
  { source, entry, fileName }: KernelRunOptions,
): HydrantError | undefined {
  if (!error.log.startsWith("__nv_name_map")) return undefined;
  const kernels = source
    .replace(/__launch_bounds__\s*\([^)]*\)/g, "")
    .matchAll(/__global__[^;{(]*?(\w+)\s*\(/g);
  const names = [...new Set([...kernels].map(([, name]) => name))].join(", ");
  return new HydrantError("kernel/entry", `There is no kernel "${entry}" in this file.`, {
    path: fileName,
    hint:
      names === ""
        ? "It declares no __global__ function."
        : `Its kernels are ${names}; a template needs its arguments: name<float, 4>.`,
    cause: error,
  });
}

/** Headers of an installed toolkit, if of the same major version: others do not compile. */
function toolkitIncludes(major: number): string[] {
  const roots = [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda"];
  for (const root of roots) {
    if (root === undefined) continue;
    try {
      const real = realpathSync(root);
      if (!real.includes(`cuda-${major}`)) continue;
      const include = join(real, "include");
      return readdirSync(include).includes("cccl") ? [include, join(include, "cccl")] : [include];
    } catch {
      // No toolkit there.
    }
  }
  return [];
}

function checkArguments(
  entry: string,
  params: readonly { readonly offset: number; readonly size: number }[],
  packed: { readonly offsets: readonly number[]; readonly sizes: readonly number[] },
): void {
  const fits =
    params.length === packed.sizes.length &&
    params.every(
      ({ offset, size }, index) => offset === packed.offsets[index] && size === packed.sizes[index],
    );
  if (fits) return;
  const list = (sizes: readonly number[]) => (sizes.length === 0 ? "none" : sizes.join(", "));
  throw new HydrantError(
    "kernel/arguments",
    `${entry} takes ${params.length} arguments of ${list(params.map(({ size }) => size))} bytes; ${packed.sizes.length} of ${list(packed.sizes)} bytes were given.`,
    { hint: "Give one --arg per kernel parameter, in order; a buffer is a pointer of 8 bytes." },
  );
}

/** Line tables hold absolute paths: files are shown as they were named, ours as included. */
function showPath(finding: Finding, fileName: string): Finding {
  const { file } = finding;
  if (file === null) return finding;
  if (resolve(file) === resolve(fileName)) return { ...finding, file: fileName };
  const ours = file.startsWith(resolve("prelude")) ? relative("", file) : file;
  return { ...finding, file: ours };
}
