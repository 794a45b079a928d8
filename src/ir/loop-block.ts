/*
 * How a loop of runs on the device is steered: what the host lays down before the loop, what the
 * kernel at the end of every run keeps up to date, and the words by which both talk meanwhile.
 */

/** Places of i32 words in the loop's block, which lies in device memory (`loop::Block`). */
export const loopBlock = {
  /** Runs the loop may still make, the one under way included. The device counts them down. */
  runs: 0,
  /** The state `length` before the run under way. Kept by the device. */
  length: 1,
  /** Greatest `length` from which another run may start. */
  lastLength: 2,
  stopTokenCount: 3,
  /** The first of the stop tokens. */
  stopTokens: 4,
  words: 64,
} as const;

/** Stop tokens that fit in the block. */
export const maxLoopStopTokens = loopBlock.words - loopBlock.stopTokens;

/** Places of u32 words in memory that host and device share. */
export const loopSignals = {
  /** The host sets it to end the loop after the run under way. */
  stop: 0,
  /** The device sets it when the loop's last run has ended. */
  ended: 1,
  words: 2,
} as const;
