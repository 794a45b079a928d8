/** Operations between the lanes of a warp: shuffles, votes, matches, reductions. */
import { WARP } from "../layout.ts";
import { shuffleMode, sourceLane } from "../translate/warp-ops.ts";
import { firstLane, type Handler, type Operation } from "./operation.ts";

/** shfl.sync d|p, a, b, c, members. */
export function shuffle(op: Operation): Handler {
  const mode = shuffleMode(op.instruction) ?? op.fail();
  const to = op.operand(0);
  const value = op.writer(to.kind === "pair" ? to.first : to);
  const inRange = to.kind === "pair" ? op.writer(to.second) : undefined;
  const source = op.reader(op.operand(1));
  const amount = op.reader(op.operand(2));
  const clamp = op.reader(op.operand(3));
  const members = op.uniform(op.operand(4));
  const values = new Int32Array(WARP);
  return (warp, mask) => {
    op.checkMembers(warp, mask, members(warp, mask));
    for (let lane = 0; lane < WARP; lane++) values[lane] = source(warp, lane);
    for (let lane = 0; lane < WARP; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const from = sourceLane(mode, lane, amount(warp, lane) & 31, clamp(warp, lane));
      value(warp, lane, values[from ?? lane] ?? 0);
      inRange?.(warp, lane, from === undefined ? 0 : -1);
    }
  };
}

/** vote.sync.{all,any,uni}.pred and .ballot.b32. */
export function vote(op: Operation): Handler {
  const mode = op.instruction.parts[2];
  const write = op.writer(op.operand(0));
  const predicate = op.predicate(op.operand(1));
  const members = op.uniform(op.operand(2));
  return (warp, mask) => {
    op.checkMembers(warp, mask, members(warp, mask));
    const votes = predicate(warp) & mask;
    let result: number;
    switch (mode) {
      case "all":
        result = votes === mask ? -1 : 0;
        break;
      case "any":
        result = votes !== 0 ? -1 : 0;
        break;
      case "uni":
        result = votes === mask || votes === 0 ? -1 : 0;
        break;
      case "ballot":
        result = votes;
        break;
      default:
        return op.fail();
    }
    eachLane(mask, (lane) => write(warp, lane, result));
  };
}

export function eachLane(mask: number, visit: (lane: number) => void): void {
  for (let rest = mask; rest !== 0; rest &= rest - 1) visit(firstLane(rest));
}

/** match.any and match.all, on 32 or 64 bits. */
export function match(op: Operation): Handler {
  const all = op.has("all");
  const to = op.operand(0);
  const write = op.writer(to.kind === "pair" ? to.first : to);
  const found = to.kind === "pair" ? op.writer(to.second) : undefined;
  const source = op.operand(1);
  const wide = source.kind === "reg" && source.reg.bits === 64;
  const low = op.reader(source);
  const row = wide ? op.row(source) >> 2 : 0;
  const { i32 } = op.machine;
  const key = (warp: number, lane: number): string | number =>
    wide ? `${low(warp, lane)},${i32[(warp >> 2) + row + 2 * lane + 1] ?? 0}` : low(warp, lane);
  const members = op.uniform(op.operand(2));
  return (warp, mask) => {
    op.checkMembers(warp, mask, members(warp, mask));
    const groups = new Map<string | number, number>();
    eachLane(mask, (lane) => {
      const k = key(warp, lane);
      groups.set(k, (groups.get(k) ?? 0) | (1 << lane));
    });
    const isUniform = groups.size === 1;
    eachLane(mask, (lane) => {
      const same = groups.get(key(warp, lane)) ?? 0;
      write(warp, lane, all && !isUniform ? 0 : same);
      found?.(warp, lane, isUniform ? -1 : 0);
    });
  };
}

/** redux.sync.{add,min,max,and,or,xor}. */
export function reduce(op: Operation): Handler {
  const name = op.instruction.parts[2] ?? "";
  const signed = op.instruction.parts.at(-1) === "s32";
  if (op.instruction.parts.at(-1) === "f32") op.fail();
  const write = op.writer(op.operand(0));
  const source = op.reader(op.operand(1));
  const members = op.uniform(op.operand(2));
  const combine = (a: number, b: number): number => {
    const [x, y] = signed ? [a, b] : [a >>> 0, b >>> 0];
    switch (name) {
      case "add":
        return (a + b) | 0;
      case "min":
        return Math.min(x, y) | 0;
      case "max":
        return Math.max(x, y) | 0;
      case "and":
        return a & b;
      case "or":
        return a | b;
      case "xor":
        return a ^ b;
      default:
        return op.fail();
    }
  };
  return (warp, mask) => {
    op.checkMembers(warp, mask, members(warp, mask));
    let result: number | undefined;
    eachLane(mask, (lane) => {
      const value = source(warp, lane);
      result = result === undefined ? value : combine(result, value);
    });
    eachLane(mask, (lane) => write(warp, lane, result ?? 0));
  };
}

export function activeMask(op: Operation): Handler {
  const write = op.writer(op.operand(0));
  return (warp, mask) => eachLane(mask, (lane) => write(warp, lane, mask));
}

/** elect.sync d|p, members: the lowest lane leads. */
export function elect(op: Operation): Handler {
  const to = op.operand(0);
  if (to.kind !== "pair") return op.fail();
  const leader = op.writer(to.first);
  const isLeader = op.writer(to.second);
  const members = op.uniform(op.operand(1));
  return (warp, mask) => {
    op.checkMembers(warp, mask, members(warp, mask));
    const first = firstLane(mask);
    eachLane(mask, (lane) => {
      leader(warp, lane, first);
      isLeader(warp, lane, lane === first ? -1 : 0);
    });
  };
}

/** bar.warp.sync members. */
export function warpSync(op: Operation): Handler {
  const members = op.uniform(op.operand(0));
  return (warp, mask) => op.checkMembers(warp, mask, members(warp, mask));
}
