import { readFileSync } from "node:fs";
import type { CudaDriver, CudaFunction, DevicePtr, Stream } from "../../runtime/driver/driver.ts";
import { type KernelArg, packArgs } from "../../runtime/driver/kernel-args.ts";
import { compileCuda } from "../../runtime/nvrtc/compile.ts";
import { openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";
import { targetArch } from "../../runtime/nvrtc/target-arch.ts";

/** The kernels of memory.cu on a device, with a stream and a context of their own. */
export class DeviceKernels {
  readonly driver: CudaDriver;
  readonly stream: Stream;
  readonly multiprocessors: number;
  readonly #functions = new Map<string, CudaFunction>();
  readonly #close: () => void;

  /** Makes the device's primary context current. @throws HydrantError `nvrtc/not-found` */
  constructor(driver: CudaDriver, ordinal: number) {
    this.driver = driver;
    const device = driver.deviceGet(ordinal);
    driver.contextSetCurrent(driver.primaryContextRetain(device));
    this.multiprocessors = driver.deviceAttribute(device, "multiprocessorCount");
    this.stream = driver.streamCreate();
    const maxMajor = Math.floor(driver.driverVersion() / 1000);
    const nvrtc = openNvrtc(driver.kind === "emulator" ? {} : { maxMajor });
    const arch = targetArch(nvrtc, {
      major: driver.deviceAttribute(device, "computeCapabilityMajor"),
      minor: driver.deviceAttribute(device, "computeCapabilityMinor"),
    });
    const source = readFileSync(new URL("./memory.cu", import.meta.url), "utf8");
    const { ptx, cubin } = compileCuda(nvrtc, { source, name: "memory.cu", arch });
    const isImage = driver.kind === "cuda" && cubin.length > 0;
    const module = driver.moduleLoadData(isImage ? cubin : new TextEncoder().encode(ptx));
    for (const name of ["copy_4", "copy_8", "read_4", "read_8", "fill_normal"])
      this.#functions.set(name, driver.moduleGetFunction(module, name));
    this.#close = () => {
      driver.moduleUnload(module);
      driver.streamDestroy(this.stream);
      driver.primaryContextRelease(device);
    };
  }

  launch(name: string, blocks: number, threads: number, args: readonly KernelArg[]): void {
    const fn = this.#functions.get(name);
    if (fn === undefined) throw new RangeError(`memory.cu has no kernel ${name}`);
    this.driver.launch(
      {
        function: fn,
        grid: { x: blocks, y: 1, z: 1 },
        block: { x: threads, y: 1, z: 1 },
        args: packArgs(args),
      },
      this.stream,
    );
  }

  /** Fills with bf16 numbers of this standard deviation. @param bytes an even number. */
  fill(to: DevicePtr, bytes: number, seed: number, scale = 1): void {
    this.launch("fill_normal", 4 * this.multiprocessors, 256, [
      { type: "ptr", value: to },
      { type: "i64", value: bytes / 2 },
      { type: "u32", value: seed >>> 0 },
      { type: "f32", value: scale },
    ]);
  }

  /** Milliseconds of each round but the first `warmUps`, by the device's clock. */
  time(work: () => void, rounds: number, warmUps = 2): number[] {
    const { driver, stream } = this;
    const events = Array.from({ length: rounds + warmUps + 1 }, () =>
      driver.eventCreate({ timing: true }),
    );
    try {
      for (const [index, event] of events.entries()) {
        if (index > 0) work();
        driver.eventRecord(event, stream);
      }
      driver.streamSynchronize(stream);
      return events.slice(warmUps + 1).map((event, i) => {
        const before = events[warmUps + i] ?? event;
        return driver.eventElapsed(before, event);
      });
    } finally {
      for (const event of events) driver.eventDestroy(event);
    }
  }

  close(): void {
    this.#close();
  }
}
