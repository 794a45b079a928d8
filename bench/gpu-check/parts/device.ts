import assert from "node:assert/strict";
import { chooseAuto } from "../../../src/api/open-device.ts";
import { diagnose } from "../../../src/index.ts";
import type { PartContext } from "../part.ts";

/** What the machine has, as doctor sees it; on a GPU everything must be well. */
export async function run(part: PartContext): Promise<void> {
  const { checks, devices, nvrtc } = await diagnose();
  for (const { name, status, detail } of checks) part.note(name, `${status}: ${detail}`);
  for (const [ordinal, device] of devices.entries()) {
    const { name, computeCapability, multiprocessors, totalBytes, freeBytes } = device;
    part.note(
      `GPU ${ordinal}`,
      `${name}, ${computeCapability}, ${multiprocessors} multiprocessors, ${(totalBytes / 2 ** 30).toFixed(1)} GiB, ${(freeBytes / 2 ** 30).toFixed(1)} free`,
    );
  }
  for (const { version, path, origin } of nvrtc)
    part.note(`NVRTC ${version}`, `${path} (${origin})`);
  if (!part.device.startsWith("cuda")) return;
  for (const { name, status, detail, fix } of checks) {
    await part.check(name, () => {
      assert.equal(status, "ok", `${detail} ${fix ?? ""}`);
    });
  }
  await part.check("auto takes the GPU", async () => {
    assert.match((await chooseAuto()).device, /^cuda:/);
  });
}
