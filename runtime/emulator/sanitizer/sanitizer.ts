/** Watches every access of kernels and copies, and the order between them. */
import { type Allocation, type DeviceMemory, describe } from "../driver/device-memory.ts";
import type { Work } from "../driver/work-queue.ts";
import type { Counters } from "../execute/counters.ts";
import { hostFinding } from "../execute/findings.ts";
import type { CheckFactory } from "../execute/kernel.ts";
import type { Machine } from "../execute/machine.ts";
import type { OperationAccess, RunObserver } from "../execute/run-observer.ts";
import type { BlockState, ClusterState, LaunchState, WarpState } from "../execute/state.ts";
import { CHECK, WARP } from "../layout.ts";
import { whereIs } from "../ptx/operands.ts";
import type { Instruction } from "../ptx/ptx.ts";
import { accessCheck, operationAccess } from "./access-check.ts";
import { Proxies } from "./proxies.ts";
import { type Conflict, type OtherWork, RaceDetector } from "./races.ts";
import { Shadow, ShadowArena } from "./shadow.ts";

export class Sanitizer implements RunObserver {
  readonly machine: Machine;
  readonly memory: DeviceMemory;
  readonly counters: Counters;
  readonly races: RaceDetector;
  readonly proxies: Proxies;
  readonly check: CheckFactory;
  readonly #arena: ShadowArena;
  readonly #shadows = new WeakMap<Allocation, Shadow>();
  readonly #tagged = new Set<Shadow>();
  /** Shared and local windows, by slot: blocks that follow one another reuse them. */
  readonly #shared = new Map<number, Shadow>();
  readonly #local = new Map<number, Shadow>();
  /** When memory was last released through a word, by linear address. */
  readonly #releases = new Map<number, number>();
  readonly #sites: Instruction[] = [];
  readonly #siteNumbers = new Map<Instruction, number>();
  #copyLabel = "copy";

  constructor(machine: Machine, memory: DeviceMemory, counters: Counters) {
    this.machine = machine;
    this.races = new RaceDetector(machine.u32);
    this.proxies = new Proxies(this);
    this.memory = memory;
    this.counters = counters;
    this.#arena = new ShadowArena(machine.buffer, machine.end, machine.shadowEnd);
    this.check = (site, context) => accessCheck(this, site.instruction, context);
  }

  /** A number for an instruction, by which tags remember it. */
  siteOf(instruction: Instruction): number {
    let site = this.#siteNumbers.get(instruction);
    if (site === undefined) {
      site = this.#sites.push(instruction);
      this.#siteNumbers.set(instruction, site);
    }
    return site;
  }

  instructionOf(site: number): Instruction | undefined {
    return this.#sites[site - 1];
  }

  /** ` at PTX line 3 (a.cu:7)` of a numbered instruction, or nothing. */
  placeOf(site: number): string {
    const instruction = this.instructionOf(site);
    return instruction === undefined ? "" : ` at ${whereIs(instruction)}`;
  }

  allocated(allocation: Allocation): void {
    this.#shadows.set(allocation, new Shadow(allocation.bytes, this.#arena));
  }

  shadowOf(allocation: Allocation): Shadow {
    let shadow = this.#shadows.get(allocation);
    if (shadow === undefined) {
      shadow = new Shadow(allocation.bytes, this.#arena);
      this.#shadows.set(allocation, shadow);
    }
    this.#tagged.add(shadow);
    return shadow;
  }

  sharedShadow(block: BlockState): Shadow {
    return this.#windowOf(this.#shared, block.slot, block.sharedBytes);
  }

  localShadow(block: BlockState, bytesPerThread: number): Shadow {
    return this.#windowOf(this.#local, block.slot, block.warps.length * WARP * bytesPerThread);
  }

  #windowOf(windows: Map<number, Shadow>, slot: number, bytes: number): Shadow {
    let shadow = windows.get(slot);
    if (shadow === undefined || shadow.bytes !== bytes) {
      shadow = new Shadow(bytes, this.#arena);
      windows.set(slot, shadow);
    }
    return shadow;
  }

  launchBegins(launch: LaunchState, work: Work, others: OtherWork): void {
    if (this.races.exhausted) {
      for (const shadow of this.#tagged) shadow.existingTags?.clear();
      this.races.restart();
    }
    const { grid } = launch.config;
    const warps = grid.x * grid.y * grid.z * launch.warpsPerBlock;
    this.races.begin(work, warps, others, launch);
    this.#releases.clear();
    this.proxies.launchBegins(launch);
  }

  /** A kernel without a wait can end before those that precede it, which no later kernel would know. */
  launchEnds({ kernelName }: LaunchState): void {
    if (!this.races.neverWaited) return;
    this.machine.findings.add(
      hostFinding(
        "missing-wait",
        "a programmatic launch ends without griddepcontrol.wait: kernels after it cannot know that those before it have ended",
        kernelName,
      ),
    );
  }

  /** The running warp has waited for the kernels its launch overlaps. */
  dependencyWaited(): void {
    this.races.waited(this.machine.position.warp);
    this.warpRuns();
  }

  copyBegins(work: Work, unordered: readonly Work[]): void {
    this.#copyLabel = work.label;
    this.races.begin(work, 1, { unordered, overlapped: [] });
  }

  blockBegins(_launch: LaunchState, block: BlockState): void {
    const shared = this.#shared.get(block.slot);
    if (shared?.bytes === block.sharedBytes) {
      shared.reset();
      shared.existingTags?.clear();
    } else this.#shared.delete(block.slot);
    this.#local.get(block.slot)?.reset();
  }

  blockEnds(): void {}

  barrierCompleted(_block: BlockState, released: readonly WarpState[]): void {
    const now = ++this.races.time;
    for (const warp of released) {
      warp.blockSync = now;
      warp.warpSync = now;
    }
  }

  clusterCompleted(cluster: ClusterState): void {
    const now = ++this.races.time;
    for (const block of cluster.blocks) {
      block.gridSync = now;
      for (const warp of block.warps) {
        warp.blockSync = now;
        warp.warpSync = now;
      }
    }
  }

  warpSynchronized(): void {
    this.machine.position.warp.warpSync = ++this.races.time;
    this.warpRuns();
  }

  /** Tells the quick check who is running and what it is synchronised with. */
  warpRuns(): void {
    const { block, warp } = this.machine.position;
    const { u32 } = this.machine;
    const first = this.races.identity(block, block.warps[0] ?? warp, 0);
    u32[CHECK.warp >> 2] = this.races.identity(block, warp, 0);
    u32[CHECK.blockLow >> 2] = first;
    u32[CHECK.blockHigh >> 2] = first + 64 * block.warps.length;
    u32[CHECK.blockSync >> 2] = 2 * warp.blockSync;
    u32[CHECK.warpSync >> 2] = 2 * warp.warpSync;
    u32[CHECK.foreign >> 2] = 2 * this.races.foreignLimit(block, warp);
    u32[CHECK.time >> 2] = 2 * this.races.time;
  }

  fenced(): void {
    this.machine.position.block.fenced = true;
  }

  proxyFenced(lanes: number): void {
    this.proxies.fenced(lanes);
  }

  readBegins(): number {
    this.warpSynchronized();
    return this.races.time;
  }

  readEnds(access: OperationAccess, since: number): void {
    this.proxies.checkUnchanged(access, since);
  }

  released(): void {
    this.races.time++;
    this.warpRuns();
  }

  /** The running warp has waited for something another thread released. */
  acquired(): void {
    const { block, warp } = this.machine.position;
    const now = ++this.races.time;
    warp.blockSync = now;
    warp.warpSync = now;
    block.gridSync = now;
    this.warpRuns();
  }

  access(access: OperationAccess): void {
    operationAccess(this, access);
  }

  pendingRange(block: BlockState, offset: number, bytes: number, change: 1 | -1): void {
    changePending(this.sharedShadow(block), offset, bytes, change);
  }

  pending(
    block: BlockState,
    lanes: number,
    offsets: Float64Array,
    bytes: number,
    change: 1 | -1,
  ): void {
    const shadow = this.sharedShadow(block);
    if (change === -1) this.proxies.landed(shadow, lanes, offsets, bytes);
    for (let rest = lanes; rest !== 0; rest &= rest - 1) {
      changePending(shadow, offsets[31 - Math.clz32(rest & -rest)] ?? 0, bytes, change);
    }
  }

  /** A strong write to a word: what the thread did before is visible to who reads it from there. */
  releaseThrough(address: number): void {
    this.#releases.set(address, ++this.races.time);
    this.warpRuns();
  }

  /** A strong read of a word. */
  acquireThrough(address: number): void {
    if (this.#releases.has(address)) this.acquired();
  }

  /** The host, or the driver on its behalf, writes memory; without a label, outside of any order. */
  hostWrote(base: number, bytes: number, label: string | undefined): void {
    const allocation = this.memory.at(base);
    if (allocation === undefined) return;
    const shadow = this.shadowOf(allocation);
    const from = base - allocation.base;
    shadow.written.mark(from, from + bytes);
    if (label !== undefined) this.#copyTouched(shadow, from, bytes, "write", allocation);
  }

  hostRead(base: number, bytes: number): void {
    const allocation = this.memory.at(base);
    if (allocation === undefined) return;
    this.#copyTouched(this.shadowOf(allocation), base - allocation.base, bytes, "read", allocation);
  }

  /** A copy within the machine's memory: what was never written stays so at its new place. */
  copied(from: number, to: number, bytes: number): void {
    const [source, target] = [this.memory.at(from), this.memory.at(to)];
    if (source === undefined || target === undefined) return;
    const [a, b] = [this.shadowOf(source), this.shadowOf(target)];
    this.#copyTouched(a, from - source.base, bytes, "read", source);
    this.#copyTouched(b, to - target.base, bytes, "write", target);
    b.written.copyFrom(a.written, from - source.base, to - target.base, bytes);
  }

  #copyTouched(
    shadow: Shadow,
    from: number,
    bytes: number,
    kind: "read" | "write",
    allocation: Allocation,
  ): void {
    const tags = shadow.existingTags;
    if (tags === undefined || bytes === 0) return;
    const conflict = this.races.copyAccess(tags, from, from + bytes, kind);
    if (conflict !== undefined) this.#reportCopy(conflict, kind, allocation);
  }

  #reportCopy(conflict: Conflict, kind: "read" | "write", allocation: Allocation): void {
    const verb = kind === "read" ? "reads" : "writes";
    const other = conflict.otherKind === "read" ? "reads" : "writes";
    this.machine.findings.add(
      hostFinding(
        "stream-race",
        `${this.#copyLabel} ${verb} ${describe(allocation)}, which ${conflict.other} ${other} with nothing to order them`,
        conflict.other.replace(/^kernel /, ""),
      ),
    );
  }
}

/** Bytes under way count as not written, so that the quick check stops at them. */
function changePending(shadow: Shadow, offset: number, bytes: number, change: 1 | -1): void {
  const { pending, written } = shadow;
  if (change === 1) written.forget(offset, offset + bytes);
  else written.mark(offset, offset + bytes);
  const last = (offset + bytes + 3) >> 2;
  for (let word = offset >> 2; word < last; word++) pending[word] = (pending[word] ?? 0) + change;
}
