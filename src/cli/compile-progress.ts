import cliProgress from "cli-progress";

/** A bar on stderr for compiling kernels; `stop` takes it away. */
export interface CompileProgress {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

/** Compiling that is over sooner than this shows nothing. */
const patience = 1000;

export function compileProgress(stream: NodeJS.WriteStream = process.stderr): CompileProgress {
  const bar = new cliProgress.SingleBar({
    stream,
    format: "compiling kernels {bar} {value} of {total}",
    clearOnComplete: true,
    hideCursor: true,
    barsize: 30,
    barCompleteChar: "\u2588",
    barIncompleteChar: "\u2591",
  });
  const begin = performance.now();
  let shown = false;
  return {
    update(done, total) {
      if (!stream.isTTY) return;
      if (!shown && performance.now() - begin > patience && done < total) {
        bar.start(total, done);
        shown = true;
      }
      if (!shown) return;
      bar.update(done);
      // Compiling blocks this thread: a bar that waits for its timer is never drawn.
      bar.render();
    },
    stop() {
      if (shown) bar.stop();
    },
  };
}
