import { expect, test } from "vitest";
import { ThreadChoice } from "../../../runtime/cpu/thread-choice.ts";

/** Runs a choice against what each kind of run takes; gives the share of the last runs on all threads. */
function share(choice: ThreadChoice, runs: number, times: (threads: number) => number): number {
  let together = 0;
  for (let run = 0; run < runs; run++) {
    const threads = choice.next();
    if (threads > 1) together++;
    choice.observe(threads, times(threads));
  }
  return together / runs;
}

test("takes all threads where they are faster, one where that is, but for a probe now and then", () => {
  const choice = new ThreadChoice(4, false);
  share(choice, 20, (threads) => 8 / threads);
  expect(share(choice, 480, (threads) => 8 / threads)).toBeGreaterThan(0.97);
  // The machine becomes busy: threads wait for each other.
  share(choice, 60, (threads) => 2 + 4 * threads);
  expect(share(choice, 480, (threads) => 2 + 4 * threads)).toBeLessThan(0.03);
  share(choice, 500, (threads) => 8 / threads);
  expect(share(choice, 480, (threads) => 8 / threads)).toBeGreaterThan(0.97);
});

test("one interrupted run changes nothing", () => {
  const choice = new ThreadChoice(2, false);
  share(choice, 40, (threads) => 10 / threads);
  let first = true;
  const used = share(choice, 40, (threads) => {
    if (threads === 1 || !first) return 10 / threads;
    first = false;
    return 1000;
  });
  expect(used).toBeGreaterThan(0.9);
});

test("a given number of threads is always used", () => {
  const choice = new ThreadChoice(3, true);
  expect(share(choice, 100, (threads) => threads)).toBe(1);
  const single = new ThreadChoice(1, false);
  expect(single.next()).toBe(1);
});
