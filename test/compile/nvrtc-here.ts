import { findNvrtc, type NvrtcLibrary } from "../../runtime/nvrtc/find-nvrtc.ts";
import { type Nvrtc, openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";

/** Every NVRTC of this machine, one per version, with a name for test titles. */
export function installedNvrtc(): { readonly name: string; readonly nvrtc: Nvrtc }[] {
  const found = new Map<string, Nvrtc>();
  for (const library of candidates()) {
    const nvrtc = openNvrtc({ library });
    const name = `NVRTC ${nvrtc.version.major}.${nvrtc.version.minor}`;
    if (!found.has(name)) found.set(name, nvrtc);
  }
  return [...found].map(([name, nvrtc]) => ({ name, nvrtc }));
}

/** `HYDRANT_NVRTC=/nowhere` is how to see what a machine without NVRTC sees. */
function candidates(): readonly NvrtcLibrary[] {
  try {
    return findNvrtc();
  } catch {
    return [];
  }
}

export const NO_NVRTC = "skipped: libnvrtc is not installed (.ci/install-cuda.sh installs it)";
