/** Which of several configurations to take, and why. */
export interface CandidateChoice {
  /** Of the times; 0 is the usual configuration. */
  readonly index: number;
  /** Median over the rounds of its time over the usual one's. */
  readonly ratio: number;
  readonly reason: string;
}

/** Less than this is not worth leaving what is known to work. */
const leastGain = 0.02;

/**
 * The fastest configuration, or the usual one where no other is faster beyond the noise: by 2 % and
 * by the width of the middle half of its ratios to the usual one: it then wins three of four rounds.
 * @param times by configuration, the usual one first, then by round; a round's are of one moment, so
 *   that ratios within a round know no clocks. Empty for a configuration that was refused.
 */
export function chooseCandidate(times: readonly (readonly number[])[]): CandidateChoice {
  const [usual = []] = times;
  const ratios = times.map((rounds) => rounds.map((time, round) => time / (usual[round] ?? time)));
  let [index, ratio] = [0, 1];
  for (const [candidate, rounds] of ratios.entries()) {
    if (candidate === 0 || rounds.length === 0) continue;
    const one = quantile(rounds, 0.5);
    if (one < ratio) [index, ratio] = [candidate, one];
  }
  if (index === 0) return { index, ratio, reason: "the usual one is the fastest" };
  const rounds = ratios[index] ?? [];
  const wins = rounds.filter((one) => one < 1).length;
  const gain = percent(1 - ratio);
  const margin = Math.max(leastGain, quantile(rounds, 0.75) - quantile(rounds, 0.25));
  if (1 - ratio < margin) {
    const reason = `the usual one: the fastest other gains ${gain}, less than ${percent(margin)}`;
    return { index: 0, ratio: 1, reason };
  }
  const won = `${wins} of ${rounds.length} rounds`;
  return { index, ratio, reason: `${gain} faster than the usual one, in ${won}` };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Linear between the two nearest. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = at * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}
