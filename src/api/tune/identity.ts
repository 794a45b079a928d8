import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { DeviceIdentity } from "../../../runtime/cuda/device.ts";
import { preludeHeaders } from "../../../runtime/nvrtc/prelude.ts";

/** What measured times depend on: a device, how kernels are compiled for it, and their texts. */
export interface TuningIdentity extends DeviceIdentity {
  /** Hash of the texts kernels are made of. */
  readonly kernels: string;
}

export function tuningIdentity(device: DeviceIdentity): TuningIdentity {
  const { name, driverMajor, nvrtc, arch, multiprocessors } = device;
  return { name, driverMajor, nvrtc, arch, multiprocessors, kernels: kernelsVersion() };
}

let version: string | undefined;

/** The same for the same texts of the prelude and of kernels/, wherever they are installed. */
export function kernelsVersion(): string {
  if (version !== undefined) return version;
  const folder = new URL("../../../kernels/", import.meta.url);
  const bodies = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".cuh"))
    .map((name): [string, string] => {
      const path = name.replaceAll("\\", "/");
      return [path, readFileSync(new URL(path, folder), "utf8")];
    });
  const hash = createHash("sha256");
  for (const [name, text] of [...bodies, ...Object.entries(preludeHeaders())].sort(([a], [b]) =>
    a < b ? -1 : 1,
  ))
    hash.update(`${name} ${text.length}\n${text}`);
  version = hash.digest("hex").slice(0, 16);
  return version;
}
