import type { Output, Recording } from "./recording.ts";

/** Seconds. */
const perKey = 0.04;
const beforeTyping = 0.5;
const beforeReturn = 0.5;
const toRead = 3;

/** Recordings one after the other in one terminal, each with its command typed at a prompt. */
export function session(recordings: readonly Recording[]): Recording {
  const events: Output[] = [];
  let now = 0;
  for (const [index, { command, events: output }] of recordings.entries()) {
    if (index > 0) now += toRead;
    events.push({ at: now, text: `${index > 0 ? "\n" : ""}\u001b[36m$\u001b[39m ` });
    now += beforeTyping;
    for (const key of command) {
      events.push({ at: now, text: key });
      now += perKey;
    }
    now += beforeReturn;
    events.push({ at: now, text: "\n" });
    events.push(...output.map(({ at, text }) => ({ at: now + at, text })));
    now += output.at(-1)?.at ?? 0;
  }
  return { command: recordings.map(({ command }) => command).join("; "), events };
}
