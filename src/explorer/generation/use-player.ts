import { useWindowEvent } from "@mantine/hooks";
import { useCallback, useEffect, useRef, useState } from "react";

/** How fast steps follow each other: so many a second, or as long as they took times a factor. */
export type Pace = { readonly perSecond: number } | { readonly slowdown: number };

export interface Player {
  /** Index of the last step that is shown. */
  readonly step: number;
  readonly playing: boolean;
  readonly pace: Pace;
  setPace(pace: Pace): void;
  /** Goes to a step, as near as there is one, and stops there. */
  seek(step: number): void;
  /** Plays from here, from the beginning when at the end; or pauses. */
  toggle(): void;
}

/**
 * Plays steps one after the other.
 * @param durations milliseconds of each step.
 * @param initial the step to begin with.
 */
export function usePlayer(durations: readonly number[], initial: number): Player {
  const last = durations.length - 1;
  const [step, setStep] = useState(() => clampStep(initial, last));
  const [playing, setPlaying] = useState(false);
  const [pace, setPace] = useState<Pace>({ perSecond: 5 });
  const shown = useRef(step);
  shown.current = step;

  const seek = useCallback(
    (to: number) => {
      setPlaying(false);
      setStep(clampStep(to, last));
    },
    [last],
  );
  const toggle = useCallback(() => {
    if (!playing && shown.current >= last) setStep(0);
    setPlaying(!playing);
  }, [playing, last]);

  useEffect(() => {
    if (!playing) return;
    let frame = 0;
    let before = performance.now();
    let owed = 0;
    const tick = (now: number) => {
      owed += now - before;
      before = now;
      let next = shown.current;
      // Several steps a frame where they follow each other faster than the screen.
      while (next < last && owed >= wait(durations[next + 1] ?? 0, pace)) {
        next++;
        owed -= wait(durations[next] ?? 0, pace);
      }
      if (next !== shown.current) setStep(next);
      if (next >= last) setPlaying(false);
      else frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, pace, last, durations]);

  useWindowEvent("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTakenBy(event.target, event.key))
      return;
    const stride = event.shiftKey ? 10 : 1;
    switch (event.key) {
      case " ":
        toggle();
        break;
      case "ArrowLeft":
        seek(shown.current - stride);
        break;
      case "ArrowRight":
        seek(shown.current + stride);
        break;
      case "Home":
        seek(0);
        break;
      case "End":
        seek(last);
        break;
      default:
        return;
    }
    event.preventDefault();
  });

  return { step, playing, pace, setPace, seek, toggle };
}

const clampStep = (step: number, last: number): number => Math.max(0, Math.min(last, step));

const wait = (ms: number, pace: Pace): number =>
  "perSecond" in pace ? 1000 / pace.perSecond : Math.max(ms * pace.slowdown, 0.01);

/** Whether the focused control, or a dialogue above the page, needs the key itself. */
function isTakenBy(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof Element)) return false;
  if (target.closest("input, textarea, select, [role=application], [role=dialog]") !== null)
    return true;
  return key === " " && target.closest("button, a, summary") !== null;
}
