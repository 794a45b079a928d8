import { expect, it } from "vitest";
import { completion } from "../../../runtime/cuda/completion.ts";
import { cudaError } from "../../../runtime/driver/check.ts";
import type { CudaDriver, Stream } from "../../../runtime/driver/driver.ts";
import { openDriver } from "../../../runtime/driver/open-driver.ts";

const stream = 1 as Stream;
const nothing = () => {};

/** A driver of which only the question for finished work is asked. */
async function driverOf(streamQuery: () => boolean): Promise<CudaDriver> {
  const emulator = await openDriver("emulator", { memoryBytes: 1 << 20 });
  return new Proxy<CudaDriver>(emulator, {
    get: (target, key) =>
      key === "kind" ? "cuda" : key === "streamQuery" ? streamQuery : Reflect.get(target, key),
  });
}

const forbidden = (): never => {
  throw new Error("the driver was asked");
};

it("sees at once what is published at once, without asking the driver", async () => {
  await completion(await driverOf(forbidden), stream, nothing, () => true);
});

it("lets timers run while it waits", async () => {
  let isPublished = false;
  setTimeout(() => {
    isPublished = true;
  }, 20);
  await completion(await driverOf(() => false), stream, nothing, () => isPublished);
  expect(isPublished).toBe(true);
});

it("asks the driver now and then, which alone knows of a failed kernel", async () => {
  let asked = 0;
  const driver = await driverOf(() => {
    if (++asked < 3) return false;
    throw cudaError("CUDA_ERROR_ILLEGAL_ADDRESS", "cuStreamQuery");
  });
  const waiting = completion(driver, stream, nothing, () => false);
  await expect(waiting).rejects.toMatchObject({ code: "cuda/illegal-address", sticky: true });
  expect(asked).toBe(3);
});

it("ends when the stream has nothing left to do", async () => {
  await completion(await driverOf(() => true), stream, nothing, () => false);
});

it("ends with what `enter` throws, before it looks at memory that may be gone", async () => {
  let turns = 0;
  const enter = () => {
    if (++turns === 2) throw new Error("disposed");
  };
  let isGone = false;
  const waiting = completion(
    await driverOf(() => false),
    stream,
    () => {
      try {
        enter();
      } catch (error) {
        isGone = true;
        throw error;
      }
    },
    () => {
      expect(isGone).toBe(false);
      return false;
    },
  );
  await expect(waiting).rejects.toThrow("disposed");
});
