/**
 * Byte addresses of the words threads share at the bottom of memory. Each busy word has a cache
 * line pair of its own: neighbours would take turns owning the line.
 */
export const control = {
  /** Barrier: threads that have arrived in this round. */
  arrived: 128,
  /** Barrier: rounds completed; waiters watch it change. */
  round: 256,
  /** Threads asleep in a wait on `round` or `command`; a waker with nobody to wake skips the call. */
  sleepers: 384,
  /** Counts programs handed to the worker threads; they watch it change. */
  command: 512,
  /** What the last command says: the program's bytes, the scratch memory; or, in `stop`, to end. */
  program: 516,
  programEnd: 520,
  scratch: 524,
  scratchStride: 528,
  stop: 532,
  /** Nonzero once a thread died: everyone gives up. */
  failed: 640,
  /** First error a kernel met: a code of `kernelErrors` (0: none), the call's record, the culprit. */
  error: 768,
  errorRecord: 772,
  errorValue: 776,
  /** UTF-8 text of the exception that ended a thread: its length, then the bytes. */
  failureLength: 896,
  failureText: 900,
  failureCapacity: 380,
  /** First byte free for data. */
  end: 1280,
} as const;

/** What a kernel refuses while it runs, because only the data shows it. */
export const kernelErrors = { rowOutOfRange: 1, slotOutOfRange: 2 } as const;
