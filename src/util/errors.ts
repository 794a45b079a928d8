/**
 * The error every part of the project throws for something a user can act on.
 *
 * The message says what happened and why; `hint` says what to do; `path` says where: a file, a
 * tensor, a graph node, a byte offset. The command line prints all of it on one line and exits
 * with 1; anything that is not a `HydrantError` is a bug and is shown with its stack.
 */
export class HydrantError extends Error {
  override readonly name: string = "HydrantError";
  /** Permanent, searchable identity of the failure, for example `safetensors/truncated`. */
  readonly code: string;
  /** Where it happened: a file path, `file: tensor`, a graph node. */
  readonly path: string | undefined;
  /** What the user can do about it. */
  readonly hint: string | undefined;

  /** @param code `area/what`; @param message a sentence: what happened and why. */
  constructor(
    code: string,
    message: string,
    details: { path?: string; hint?: string; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.hint = details.hint;
  }

  /** Path, message and hint on one line, as the command line shows them. */
  get oneLine(): string {
    const where = this.path === undefined ? "" : `${this.path}: `;
    const hint = this.hint === undefined ? "" : ` ${this.hint}`;
    const line = `${where}${this.message}${hint}`.replace(/\s*\n\s*/g, " ");
    // Names come from files: they must not steer the terminal.
    return line.replace(/\p{Cc}/gu, "\uFFFD");
  }
}

/** A broken internal invariant: never the user's fault, always a bug of ours. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal error: ${message}`);
}
