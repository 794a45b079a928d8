/** What this machine has of what the project can use, and how to get the rest. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CudaDriver } from "../../runtime/driver/driver.ts";
import { cacheDirectory } from "../util/cache-directory.ts";
import { HydrantError } from "../util/errors.ts";
import { makeDirectory } from "../util/make-directory.ts";

/** One thing a machine needs to run models, and whether it is there. */
export interface DoctorCheck {
  /** What was looked at: `NVRTC`. */
  readonly name: string;
  /** `missing` parts are optional; `broken` ones are there and do not work. */
  readonly status: "ok" | "missing" | "broken";
  /** What was found. */
  readonly detail: string;
  /** The command or step that mends it. */
  readonly fix?: string;
}

/** What `diagnose` found. */
export interface DoctorReport {
  /** In the order in which parts build on each other. */
  readonly checks: readonly DoctorCheck[];
  /** GPUs the driver shows. */
  readonly devices: readonly {
    readonly name: string;
    /** `9.0`. */
    readonly computeCapability: string;
    readonly totalBytes: number;
    readonly freeBytes: number;
    readonly multiprocessors: number;
  }[];
  /** Every NVRTC found, the preferred one first. */
  readonly nvrtc: readonly {
    readonly path: string;
    readonly version: string;
    /** How it was found: `loader`, `cache`, … */
    readonly origin: string;
    /** Architectures it compiles for: 80 for `sm_80`. */
    readonly archs: readonly number[];
  }[];
}

/** Looks at everything; throws nothing but bugs: what is wrong is in the report. */
export async function diagnose(): Promise<DoctorReport> {
  const checks: DoctorCheck[] = [checkNode()];
  const { driver, check } = await openRealDriver();
  checks.push(check);
  const devices = driver === undefined ? [] : listDevices(driver);
  const nvrtc = await listNvrtc(checks);
  checks.push(checkCache());
  checks.push(await checkKernel("the emulator", "emulator", nvrtc.length > 0));
  if (devices.length > 0) checks.push(await checkKernel("the GPU", "cuda", nvrtc.length > 0));
  if (driver !== undefined && nvrtc.length > 0) checks.push(...(await checkTuning(driver)));
  driver?.close();
  checks.push(await checkAuto());
  return { checks, devices, nvrtc };
}

function checkNode(): DoctorCheck {
  const detail = `${process.versions.node} on ${process.platform} ${process.arch}`;
  if (process.platform === "linux") return { name: "Node", status: "ok", detail };
  return {
    name: "Node",
    status: "missing",
    detail: `${detail}: CUDA is looked for on Linux only`,
    fix: "Use Linux or WSL for GPUs; the CPU works everywhere.",
  };
}

async function openRealDriver(): Promise<{ driver?: CudaDriver; check: DoctorCheck }> {
  const name = "CUDA driver";
  try {
    const { openDriver } = await import("../../runtime/driver/open-driver.ts");
    const driver = await openDriver("cuda");
    const detail = `for CUDA ${dotted(driver.driverVersion())}, ${driver.deviceCount()} device(s)`;
    return { driver, check: { name, status: "ok", detail } };
  } catch (error) {
    if (!(error instanceof HydrantError)) throw error;
    const absent = error.code === "cuda/no-driver" || error.code === "cuda/no-device";
    return {
      check: {
        name,
        status: absent ? "missing" : "broken",
        detail: error.message,
        fix: absent ? driverFix() : (error.hint ?? driverFix()),
      },
    };
  }
}

/** The kernel module shows whether a GPU is there at all: without one no package helps. */
function driverFix(): string {
  if (existsSync("/proc/driver/nvidia/version")) {
    return "The kernel module is loaded: give this process or container its libcuda.so.1 (docker run --gpus all).";
  }
  if (existsSync("/dev/dxg")) return "Under WSL, install the NVIDIA driver for Windows.";
  if (existsSync("/usr/bin/apt-get")) {
    return "On a machine with an NVIDIA GPU: apt-get install nvidia-driver (Debian, component non-free) or ubuntu-drivers install. Without one, use the CPU.";
  }
  return "On a machine with an NVIDIA GPU, install its driver. Without one, use the CPU.";
}

function listDevices(driver: CudaDriver): DoctorReport["devices"] {
  return Array.from({ length: driver.deviceCount() }, (_, ordinal) => {
    const device = driver.deviceGet(ordinal);
    driver.contextSetCurrent(driver.primaryContextRetain(device));
    const freeBytes = driver.memoryInfo().free;
    driver.primaryContextRelease(device);
    return {
      name: driver.deviceName(device),
      computeCapability: `${driver.deviceAttribute(device, "computeCapabilityMajor")}.${driver.deviceAttribute(device, "computeCapabilityMinor")}`,
      totalBytes: driver.deviceTotalMemory(device),
      freeBytes,
      multiprocessors: driver.deviceAttribute(device, "multiprocessorCount"),
    };
  });
}

async function listNvrtc(checks: DoctorCheck[]): Promise<DoctorReport["nvrtc"]> {
  const name = "NVRTC";
  const { findNvrtc, nvrtcInstallCommand } = await import("../../runtime/nvrtc/find-nvrtc.ts");
  try {
    const { openNvrtc } = await import("../../runtime/nvrtc/nvrtc.ts");
    const found = findNvrtc().map((library) => {
      const { version, supportedArchs } = openNvrtc({ library });
      return {
        path: library.path,
        version: `${version.major}.${version.minor}`,
        origin: library.origin,
        archs: supportedArchs,
      };
    });
    const [best] = found;
    checks.push(
      best === undefined
        ? { name, status: "missing", detail: "no libnvrtc was found", fix: nvrtcInstallCommand() }
        : { name, status: "ok", detail: `${best.version} at ${best.path}` },
    );
    return found;
  } catch (error) {
    if (!(error instanceof HydrantError)) throw error;
    checks.push({ name, status: "broken", detail: error.message, ...fixOf(error) });
    return [];
  }
}

function checkCache(): DoctorCheck {
  const name = "Cache";
  const folder = cacheDirectory();
  try {
    // Permissions do not tell of full disks and read-only mounts; writing does.
    makeDirectory(folder);
    rmSync(mkdtempSync(join(folder, "probe-")), { recursive: true });
    return { name, status: "ok", detail: folder };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      name,
      status: "broken",
      detail: `kernels are compiled anew in every process: ${reason}`,
      fix: "Set HYDRANT_CACHE_DIR to a folder you may write.",
    };
  }
}

/** Whether each device's kernels are configured by measurements, and why not. */
export async function checkTuning(driver: CudaDriver): Promise<DoctorCheck[]> {
  const { identifyDevice } = await import("../../runtime/cuda/device.ts");
  const { openNvrtc } = await import("../../runtime/nvrtc/nvrtc.ts");
  const { tuningIdentity } = await import("./tune/identity.ts");
  const { findTuning } = await import("./tune/tuning-file.ts");
  try {
    const newest =
      driver.kind === "emulator" ? {} : { maxMajor: Math.floor(driver.driverVersion() / 1000) };
    const nvrtc = openNvrtc(newest);
    return Array.from({ length: driver.deviceCount() }, (_, ordinal): DoctorCheck => {
      const identity = identifyDevice(driver, driver.deviceGet(ordinal), nvrtc);
      const { status, path, detail } = findTuning(tuningIdentity(identity)).state;
      const name = `Tuning of ${identity.name}`;
      const where = path === undefined ? detail : `${detail} (${path})`;
      if (status === "used" || status === "off") return { name, status: "ok", detail: where };
      const fix = `hydra tune --device cuda:${ordinal} --model DIR; without, kernels have their usual configurations.`;
      return { name, status: "missing", detail: where, fix };
    });
  } catch (error) {
    // What is wrong with the driver or the compiler has been told.
    if (!(error instanceof HydrantError)) throw error;
    return [];
  }
}

const PROBE = `extern "C" __global__ void probe(int* out, const int* in, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = 2 * in[i] + 1;
}
`;

/** Where a model goes when no device is named. */
async function checkAuto(): Promise<DoctorCheck> {
  const { chooseAuto } = await import("./open-device.ts");
  const choice = await chooseAuto();
  const detail = choice.device === "cpu" ? `cpu: ${choice.reason}` : choice.device;
  return { name: "Device auto", status: "ok", detail };
}

/** Compiles and runs a kernel of three lines and looks at what it wrote. */
async function checkKernel(
  where: string,
  device: "emulator" | "cuda",
  compiler: boolean,
): Promise<DoctorCheck> {
  const name = `A kernel on ${where}`;
  if (!compiler) return { name, status: "missing", detail: "not tried: it needs NVRTC" };
  const { parseKernelArg } = await import("./kernel-arg.ts");
  const { runKernel } = await import("./kernel-run.ts");
  const count = 100;
  try {
    const before = performance.now();
    const { buffers, findings } = await runKernel({
      source: PROBE,
      fileName: "probe.cu",
      entry: "probe",
      grid: { x: 4, y: 1, z: 1 },
      block: { x: 32, y: 1, z: 1 },
      args: [`i32:${count}:uninit`, `i32:${count}:iota`, `i32=${count}`].map(parseKernelArg),
      device,
    });
    const bytes = buffers[0] ?? new Uint8Array(0);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const right =
      findings.length === 0 &&
      bytes.length === 4 * count &&
      Array.from({ length: count }, (_, i) => view.getInt32(4 * i, true)).every(
        (value, i) => value === 2 * i + 1,
      );
    const ms = (performance.now() - before).toFixed(0);
    return right
      ? { name, status: "ok", detail: `compiled, run and checked in ${ms} ms` }
      : {
          name,
          status: "broken",
          detail: findings[0]?.message ?? "it ran and wrote wrong values",
          fix: "Report this with the output of `hydra doctor --json`.",
        };
  } catch (error) {
    if (!(error instanceof HydrantError)) throw error;
    const { message, hint } = error;
    return {
      name,
      status: "broken",
      detail: message,
      ...(hint === undefined ? {} : { fix: hint }),
    };
  }
}

const fixOf = ({ hint }: HydrantError): { fix?: string } =>
  hint === undefined ? {} : { fix: hint };

const dotted = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
