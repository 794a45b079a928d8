import { HydrantError } from "../util/errors.ts";

/** Text that may be shown, and the stop string that ended it, if one did. */
export interface StopResult {
  readonly text: string;
  readonly stopped?: string;
}

/**
 * Finds stop strings in text that arrives in pieces, as if it arrived character by character: the
 * stop string that is complete first wins, and of those complete at the same character the one that
 * began first (the longest). The text before it is returned, the stop string itself is not. How the
 * text is cut into pieces never changes the outcome.
 */
export class StopStringMatcher {
  readonly #stops: readonly string[];
  /** The longest tail of the text so far that some stop string begins with. */
  #held = "";
  #stopped: string | undefined;

  /** @throws HydrantError `stop-strings/empty` for an empty stop string, which would match anywhere. */
  constructor(stops: readonly string[]) {
    if (stops.includes("")) {
      throw new HydrantError(
        "stop-strings/empty",
        "A stop string is empty and would stop at once.",
        {
          hint: "Leave it out.",
        },
      );
    }
    this.#stops = [...stops];
  }

  /** The stop string that has ended the text, if one has. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /** After a stop, everything further is dropped. */
  push(text: string): StopResult {
    if (this.#stopped !== undefined) return { text: "", stopped: this.#stopped };
    const seen = this.#held + text;
    const match = this.#firstMatch(seen);
    if (match !== undefined) {
      this.#held = "";
      this.#stopped = match.stop;
      return { text: seen.slice(0, match.start), stopped: match.stop };
    }
    const held = this.#possibleStart(seen);
    this.#held = seen.slice(seen.length - held);
    return { text: seen.slice(0, seen.length - held) };
  }

  /** Ends the text: what was held back for a stop string that never came. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  #firstMatch(text: string): { stop: string; start: number; end: number } | undefined {
    let first: { stop: string; start: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      if (start < 0) continue;
      const end = start + stop.length;
      if (first === undefined || end < first.end || (end === first.end && start < first.start)) {
        first = { stop, start, end };
      }
    }
    return first;
  }

  /** Length of the longest tail of `text` that is a proper beginning of a stop string. */
  #possibleStart(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
