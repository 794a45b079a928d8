/** Lets timers, input and aborts happen: an await of finished work alone never would. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
