/**
 * The sanitiser's common case, in WebAssembly: is an access of a warp in bounds, aligned, of
 * written memory, and ordered after whatever it could race with? Lanes for which the answer is
 * not plainly yes are given back; the sanitiser looks at them one by one (races.ts says what the
 * tags mean and is what this must agree with).
 */
import type { Expr, FunctionBuilder, Local, ModuleBuilder } from "../../wasm/wasm.ts";
import { i32, i32x4, v128 } from "../../wasm/wasm.ts";
import { CHECK, GLOBAL_TAG } from "../layout.ts";
import { formOf } from "./access-form.ts";

type Vec = Expr<"v128">;
const splat = (value: number): Vec => i32x4.const(value, value, value, value);
const field = (at: number): Expr<"i32"> => i32.load(i32.const(0), at);

/** Bits of the flags: the access writes; tags are not looked at; addresses are global. */
export const ACCESS = { writes: 1, untagged: 2, global: 4, wide: 8, grainShift: 8 } as const;

/** Parameters of the access functions, in order. */
export const ACCESS_PARAMS = [
  "row",
  "offset",
  "lanes",
  "base",
  "limit",
  "bytes",
  "flags",
  "tags",
  "stride",
  "bits",
  "site",
] as const;

export function addAccessChecks(module: ModuleBuilder): void {
  for (const count of [1, 2, 4] as const) accessCheck(module, count);
}

/** Calls back for every set bit of `lanes`, lowest first. */
export function eachLane(
  f: FunctionBuilder,
  lanes: Expr<"i32">,
  body: (lane: Local<"i32">) => void,
): void {
  const rest = f.let(lanes);
  const lane = f.local("i32");
  f.while(rest, () => {
    f.set(lane, i32.ctz(rest));
    f.set(rest, i32.and(rest, i32.sub(rest, 1)));
    body(lane);
  });
}

/** The low word of a lane's address operand. */
export function addressWord(
  row: Local<"i32">,
  lane: Local<"i32">,
  wide: Local<"i32">,
): Expr<"i32"> {
  return i32.load(i32.add(row, i32.shl(lane, i32.add(2, wide))));
}

function accessCheck(module: ModuleBuilder, count: 1 | 2 | 4): void {
  const f = module.func(
    `access${count}`,
    ACCESS_PARAMS.map(() => "i32" as const),
    ["i32"],
  );
  const param = (name: (typeof ACCESS_PARAMS)[number]): Local<"i32"> =>
    f.param("i32", ACCESS_PARAMS.indexOf(name));
  const [row, flags, bytes, bits, site] = [
    param("row"),
    param("flags"),
    param("bytes"),
    param("bits"),
    param("site"),
  ];
  const writes = f.let(i32.and(flags, ACCESS.writes));
  const wide = f.let(i32.and(i32.shrU(flags, 3), 1));
  const isGlobal = f.let(i32.and(flags, ACCESS.global));
  const grain = f.let(i32.shrU(flags, ACCESS.grainShift));
  const shift = f.let(i32.sub(param("offset"), param("base")));
  const failed = f.local("i32");
  const warp = f.let(field(CHECK.warp));
  const context: Ordering = {
    warp: f.let(i32x4.splat(warp)),
    warpEnd: f.let(i32x4.splat(i32.add(warp, 33))),
    blockLow: f.let(i32x4.splat(field(CHECK.blockLow))),
    blockHigh: f.let(i32x4.splat(field(CHECK.blockHigh))),
    blockSync: f.let(i32x4.splat(field(CHECK.blockSync))),
    warpSync: f.let(i32x4.splat(field(CHECK.warpSync))),
    foreign: f.let(i32x4.splat(field(CHECK.foreign))),
  };
  const stamp = f.let(i32x4.splat(field(CHECK.time)));
  const sites = f.let(i32x4.splat(site));
  const me = f.local("v128");
  const [offset, at, mask, word, end] = [0, 1, 2, 3, 4].map(() => f.local("i32")) as [
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
  ];
  const values = Array.from({ length: 5 }, () => f.local("v128"));
  const isTagged = f.let(i32.eqz(i32.and(flags, ACCESS.untagged)));
  const lanes = param("lanes");
  const todo = f.let(lanes);
  const check = (stop: (condition: Expr<"i32">) => void, count: 1 | 2 | 4): void =>
    tagsOf(f, count, at, param("stride"), writes, context, me, stamp, sites, values, stop);
  f.if(i32.eq(lanes, -1), () => {
    const form = formOf(f, { row, wide, isGlobal, shift, bytes, limit: param("limit") });
    f.if(form.isInside, () => {
      f.if(i32.eqz(i32.or(isTagged, bits)), () => f.return(0));
      // The second lane that reads an address makes its readers several; more change nothing.
      f.if(i32.and(form.isRepeated, i32.eqz(writes)), () => f.set(todo, 0xff));
      f.if(i32.and(form.isUniform, i32.eqz(writes)), () => f.set(todo, 3));
      f.if(i32.and(form.isRow, i32.gtU(bytes, 3)), () => {
        f.block((slow) => {
          const stop = (condition: Expr<"i32">): void => f.brIf(slow, condition);
          f.if(bits, () => wholeBits(f, form.first, { bytes, bits, writes, at, end }, stop));
          f.if(i32.eqz(isTagged), () => f.return(0));
          stop(i32.ne(grain, 2));
          f.set(at, i32.add(param("tags"), form.first));
          f.set(word, 0);
          f.loop((again) => {
            const words = i32x4.add(i32x4.splat(word), i32x4.const(0, 1, 2, 3));
            const owners = i32x4.shrU(words, i32.sub(i32.ctz(bytes), 2));
            f.set(me, i32x4.add(context.warp, owners));
            check(stop, 4);
            f.increment(at, 16);
            f.increment(word, 4);
            f.brIf(again, i32.ltU(word, i32.shl(bytes, 3)));
          });
          f.return(0);
        });
      });
      const isPlain = i32.and(i32.eq(bytes, 4), i32.and(isTagged, i32.eq(grain, 2)));
      f.if(i32.and(form.hasQuads, isPlain), () => {
        f.block((slow) => {
          const stop = (condition: Expr<"i32">): void => f.brIf(slow, condition);
          f.set(me, i32x4.add(context.warp, i32x4.const(0, 1, 2, 3)));
          f.set(end, 0);
          f.loop((again) => {
            f.set(offset, i32.add(addressWord(row, end, wide), shift));
            f.if(bits, () => {
              f.set(at, i32.add(bits, i32.shl(i32.shrU(offset, 4), 1)));
              f.set(mask, i32.shl(0xffff, i32.and(offset, 15)));
              f.set(word, i32.load(at));
              f.if(
                writes,
                () => f.do(i32.store(at, i32.or(word, mask))),
                () => stop(i32.ne(i32.and(word, mask), mask)),
              );
            });
            f.set(at, i32.add(param("tags"), offset));
            check(stop, 4);
            f.set(me, i32x4.add(me, splat(4)));
            f.increment(end, 4);
            f.brIf(again, i32.ltU(end, 32));
          });
          f.return(0);
        });
      });
    });
  });
  const others = f.let(i32.xor(lanes, todo));
  f.loop((again) => {
    eachLane(f, todo, (lane) => {
      const fail = (): void => f.set(failed, i32.or(failed, i32.shl(1, lane)));
      f.block((next) => {
        const stop = (condition: Expr<"i32">): void => {
          f.if(condition, () => {
            fail();
            f.br(next);
          });
        };
        f.set(offset, i32.add(addressWord(row, lane, wide), shift));
        const high = i32.load(i32.add(row, i32.shl(lane, 3)), 4);
        f.if(isGlobal, () => stop(i32.ne(high, GLOBAL_TAG)));
        const odd = i32.and(offset, i32.sub(bytes, 1));
        stop(i32.or(i32.gtU(offset, param("limit")), odd));
        f.if(bits, () => {
          // One bit per byte; an aligned access of up to 16 bytes lies in one aligned 16-bit word.
          f.set(at, i32.add(bits, i32.shl(i32.shrU(offset, 4), 1)));
          f.set(mask, i32.shl(i32.sub(i32.shl(1, bytes), 1), i32.and(offset, 15)));
          f.set(word, i32.load16U(at));
          f.if(
            writes,
            () => f.do(i32.store16(at, i32.or(word, mask))),
            () => stop(i32.ne(i32.and(word, mask), mask)),
          );
        });
        f.brIf(next, i32.eqz(isTagged));
        f.set(at, i32.add(param("tags"), i32.shl(i32.shrU(offset, grain), 2)));
        f.set(me, i32x4.splat(i32.add(warp, lane)));
        f.set(end, i32.add(at, i32.shl(i32.shrU(bytes, grain), 2)));
        if (count < 4) check(stop, count);
        else {
          f.loop((more) => {
            check(stop, 4);
            f.increment(at, 16);
            f.brIf(more, i32.ltU(at, end));
          });
        }
      });
    });
    f.set(todo, others);
    f.set(others, 0);
    f.brIf(again, i32.and(i32.ne(todo, 0), i32.ne(failed, 0)));
  });
  f.result(failed);
}

/** The written bits of lanes side by side: 32 for each byte of one lane's access. */
function wholeBits(
  f: FunctionBuilder,
  first: Local<"i32">,
  {
    bytes,
    bits,
    writes,
    at,
    end,
  }: Readonly<Record<"bytes" | "bits" | "writes" | "at" | "end", Local<"i32">>>,
  stop: (condition: Expr<"i32">) => void,
): void {
  stop(i32.and(first, 15));
  f.set(at, i32.add(bits, i32.shl(i32.shrU(first, 4), 1)));
  f.set(end, i32.add(at, i32.shl(bytes, 2)));
  f.loop((again) => {
    f.if(
      writes,
      () => f.do(v128.store(at, splat(-1))),
      () => stop(i32.eqz(i32x4.allTrue(i32x4.eq(v128.load(at), splat(-1))))),
    );
    f.increment(at, 16);
    f.brIf(again, i32.ltU(at, end));
  });
}

interface Ordering {
  readonly warp: Local<"v128">;
  readonly warpEnd: Local<"v128">;
  readonly blockLow: Local<"v128">;
  readonly blockHigh: Local<"v128">;
  readonly blockSync: Local<"v128">;
  readonly warpSync: Local<"v128">;
  readonly foreign: Local<"v128">;
}

/** Looks at and renews the tags of one, two or four words. */
function tagsOf(
  f: FunctionBuilder,
  count: 1 | 2 | 4,
  at: Local<"i32">,
  stride: Local<"i32">,
  writes: Local<"i32">,
  context: Ordering,
  me: Local<"v128">,
  stamp: Local<"v128">,
  sites: Local<"v128">,
  values: readonly Local<"v128">[],
  stop: (condition: Expr<"i32">) => void,
): void {
  const [writer, writeTime, reader, readTime, next] = values as [
    Local<"v128">,
    Local<"v128">,
    Local<"v128">,
    Local<"v128">,
    Local<"v128">,
  ];
  const place = (list: number): Expr<"i32"> =>
    list === 0 ? at : i32.add(at, i32.mul(stride, list));
  const load = (list: number): Vec =>
    count === 4
      ? v128.load(place(list))
      : count === 2
        ? v128.load64Zero(place(list))
        : v128.load32Zero(place(list));
  const store = (list: number, value: Vec): void => {
    if (count === 4) f.do(v128.store(place(list), value));
    else if (count === 2) f.do(v128.store64Lane(place(list), value, 0));
    else f.do(v128.store32Lane(place(list), value, 0));
  };
  f.set(writer, load(0));
  f.set(writeTime, load(1));
  f.set(reader, load(2));
  f.set(readTime, load(3));
  // Nearly always all was there before the launch or the block's last barrier.
  const unlessOld = (who: Vec, time: Vec, otherwise: () => void): void =>
    f.if(i32.eqz(i32x4.allTrue(isOld(context, who, time))), otherwise);
  unlessOld(writer, writeTime, () => {
    stop(i32.eqz(i32x4.allTrue(isOrdered(context, writer, writeTime, me))));
  });
  f.if(
    writes,
    () => {
      unlessOld(reader, readTime, () => {
        stop(i32.eqz(i32x4.allTrue(isOrdered(context, reader, readTime, me))));
      });
      store(0, me);
      store(1, stamp);
      store(4, sites);
      store(2, splat(0));
    },
    () => {
      f.set(next, me);
      unlessOld(reader, readTime, () => {
        const replaced = isOrdered(context, reader, readTime, me);
        f.set(next, v128.bitselect(me, merged(context, reader), replaced));
      });
      store(2, next);
      store(3, stamp);
      store(5, sites);
    },
  );
}

// Identities and times are below 2³¹, so signed comparisons do, which cost less.
const inBlock = (c: Ordering, who: Vec): Vec =>
  v128.and(i32x4.geS(who, c.blockLow), i32x4.gtS(c.blockHigh, who));
/** The lane field of an identity. */
const laneOf = (who: Vec): Vec => v128.and(who, splat(63));

/** Nobody, or before the launch, or before the block's last barrier and by the block. */
function isOld(c: Ordering, who: Vec, time: Vec): Vec {
  const block = v128.and(
    v128.and(inBlock(c, who), i32x4.ne(laneOf(who), splat(34))),
    i32x4.gtS(c.blockSync, time),
  );
  return v128.or(i32x4.gtS(c.foreign, time), block);
}

function isOrdered(c: Ordering, who: Vec, time: Vec, me: Vec): Vec {
  const nobody = v128.or(i32x4.eq(who, splat(0)), i32x4.eq(who, me));
  const warp = v128.and(
    v128.and(i32x4.geS(who, c.warp), i32x4.gtS(c.warpEnd, who)),
    i32x4.gtS(c.warpSync, time),
  );
  return v128.or(v128.or(nobody, isOld(c, who, time)), warp);
}

/** The identity of an earlier reader and this warp together. */
function merged(c: Ordering, reader: Vec): Vec {
  const lane = laneOf(reader);
  const sameWarp = i32x4.eq(v128.andNot(reader, splat(63)), c.warp);
  const sameBlock = v128.and(inBlock(c, reader), i32x4.ne(lane, splat(34)));
  const level = v128.bitselect(
    i32x4.maxU(lane, splat(32)),
    v128.bitselect(splat(33), splat(34), sameBlock),
    sameWarp,
  );
  return i32x4.add(c.warp, level);
}
