import { memo, type MouseEvent, useEffect, useMemo, useRef } from "react";
import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";
import classes from "./generation.module.css";
import { type Paragraph, paragraphsOf, shownTokens } from "./paragraphs.ts";
import { stepEnd } from "./statistics.ts";
import { tokenLabel } from "./visible-text.ts";

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
  const paragraphs = useMemo(() => paragraphsOf(generation), [generation]);
  const begun = paragraphs.filter((paragraph) => (paragraph[0]?.step ?? 0) <= step);
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
      {begun.map((paragraph, index) => {
        const shown = shownTokens(paragraph, step);
        const isLast = index === begun.length - 1;
        const holdsStep = paragraph.slice(0, shown).some((token) => token.step === step);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a paragraph is its place
          <div key={index}>
            {index === 0 && (
              <span className={classes.prompt}>{prompt ?? `[${promptTokens} prompt tokens] `}</span>
            )}
            <Tokens
              generation={generation}
              paragraph={paragraph}
              shown={shown}
              current={holdsStep ? step : -1}
            />
            {isLast && <NextToken generation={generation} step={step} />}
          </div>
        );
      })}
    </section>
  );
}

/** Nothing of it changes with the steps that are elsewhere. */
const Tokens = memo(function Tokens({
  generation,
  paragraph,
  shown,
  current,
}: {
  readonly generation: RecordedGeneration;
  readonly paragraph: Paragraph;
  readonly shown: number;
  readonly current: number;
}) {
  return paragraph.slice(0, shown).map(({ step, depth, token, piece }, index) => {
    const label = tokenLabel(generation, token);
    return (
      <span
        // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
        key={index}
        className={classes.token}
        data-step={step}
        data-kind={depth === 0 ? "root" : "accepted"}
        data-current={step === current || undefined}
        title={`${label} · token ${token} · step ${step + 1}${depth === 0 ? "" : `, accepted at depth ${depth}`}`}
      >
        {piece === undefined || piece === "" ? (
          <span className={classes.silent}>{label}</span>
        ) : (
          withLineEnds(piece)
        )}
      </span>
    );
  });
});

/** What the step went on to: the next one's root. */
function NextToken({
  generation,
  step,
}: {
  readonly generation: RecordedGeneration;
  readonly step: number;
}) {
  const recorded = generation.steps[step];
  const token = generation.steps[step + 1]?.tokens[0];
  if (recorded === undefined || token === undefined) return null;
  const label = tokenLabel(generation, token);
  return (
    <span
      className={classes.next}
      data-kind={stepEnd(generation, recorded) === "rejected" ? "correction" : "bonus"}
      title={`${label} · token ${token} · next`}
    >
      {label}
    </span>
  );
}

/** Line ends are seen, and end the line; the last one's is the end of its paragraph. */
function withLineEnds(text: string) {
  if (!text.includes("\n")) return text;
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    if (index === 0) return [line];
    const ends = index < lines.length - 1 || line !== "";
    // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
    return [<i key={index}>⏎</i>, ends ? `\n${line}` : ""];
  });
}

function keepInSight(frame: HTMLElement, element: HTMLElement): void {
  const bottom = element.offsetTop + element.offsetHeight;
  if (element.offsetTop < frame.scrollTop) frame.scrollTop = element.offsetTop - 24;
  else if (bottom > frame.scrollTop + frame.clientHeight)
    frame.scrollTop = bottom - frame.clientHeight + 24;
}
