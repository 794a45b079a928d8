/**
 * Work of streams, done as late as it may be: an operation runs when somebody waits for it, so a
 * host that does not wait sees what a fast host would see on a slow device.
 */

export interface Work {
  /** What must be done first. Emptied once the host knows it to be done. */
  preceding: readonly Work[];
  readonly run: (work: Work) => void;
  /** For messages: `kernel add`, `copy to host`. */
  readonly label: string;
  /** Order of queueing. */
  readonly sequence: number;
  done: boolean;
  /** Value of the sequence when the host learnt that it is done; infinite before. */
  settled: number;
  /** Identities its memory accesses are recorded under: [first, end). */
  actors: readonly [number, number];
  /** A programmatic launch: its blocks may start before what directly precedes it has ended. */
  overlaps: boolean;
}

export class WorkQueue {
  #sequence = 0;
  #pending = 0;
  /** Work that is done, of which some that is queued or to come may not know. */
  #recent: Work[] = [];

  add(label: string, preceding: readonly Work[], run: (work: Work) => void): Work {
    this.#pending++;
    return {
      preceding,
      run,
      label,
      sequence: this.#sequence++,
      done: false,
      settled: Number.POSITIVE_INFINITY,
      actors: [0, 0],
      overlaps: false,
    };
  }

  /** Does the work and all before it. What throws counts as done. */
  execute(work: Work): void {
    const order = ancestors(work).filter(({ done }) => !done);
    order.sort((a, b) => a.sequence - b.sequence);
    for (const one of order) {
      one.done = true;
      this.#pending--;
      this.#recent.push(one);
      one.run(one);
    }
  }

  /** The host has waited for the work: whatever it queues from now on comes after it. */
  settle(work: Work): void {
    this.execute(work);
    for (const one of ancestors(work)) {
      one.settled = Math.min(one.settled, this.#sequence);
      one.preceding = [];
    }
    if (this.#pending === 0) {
      this.#recent = this.#recent.filter(({ settled }) => settled === Number.POSITIVE_INFINITY);
    }
  }

  /** Work that may still be under way when blocks of this one start: all back to a full dependency. */
  overlapped(work: Work): readonly Work[] {
    const seen = new Set<Work>([work]);
    for (const one of seen)
      if (one.overlaps) for (const earlier of one.preceding) seen.add(earlier);
    seen.delete(work);
    return [...seen];
  }

  /** Finished work that nothing orders before this one. */
  unordered(work: Work): readonly Work[] {
    const before = new Set(ancestors(work));
    return this.#recent.filter(
      (other) => other !== work && other.settled > work.sequence && !before.has(other),
    );
  }
}

/** The work and everything that precedes it, as far as it is not settled. */
function ancestors(work: Work): Work[] {
  const seen = new Set<Work>([work]);
  for (const one of seen) for (const earlier of one.preceding) seen.add(earlier);
  return [...seen];
}
