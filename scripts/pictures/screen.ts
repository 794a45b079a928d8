import headless from "@xterm/headless";
import type { IBufferCell } from "@xterm/headless";
import type { Recording } from "./recording.ts";

/** A piece of a line with one look, and how long it stays. */
export interface Mark {
  /** Line of the whole output, from 0; scrolled out or not. */
  readonly line: number;
  readonly column: number;
  readonly text: string;
  /** Cells it covers. */
  readonly width: number;
  readonly look: Look;
  /** Seconds. */
  readonly from: number;
  /** When it was overwritten; undefined: it stays. */
  readonly until: number | undefined;
}

export interface Look {
  /** 0 to 15, as terminals number their colours; undefined: the usual one. */
  readonly colour: number | undefined;
  readonly isBold: boolean;
  readonly isDim: boolean;
}

/** Everything a terminal shows during a recording. */
export interface Film {
  readonly columns: number;
  readonly rows: number;
  readonly marks: readonly Mark[];
  /** First line shown, from each time on. */
  readonly scrolls: readonly { readonly at: number; readonly top: number }[];
  /** Seconds until the last change. */
  readonly seconds: number;
}

interface Cell {
  readonly text: string;
  readonly look: Look;
}

/** Changes closer to each other than this come at once. */
const tick = 0.05;

/** Plays a recording to a terminal and notes what comes and goes. */
export async function film(recording: Recording, columns: number, rows: number): Promise<Film> {
  const terminal = new headless.Terminal({
    cols: columns,
    rows,
    scrollback: 10_000,
    allowProposedApi: true,
    convertEol: true,
  });
  const lines: Cell[][] = [];
  const live: Mark[] = [];
  const gone: Mark[] = [];
  const scrolls = [{ at: 0, top: 0 }];
  let seconds = 0;
  for (const { at, text } of byTick(recording)) {
    await new Promise<void>((resolve) => terminal.write(text, resolve));
    seconds = at;
    const { active } = terminal.buffer;
    const top = active.baseY;
    if (top !== scrolls.at(-1)?.top) scrolls.push({ at, top });
    for (let line = 0; line < active.length; line++) {
      const cells = cellsOf(active.getLine(line), columns);
      update(line, lines[line] ?? [], cells, at);
      lines[line] = cells;
    }
  }
  terminal.dispose();
  return { columns, rows, marks: [...gone, ...live], scrolls, seconds };

  function update(line: number, old: readonly Cell[], fresh: readonly Cell[], at: number): void {
    const changed = (column: number) => !isSame(old[column], fresh[column]);
    for (const mark of live.filter((one) => one.line === line)) {
      const columnsOf = Array.from({ length: mark.width }, (_, i) => mark.column + i);
      if (!columnsOf.some(changed)) continue;
      live.splice(live.indexOf(mark), 1);
      gone.push({ ...mark, until: at });
      // What is left of it comes back as a mark of its own.
      for (const run of runs(fresh, (column) => columnsOf.includes(column) && !changed(column)))
        live.push({ ...run, line, from: at, until: undefined });
    }
    for (const run of runs(fresh, changed)) live.push({ ...run, line, from: at, until: undefined });
  }
}

/** Pieces of a line with one look, of the columns that are asked for, without blanks at their ends. */
function runs(
  cells: readonly Cell[],
  isWanted: (column: number) => boolean,
): Pick<Mark, "column" | "text" | "width" | "look">[] {
  const found: { column: number; text: string; width: number; look: Look }[] = [];
  let open = false;
  for (const [column, { text, look }] of cells.entries()) {
    if (!isWanted(column)) {
      open = false;
      continue;
    }
    const last = found.at(-1);
    if (open && last !== undefined && sameLook(last.look, look)) {
      last.text += text;
      last.width++;
    } else {
      found.push({ column, text, width: 1, look });
      open = true;
    }
  }
  return found.flatMap((run) => {
    const text = run.text.trimEnd();
    return text === ""
      ? []
      : [{ ...run, text, width: run.width - (run.text.length - text.length) }];
  });
}

function cellsOf(
  line: { getCell(column: number): IBufferCell | undefined } | undefined,
  columns: number,
): Cell[] {
  return Array.from({ length: columns }, (_, column) => {
    const cell = line?.getCell(column);
    const chars = cell?.getChars() ?? "";
    return {
      text: chars === "" ? " " : chars,
      look: {
        colour: cell?.isFgPalette() === true ? cell.getFgColor() : undefined,
        isBold: (cell?.isBold() ?? 0) !== 0,
        isDim: (cell?.isDim() ?? 0) !== 0,
      },
    };
  });
}

/** Blanks are alike, whatever their look. */
function isSame(a: Cell | undefined, b: Cell | undefined): boolean {
  const [x, y] = [a?.text ?? " ", b?.text ?? " "];
  if (x !== y) return false;
  return x === " " || (a !== undefined && b !== undefined && sameLook(a.look, b.look));
}

function sameLook(a: Look, b: Look): boolean {
  return a.colour === b.colour && a.isBold === b.isBold && a.isDim === b.isDim;
}

function byTick({ events }: Recording): { at: number; text: string }[] {
  const grouped: { at: number; text: string }[] = [];
  for (const { at, text } of events) {
    const when = Number((Math.round(at / tick) * tick).toFixed(2));
    const last = grouped.at(-1);
    if (last?.at === when) last.text += text;
    else grouped.push({ at: when, text });
  }
  return grouped;
}
