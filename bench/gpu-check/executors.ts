import assert from "node:assert/strict";
import type { Executor } from "../../runtime/executor.ts";
import { createCudaExecutor } from "../../src/api/compile-program.ts";
import { openDevice } from "../../src/api/open-device.ts";
import { openDriver } from "../../runtime/driver/open-driver.ts";
import type { PartContext } from "./part.ts";

/** An executor of the part's device; on the emulator with the sanitiser, whose findings are failures. */
export async function withExecutor(
  part: PartContext,
  activations: "stored" | "f32",
  work: (executor: Executor) => Promise<void>,
): Promise<void> {
  if (part.device !== "emulator") {
    const precision = activations === "f32" ? "f32" : "auto";
    const { executor } = await openDevice(part.device, { precision });
    try {
      await work(executor);
    } finally {
      await executor.dispose();
    }
    return;
  }
  const driver = await openDriver("emulator", { sanitizer: true });
  const executor = await createCudaExecutor({ driver, ordinal: 0, activations });
  try {
    await work(executor);
  } finally {
    await executor.dispose();
    driver.close();
  }
  await part.check(`no findings of the sanitiser, activations ${activations}`, () => {
    const findings = driver
      .findings()
      .map(
        ({ kind, kernel, file, line, block, thread, message }) =>
          `${kind} in ${kernel} at ${file}:${line}, block ${block}, thread ${thread}: ${message}`,
      );
    assert.equal(
      findings.slice(0, 3).join("\n"),
      "",
      `${findings.length} findings: ${findings[0]}`,
    );
  });
}
