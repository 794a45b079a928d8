import { useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { type PointerEvent, useEffect, useRef } from "react";
import type { RecordedStep } from "../../inspection/recorded-generation.ts";
import classes from "./generation.module.css";

const height = 44;

/** A bar per step, as high as the tokens it committed; where there are more steps than pixels, their mean. */
export function StepStrip({
  steps,
  step,
  onSeek,
}: {
  readonly steps: readonly RecordedStep[];
  readonly step: number;
  readonly onSeek: (step: number) => void;
}) {
  const { ref, width } = useElementSize();
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context !== undefined && context !== null && width > 0)
      draw(context, steps, width, scheme === "dark");
  }, [steps, width, scheme]);

  const seek = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    onSeek(Math.floor(((event.clientX - box.left) / box.width) * steps.length));
  };
  const share = 100 / steps.length;
  return (
    <div
      ref={ref}
      className={classes.strip}
      role="slider"
      tabIndex={0}
      aria-label="Step"
      aria-valuemin={1}
      aria-valuemax={steps.length}
      aria-valuenow={step + 1}
      aria-valuetext={`step ${step + 1} of ${steps.length}`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        seek(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons === 1) seek(event);
      }}
    >
      <canvas ref={canvas} style={{ width: "100%", height }} />
      <div className={classes.later} style={{ left: `${(step + 1) * share}%` }} />
      <div
        className={classes.cursor}
        style={{ left: `${step * share}%`, width: `max(2px, ${share}%)` }}
      />
    </div>
  );
}

function draw(
  context: CanvasRenderingContext2D,
  steps: readonly RecordedStep[],
  width: number,
  dark: boolean,
): void {
  const ratio = devicePixelRatio;
  context.canvas.width = Math.round(width * ratio);
  context.canvas.height = Math.round(height * ratio);
  context.scale(ratio, ratio);
  const most = steps.reduce((sofar, { path }) => Math.max(sofar, path.length), 2);
  const perStep = width / steps.length;
  const bars = Math.min(steps.length, Math.floor(width / 2));
  const unit = (height - 2) / most;
  for (let bar = 0; bar < bars; bar++) {
    const from = Math.floor((bar * steps.length) / bars);
    const to = Math.floor(((bar + 1) * steps.length) / bars);
    const mean =
      steps.slice(from, to).reduce((sum, { path }) => sum + path.length, 0) / (to - from);
    // At whole pixels, or the gaps would beat against them.
    const left = Math.round(from * perStep * ratio) / ratio;
    const right = Math.round(to * perStep * ratio) / ratio;
    const bare = right - left - (perStep >= 6 ? 1.5 : perStep >= 3 ? 1 / ratio : 0);
    context.fillStyle = dark ? "#28c4ab" : "#12a693";
    context.fillRect(left, height - mean * unit, bare, (mean - 1) * unit);
    context.fillStyle = "#868e96";
    context.fillRect(left, height - unit, bare, unit);
  }
}
