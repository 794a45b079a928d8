import { existsSync } from "node:fs";
import { findNvrtc } from "../../runtime/nvrtc/find-nvrtc.ts";
import { type Nvrtc, openNvrtc } from "../../runtime/nvrtc/nvrtc.ts";

/** Every NVRTC of this machine, one per version, with a name for test titles. */
export function installedNvrtc(): { readonly name: string; readonly nvrtc: Nvrtc }[] {
  const found = new Map<string, Nvrtc>();
  for (const library of findNvrtc()) {
    if (!existsSync(library.path)) continue;
    const nvrtc = openNvrtc({ library });
    const name = `NVRTC ${nvrtc.version.major}.${nvrtc.version.minor}`;
    if (!found.has(name)) found.set(name, nvrtc);
  }
  return [...found].map(([name, nvrtc]) => ({ name, nvrtc }));
}

export const NO_NVRTC = "skipped: libnvrtc is not installed (.ci/install-cuda.sh installs it)";
