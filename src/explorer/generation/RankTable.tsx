import { Text } from "@mantine/core";
import classes from "./generation.module.css";
import type { GenerationStatistics, RankCount } from "./statistics.ts";

const mostRanks = 12;

/** Share of accepted drafts by depth and rank, as a table in colours. */
export function RankTable({ statistics }: { readonly statistics: GenerationStatistics }) {
  const shown = statistics.ranks.slice(0, mostRanks);
  const left = statistics.ranks.length - shown.length;
  const rows = [
    ...statistics.depths.map(({ depth, ranks }) => ({ name: `depth ${depth}`, ranks })),
    { name: "all", ranks: statistics.ranks },
  ];
  return (
    <>
      <table className={classes.ranks} aria-label="Accepted drafts by depth and rank">
        <thead>
          <tr>
            <th scope="col">rank</th>
            {shown.map(({ rank }) => (
              <th scope="col" key={rank}>
                {rank}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, ranks }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {shown.map(({ rank }) => (
                <Cell key={rank} count={ranks.find((each) => each.rank === rank)} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && (
        <Text size="xs" c="dimmed" mt={4}>
          {left} more ranks, with{" "}
          {statistics.ranks.slice(mostRanks).reduce((sum, { accepted }) => sum + accepted, 0)}{" "}
          accepted drafts
        </Text>
      )}
    </>
  );
}

function Cell({ count }: { readonly count: RankCount | undefined }) {
  if (count === undefined) return <td className={classes.noRank} />;
  const { offered, accepted } = count;
  const share = accepted / offered;
  return (
    <td
      title={`${accepted} of ${offered}`}
      data-deep={share > 0.45 || undefined}
      // The square root tells the small shares apart, which most are.
      style={{
        background: `color-mix(in srgb, var(--draft) ${(100 * Math.sqrt(share)).toFixed(1)}%, var(--own-soft))`,
      }}
    >
      {accepted === 0 ? "0" : (100 * share).toFixed(share < 0.0995 ? 1 : 0)}
    </td>
  );
}
