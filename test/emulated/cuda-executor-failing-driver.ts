import { expect } from "vitest";
import { cudaError } from "../../runtime/driver/check.ts";
import type { CudaDriver, Graph } from "../../runtime/driver/driver.ts";
import { HydrantError } from "../../src/util/errors.ts";

/** What makes something, and what gives it back. */
const pairs: Readonly<Record<string, string>> = {
  primaryContextRetain: "primaryContextRelease",
  memAlloc: "memFree",
  memAllocHost: "memFreeHost",
  streamCreate: "streamDestroy",
  eventCreate: "eventDestroy",
  moduleLoadData: "moduleUnload",
  streamEndCapture: "graphDestroy",
  graphCreate: "graphDestroy",
  graphInstantiate: "graphExecDestroy",
};
const undoing = new Set(Object.values(pairs));

export type Failure =
  /** One call fails. */
  | "once"
  /** One call fails, and so does every one after it: the context is lost. */
  | "sticky";

export interface FailingDriver {
  readonly driver: CudaDriver;
  /** Calls so far. */
  calls(): number;
  /** The call that failed. */
  failed(): string | undefined;
  /** What was made and not given back, by the call that would. */
  live(): Readonly<Record<string, number>>;
}

/** A driver of which call `at` (from 0) fails. What gives something back does so before it fails. */
export function failingDriver(real: CudaDriver, at: number, failure: Failure): FailingDriver {
  let calls = 0;
  let failed: string | undefined;
  let isBodyCapture = false;
  const live = new Map<string, number>();
  const count = (name: string, change: number) => live.set(name, (live.get(name) ?? 0) + change);

  const fail = (name: string): never => {
    throw cudaError(
      failure === "once" ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_ILLEGAL_ADDRESS",
      name,
    );
  };
  const call = (name: string, method: (...args: unknown[]) => unknown, args: unknown[]) => {
    const number = calls++;
    const isLost = failure === "sticky" && failed !== undefined;
    const fails = number === at || isLost;
    if (fails) failed ??= name;
    // A real driver takes things back whatever it has to report.
    if (fails && failure === "once" && undoing.has(name)) method.apply(real, args);
    // A capture ends even when it cannot be had.
    if (fails && failure === "once" && name === "streamEndCapture") {
      const graph = method.apply(real, args) as Graph;
      if (!isBodyCapture) real.graphDestroy(graph);
      // Of a body, its graph goes with it: whoever destroys that destroys it twice.
      else count("graphDestroy", -1);
    }
    if (undoing.has(name) && (!fails || failure === "once")) count(name, -1);
    if (fails) fail(name);
    const result = method.apply(real, args);
    if (name === "streamBeginCapture") isBodyCapture = false;
    if (name === "streamBeginCaptureToGraph") isBodyCapture = true;
    // Captured into the body of a node, which owns it.
    const isBody = name === "streamEndCapture" && isBodyCapture;
    const undo = pairs[name];
    if (undo !== undefined && !isBody) count(undo, 1);
    return result;
  };
  const driver = new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function" || typeof key !== "string") return value;
      return (...args: unknown[]) =>
        call(key, (...given) => Reflect.apply(value, target, given), args);
    },
  });
  return {
    driver,
    calls: () => calls,
    failed: () => failed,
    live: () => Object.fromEntries([...live].filter(([, number]) => number !== 0)),
  };
}

/**
 * Lets every `step`th call of a life fail once, each in a life of its own: what was made is given
 * back, and the error, if any comes out, is ours. What fails while things are given back concerns
 * nobody. @returns the calls that failed.
 */
export async function failEachOnce(
  real: CudaDriver,
  step: number,
  live: (driver: CudaDriver) => Promise<void>,
): Promise<ReadonlySet<string>> {
  const failed = new Set<string>();
  for (let at = 0; ; at += step) {
    const failing = failingDriver(real, at, "once");
    let error: unknown;
    try {
      await live(failing.driver);
    } catch (caught) {
      error = caught;
    }
    const call = failing.failed();
    if (call === undefined) {
      // A life in which nothing fails is as it should be.
      if (error !== undefined) throw error;
      return failed;
    }
    failed.add(call);
    expect(failing.live(), `after call ${at}, ${call}`).toEqual({});
    if (error !== undefined) expect(error).toBeInstanceOf(HydrantError);
  }
}
