import type { Nvrtc } from "./nvrtc.ts";

/**
 * The architecture to compile for so that a device of this compute capability runs it best: its
 * own, with the features no other has (`sm_90a`) where the compiler offers them; for a device newer
 * than the compiler the newest PTX it can write (`compute_90`), which the driver translates.
 */
export function targetArch(
  nvrtc: Pick<Nvrtc, "version" | "supportedArchs">,
  capability: { readonly major: number; readonly minor: number },
): string {
  const own = 10 * capability.major + capability.minor;
  if (nvrtc.supportedArchs.includes(own)) {
    return own >= 90 && nvrtc.version.major >= 12 ? `sm_${own}a` : `sm_${own}`;
  }
  const older = nvrtc.supportedArchs.filter((arch) => arch < own);
  return `compute_${Math.max(...older, nvrtc.supportedArchs[0] ?? own)}`;
}
