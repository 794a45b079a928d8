/** Runs of either kind measured before the first choice. */
const trials = 4;
/**
 * After so many runs the other kind is tried once more: the machine may have become busy, or free. Each
 * time it loses again, twice as many.
 */
const shortestProbe = 48;
const longestProbe = 384;
/** Weight of the newest measurement in the running mean. */
const freshness = 0.25;

/**
 * Chooses, run by run, between all threads and the calling one alone, by what runs of the same program
 * took. On a machine whose cores are busy with something else, threads that wait for each other are
 * slower than one; the results are the same bits either way.
 */
export class ThreadChoice {
  readonly #threads: number;
  readonly #fixed: boolean;
  readonly #together = new RunningTime();
  readonly #alone = new RunningTime();
  #runsToProbe = shortestProbe;
  #probeInterval = shortestProbe;
  #favourite: RunningTime = this.#alone;

  /** @param fixed always take all threads. */
  constructor(threads: number, fixed: boolean) {
    this.#threads = threads;
    this.#fixed = fixed || threads === 1;
  }

  /** Threads for the next run. */
  next(): number {
    if (this.#fixed) return this.#threads;
    const [fewer, more] =
      this.#together.count <= this.#alone.count
        ? [this.#together, this.#alone]
        : [this.#alone, this.#together];
    if (more.count < trials || fewer.count < trials) return this.#threadsOf(fewer);
    const faster = this.#together.mean <= this.#alone.mean ? this.#together : this.#alone;
    if (faster !== this.#favourite) {
      this.#favourite = faster;
      this.#probeInterval = shortestProbe;
      this.#runsToProbe = shortestProbe;
    }
    if (this.#runsToProbe > 0) return this.#threadsOf(faster);
    this.#probeInterval = Math.min(2 * this.#probeInterval, longestProbe);
    this.#runsToProbe = this.#probeInterval;
    return this.#threadsOf(faster === this.#together ? this.#alone : this.#together);
  }

  /** Tells how long a run took, in any unit. */
  observe(threads: number, time: number): void {
    const kind = threads === 1 ? this.#alone : this.#together;
    kind.add(time);
    this.#runsToProbe--;
    if (kind !== this.#favourite && time < this.#favourite.mean) {
      // A probe that won is worth a second look at once.
      this.#probeInterval = shortestProbe;
      this.#runsToProbe = 0;
    }
  }

  #threadsOf(kind: RunningTime): number {
    return kind === this.#alone ? 1 : this.#threads;
  }
}

class RunningTime {
  count = 0;
  mean = 0;

  add(time: number): void {
    this.count++;
    // The first runs warm up code and caches: the best of them is the least wrong.
    if (this.count <= trials) this.mean = this.count === 1 ? time : Math.min(this.mean, time);
    // One interrupted run must not decide; a lasting change gets through in a few.
    else this.mean += freshness * (Math.min(time, 2 * this.mean) - this.mean);
  }
}
