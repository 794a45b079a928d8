import { MultiBar, Presets, type SingleBar } from "cli-progress";
import type { HubProgress } from "../index.ts";

/** Progress bars on stderr, one per file, shown once something is downloaded. */
export function downloadProgress(): { update: (progress: HubProgress) => void; stop: () => void } {
  let bars: MultiBar | undefined;
  const files = new Map<string, SingleBar>();
  return {
    update({ file, done, total }) {
      bars ??= new MultiBar(
        {
          format: "{file} [{bar}] {percentage}% {done} of {size}",
          stream: process.stderr,
          hideCursor: true,
          noTTYOutput: false,
        },
        Presets.shades_classic,
      );
      const values = { file, done: megabytes(done), size: megabytes(total) };
      const bar = files.get(file) ?? bars.create(total, 0, values);
      files.set(file, bar);
      bar.update(done, values);
    },
    stop: () => bars?.stop(),
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
