import { describe, expect, it } from "vitest";
import { record, withoutPauses } from "../../../scripts/pictures/recording.ts";
import { film, type Mark } from "../../../scripts/pictures/screen.ts";
import { session } from "../../../scripts/pictures/session.ts";
import { darkTerminal, terminalSvg } from "../../../scripts/pictures/terminal-svg.ts";

const recording = (...texts: string[]) => ({
  command: "made up",
  events: texts.map((text, index) => ({ at: index, text })),
});

/** What the terminal shows at a time, line by line. */
function screenAt(marks: readonly Mark[], at: number): string[] {
  const lines: string[] = [];
  for (const { line, column, text, from, until } of marks) {
    if (from > at || (until ?? Number.POSITIVE_INFINITY) <= at) continue;
    const old = (lines[line] ?? "").padEnd(column);
    lines[line] = old.slice(0, column) + text + old.slice(column + text.length);
  }
  return Array.from(lines, (line) => line ?? "");
}

describe("recording a terminal", () => {
  it("keeps what a program prints, with its colours, in order", async () => {
    const { events } = await record(
      `node -e "console.log(process.env.FORCE_COLOR); setTimeout(() => console.log('end'), 300)"`,
      process.cwd(),
    );
    expect(events.map(({ text }) => text).join("")).toBe("1\nend\n");
    expect(events.length).toBe(2);
    expect((events[1]?.at ?? 0) - (events[0]?.at ?? 0)).toBeGreaterThan(0.1);
  });

  it("fails where the program does", async () => {
    const failing = record(`node -e "console.error('why'); process.exit(3)"`, process.cwd());
    await expect(failing).rejects.toThrow(/ended with 3:\nwhy/);
  });

  it("shortens pauses and nothing else", () => {
    const events = [0.1, 5, 5.2, 9].map((at) => ({ at, text: "x" }));
    const { events: shorter } = withoutPauses({ command: "", events }, 0.5);
    expect(shorter.map(({ at }) => Number(at.toFixed(2)))).toEqual([0.1, 0.6, 0.8, 1.3]);
  });

  it("types each command before its output", async () => {
    const { events } = session([recording("one\n"), recording("two\n")]);
    expect(events.map(({ text }) => text).join("")).toBe(
      "\u001b[36m$\u001b[39m made up\none\n\n\u001b[36m$\u001b[39m made up\ntwo\n",
    );
    const times = events.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });
});

describe("what a terminal shows", () => {
  it("comes piece by piece and stays, with its look", async () => {
    const { marks } = await film(recording("a \u001b[32mgreen", "\u001b[39m \u001b[1mb"), 40, 5);
    expect(screenAt(marks, 0)).toEqual(["a green"]);
    expect(screenAt(marks, 1)).toEqual(["a green b"]);
    expect(marks.map(({ text, from, look }) => [text.trim(), from, look.colour])).toEqual([
      ["a", 0, undefined],
      ["green", 0, 2],
      ["b", 1, undefined],
    ]);
    expect(marks[2]?.look.isBold).toBe(true);
  });

  it("goes where a program writes over it", async () => {
    const { marks } = await film(recording("10% done", "\r20%", "\r\u001b[Kready"), 40, 5);
    expect(screenAt(marks, 0)).toEqual(["10% done"]);
    expect(screenAt(marks, 1)).toEqual(["20% done"]);
    expect(screenAt(marks, 2)).toEqual(["ready"]);
    expect(screenAt(marks, 9)).toEqual(["ready"]);
  });

  it("scrolls when there are more lines than rows", async () => {
    const { scrolls, marks } = await film(recording("1\n2\n3", "\n4\n5\n6"), 40, 4);
    expect(scrolls).toEqual([
      { at: 0, top: 0 },
      { at: 1, top: 2 },
    ]);
    expect(screenAt(marks, 1)).toEqual(["1", "2", "3", "4", "5", "6"]);
  });

  it("is a picture whose text is text, without scripts, that ends on the last screen", async () => {
    const shown = await film(recording("<b> & \u001b[31mred", "\rover"), 20, 3);
    const svg = terminalSvg(shown, "a <title>", darkTerminal);
    expect(svg).toContain("<title>a &lt;title&gt;</title>");
    expect(svg).toMatch(/<text class="m t0-100 gone"[^>]*>&lt;b&gt;<\/text>/);
    expect(svg).toContain(".c1{fill:#ff7b72}");
    expect(svg).toMatch(/@keyframes t100\{0%\{visibility:hidden\}14\.29%\{visibility:visible\}\}/);
    expect(svg).toContain("prefers-reduced-motion");
    expect(svg).not.toMatch(/<script|href=|undefined|NaN/);
    expect(svg).toBe(
      terminalSvg(
        await film(recording("<b> & \u001b[31mred", "\rover"), 20, 3),
        "a <title>",
        darkTerminal,
      ),
    );
  });
});
