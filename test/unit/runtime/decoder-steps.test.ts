import { describe, expect, it } from "vitest";
import { Decoder, type StepsEnd } from "../../../runtime/decoder.ts";
import type { Executable, LoopEnd, RunLoop, Session, Tensors } from "../../../runtime/executor.ts";
import { GraphBuilder } from "../../../src/ir/builder.ts";
import { rootOnly } from "../../../src/speculation/tree.ts";

const inputs = { sampling: new Float32Array(7), seed: 0n };
const endless: StepsEnd = { lastLength: 100, stopTokens: [] };

/** A device whose steps commit one token after the other: 1, 2, 3 … */
class CountingDevice {
  /** What every loop was started with. */
  readonly ends: LoopEnd[] = [];
  stops = 0;
  launches = 0;
  readonly #runs: number;
  readonly #lead: number;
  readonly #failsAt: number;
  #token = 0;

  /** @param runs of a loop; 0 where there are none. @param lead steps it is ahead of its reader. */
  constructor(runs: number, lead = 0, failsAt = Number.POSITIVE_INFINITY) {
    this.#runs = runs;
    this.#lead = lead;
    this.#failsAt = failsAt;
  }

  decoder(): Decoder {
    const session: Session = {
      compile: () => this.#executable(),
      readState: () => Int32Array.of(0),
      writeState: () => {},
      dispose: () => {},
    };
    const graph = () => new GraphBuilder("step").finish();
    return new Decoder(
      session,
      { prefill: graph(), step: graph },
      { contextLength: 1000, prefillRows: 8 },
    );
  }

  #executable(): Executable {
    return {
      run: () => {
        this.launches++;
        return this.#step();
      },
      loop: async (_, end) => (this.#runs === 0 ? undefined : this.#loop(end)),
      dispose: () => {},
    };
  }

  #loop(end: LoopEnd): RunLoop {
    this.ends.push(end);
    let left = this.#runs;
    let isOver = false;
    return {
      next: async () => {
        if (isOver) throw new Error("nobody asks a loop that is over");
        if (this.#token >= this.#failsAt) {
          isOver = true;
          throw new Error("the device failed");
        }
        isOver = left === 0;
        if (isOver) return undefined;
        left--;
        return this.#step();
      },
      stop: () => {
        if (this.stops++ === 0) left = Math.min(left, this.#lead);
      },
    };
  }

  #step(): Tensors {
    const token = ++this.#token;
    return {
      tree: Int32Array.of(token),
      path: Int32Array.of(0),
      count: Int32Array.of(1),
      following: Int32Array.of(token + 1),
    };
  }
}

async function take(decoder: Decoder, count: number, end = endless, signal?: AbortSignal) {
  const taken: number[] = [];
  for await (const { committed } of decoder.steps(rootOnly, inputs, { ...end, signal })) {
    taken.push(...committed);
    if (taken.length === count) break;
  }
  return taken;
}

describe("a decoder's steps on a device that repeats them", () => {
  it("go on loop after loop, each begun with the tokens there are, up to the last length", async () => {
    const device = new CountingDevice(3);
    const decoder = device.decoder();
    expect(await take(decoder, 100, { lastLength: 6, stopTokens: [9] })).toHaveLength(9);
    expect(device.ends).toEqual(
      [0, 3, 6].map((length) => ({ length, lastLength: 6, stopTokens: [9] })),
    );
    expect(decoder.tokens).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("are launched one by one where it does not", async () => {
    const device = new CountingDevice(0);
    expect(await take(device.decoder(), 100, { lastLength: 4, stopTokens: [] })).toHaveLength(5);
    expect(device.launches).toBe(5);
  });

  it("end when the reader leaves, and what was committed meanwhile is among the tokens", async () => {
    const device = new CountingDevice(8, 2);
    const decoder = device.decoder();
    expect(await take(decoder, 3)).toEqual([1, 2, 3]);
    expect(device.stops).toBeGreaterThan(0);
    expect(decoder.tokens).toEqual([1, 2, 3, 4, 5]);
  });

  it("are asked to end at the moment of an abort, not when the reader comes back", async () => {
    const device = new CountingDevice(8, 1);
    const decoder = device.decoder();
    const abort = new AbortController();
    const steps = decoder.steps(rootOnly, inputs, { ...endless, signal: abort.signal });
    await steps.next();
    expect(device.stops).toBe(0);
    abort.abort();
    expect(device.stops).toBe(1);
    await steps.return();
    expect(decoder.tokens).toEqual([1, 2]);
  });

  it("are ended at once by a signal that was aborted before", async () => {
    const device = new CountingDevice(8, 1);
    const steps = device
      .decoder()
      .steps(rootOnly, inputs, { ...endless, signal: AbortSignal.abort() });
    expect((await steps.next()).value).toMatchObject({ committed: [1] });
    expect(device.stops).toBe(1);
    await steps.return();
  });

  it("fail with the device's reason, which nothing asks again", async () => {
    const device = new CountingDevice(8, 0, 2);
    await expect(take(device.decoder(), 100)).rejects.toThrow("the device failed");
  });
});
