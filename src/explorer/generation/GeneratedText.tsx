import { memo, type MouseEvent, useEffect, useRef } from "react";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import classes from "./generation.module.css";
import { tokenLabel } from "./visible-text.ts";

/** Steps that are drawn as one: only the block that holds the current step changes with it. */
const blockSteps = 32;

/** The text up to a step, each token in the colour of how it came about. A click goes to its step. */
export function GeneratedText({
  generation,
  step,
  onSeek,
}: {
  readonly generation: RecordedGeneration;
  readonly step: number;
  readonly onSeek: (step: number) => void;
}) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const current = frame.current?.querySelectorAll(`[data-step="${step}"]`);
    const last = current?.item(current.length - 1);
    if (frame.current !== null && last instanceof HTMLElement) keepInSight(frame.current, last);
  }, [step]);
  const pick = ({ target }: MouseEvent) => {
    const found = target instanceof Element ? target.closest("[data-step]") : null;
    if (found !== null) onSeek(Number(found.getAttribute("data-step")));
  };
  const blocks = Math.floor(step / blockSteps) + 1;
  const { prompt, promptTokens } = generation;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: arrow keys go through the steps
    <section
      ref={frame}
      className={classes.text}
      aria-label="Generated text"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
      tabIndex={0}
      onClick={pick}
    >
      <span className={classes.prompt}>{prompt ?? `[${promptTokens} prompt tokens] `}</span>
      {Array.from({ length: blocks }, (_, block) => {
        const from = block * blockSteps;
        return (
          <Block
            // biome-ignore lint/suspicious/noArrayIndexKey: a block is its steps
            key={block}
            generation={generation}
            from={from}
            to={Math.min(from + blockSteps, step + 1)}
            current={block === blocks - 1 ? step : -1}
          />
        );
      })}
    </section>
  );
}

const Block = memo(function Block({
  generation,
  from,
  to,
  current,
}: {
  readonly generation: RecordedGeneration;
  readonly from: number;
  readonly to: number;
  readonly current: number;
}) {
  return generation.steps.slice(from, to).flatMap(({ tokens, path, given, pieces }, index) =>
    path.slice(0, given).map((node, depth) => {
      const piece = pieces?.[depth];
      const label = tokenLabel(generation, tokens[node]);
      const step = from + index;
      return (
        <span
          key={`${step} ${node}`}
          className={classes.token}
          data-step={step}
          data-kind={depth === 0 ? "root" : "accepted"}
          data-current={step === current || undefined}
          title={`${label} · token ${tokens[node]} · step ${step + 1}${depth === 0 ? "" : `, accepted at depth ${depth}`}`}
        >
          {piece === undefined || piece === "" ? (
            <span className={classes.silent}>{label}</span>
          ) : (
            withLineEnds(piece)
          )}
        </span>
      );
    }),
  );
});

/** Line ends are seen, and end the line. */
function withLineEnds(text: string) {
  if (!text.includes("\n")) return text;
  return text.split("\n").flatMap((line, index) => {
    // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
    return index === 0 ? [line] : [<i key={index}>⏎</i>, `\n${line}`];
  });
}

function keepInSight(frame: HTMLElement, element: HTMLElement): void {
  const bottom = element.offsetTop + element.offsetHeight;
  if (element.offsetTop < frame.scrollTop) frame.scrollTop = element.offsetTop - 24;
  else if (bottom > frame.scrollTop + frame.clientHeight)
    frame.scrollTop = bottom - frame.clientHeight + 24;
}
