/** What is known of a message after another line: whether more has to come, or its text. */
export type AssembledInput =
  | { readonly kind: "incomplete" }
  | { readonly kind: "complete"; readonly text: string };

const FENCE = '"""';

/**
 * Puts several typed lines together into one message. A line that ends in a backslash goes on in the
 * next line; between two lines `"""` everything is taken as it is.
 */
export class InputAssembler {
  #lines: string[] = [];
  #fenced = false;

  /** Whether a message has begun and not ended. */
  get pending(): boolean {
    return this.#fenced || this.#lines.length > 0;
  }

  /** Takes the next line. */
  push(line: string): AssembledInput {
    if (this.#fenced) {
      if (line.trim() === FENCE) return this.#complete();
      this.#lines.push(line);
      return { kind: "incomplete" };
    }
    if (!this.pending && line.trim() === FENCE) {
      this.#fenced = true;
      return { kind: "incomplete" };
    }
    if (line.endsWith("\\")) {
      this.#lines.push(line.slice(0, -1));
      return { kind: "incomplete" };
    }
    this.#lines.push(line);
    return this.#complete();
  }

  /** Drops what has been typed of an unfinished message. */
  reset(): void {
    this.#lines = [];
    this.#fenced = false;
  }

  #complete(): AssembledInput {
    const text = this.#lines.join("\n");
    this.reset();
    return { kind: "complete", text };
  }
}
