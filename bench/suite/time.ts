/** Least milliseconds of a sample: the clock and the scheduler's slices are small beside it. */
const leastSampleMs = 8;
/** Runs before the first sample, at least: the executor chooses its threads by trying. */
const leastWarmUps = 3;
const warmUpMs = 20;
/** What takes long by itself is sampled less often: a few seconds must do. */
const slowMs = 200;
const patienceMs = 2000;
const fewRounds = 3;

/** Milliseconds of a run, sampled. Runs too short for the clock are repeated within a sample. */
export async function timeRuns(
  run: () => unknown,
  rounds: number,
  leastMs = leastSampleMs,
): Promise<readonly number[]> {
  let runs = 0;
  const begin = performance.now();
  while (runs < leastWarmUps || performance.now() - begin < warmUpMs) {
    await run();
    runs++;
    if (performance.now() - begin > 10 * warmUpMs) break;
  }
  const ms = (performance.now() - begin) / runs;
  const samples =
    ms > slowMs ? Math.min(rounds, Math.max(fewRounds, Math.round(patienceMs / ms))) : rounds;
  const repeats = Math.max(1, Math.ceil(leastMs / ms));
  const times: number[] = [];
  for (let round = 0; round < samples; round++) {
    const from = performance.now();
    for (let i = 0; i < repeats; i++) await run();
    times.push((performance.now() - from) / repeats);
  }
  return times;
}
