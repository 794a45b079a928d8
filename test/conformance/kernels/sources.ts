/** The CUDA files of the conformance suite and where their compiled forms are kept. */
import { readdirSync } from "node:fs";

const root = new URL("../../../", import.meta.url);
const folder = new URL("test/conformance/cuda/", root);

export interface ConformanceSource {
  readonly name: string;
  readonly url: URL;
  /** Architecture to compile for with an NVRTC of that major version. */
  archOf(nvrtcMajor: number): string;
}

export function conformanceSources(): readonly ConformanceSource[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cu"))
    .sort()
    .map((file) => {
      const name = file.slice(0, -3);
      return {
        name,
        url: new URL(file, folder),
        archOf: (major) => (name === "hopper" ? (major >= 12 ? "sm_90a" : "sm_90") : "sm_80"),
      };
    });
}

/** Folder of the PTX an NVRTC version made. */
export function fixtureFolder(version: string): URL {
  return new URL(`test/fixtures/ptx/${version}/`, root);
}

/** Versions there are fixtures of. */
export function fixtureVersions(): readonly string[] {
  return readdirSync(new URL("test/fixtures/ptx/", root)).sort();
}
