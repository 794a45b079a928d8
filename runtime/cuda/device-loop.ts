import type { RingField } from "../../src/ir/program.ts";
import type { RunLoop, Tensors } from "../executor.ts";
import { completion } from "./completion.ts";
import type { ProgramHome } from "./loaded-program.ts";
import type { Slot } from "./ring.ts";

/** A loop that was launched, as the host follows it: slot by slot of the ring. */
export class DeviceLoop implements RunLoop {
  readonly #home: ProgramHome;
  readonly #slots: readonly Slot[];
  readonly #fields: readonly RingField[];
  #taken = 0;
  #isOver = false;

  /** @param slots emptied for the runs the loop may make. */
  constructor(home: ProgramHome, slots: readonly Slot[], fields: readonly RingField[]) {
    this.#home = home;
    this.#slots = slots;
    this.#fields = fields;
  }

  /** @throws CudaError of a kernel that failed; what `enter` throws when the session is gone. */
  async next(): Promise<Tensors | undefined> {
    if (this.#isOver) return undefined;
    const { device, ring, control, stream, enter } = this.#home;
    const slot = this.#slots[this.#taken];
    const isPublished = () => slot !== undefined && ring.isPublished(slot);
    enter();
    await completion(device.driver, stream, enter, () => isPublished() || control.hasEnded);
    enter();
    // Asked once more: the slot may have been filled after the first look and before the loop's end.
    if (slot !== undefined && isPublished()) {
      this.#taken++;
      return ring.read(slot, this.#fields);
    }
    this.#isOver = true;
    ring.settle((this.#slots[0]?.number ?? 0) + this.#taken);
    return undefined;
  }

  stop(): void {
    if (!this.#isOver) this.#home.control.stop();
  }
}
