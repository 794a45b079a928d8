/** How well an access fits the memory system, in WebAssembly: what access-patterns.ts counts. */
import type { Expr, Local, ModuleBuilder } from "../../wasm/wasm.ts";
import { i32, i32x4, select, v128 } from "../../wasm/wasm.ts";
import { BANK_COUNTS, BANK_WORDS } from "../layout.ts";
import { addressWord, eachLane } from "./access.ts";

const splat = (value: number) => i32x4.const(value, value, value, value);

export function addAccessPatterns(module: ModuleBuilder): void {
  sectors(module);
  banks(module);
}

/**
 * sectors(row, wide, offset, lanes, bytes): how many sectors of 32 bytes an access touches. Its
 * addresses are aligned, so that each lane touches one.
 */
function sectors(module: ModuleBuilder): void {
  const f = module.func("sectors", ["i32", "i32", "i32", "i32", "i32"], ["i32"]);
  const [row, wide, offset] = [f.param("i32", 0), f.param("i32", 1), f.param("i32", 2)];
  const count = f.local("i32");
  const last = f.local("i32");
  const sector = f.local("i32");
  const highest = f.local("i32");
  const isNew = f.local("i32");
  f.set(last, -1);
  f.set(highest, -1);
  for (let at = 0; at < 128; at += 16) {
    f.do(v128.store(i32.const(BANK_WORDS), splat(-1), at));
  }
  eachLane(f, f.param("i32", 3), (lane) => {
    f.set(sector, i32.shrU(i32.add(addressWord(row, lane, wide), offset), 5));
    f.if(i32.ne(sector, last), () => {
      f.set(last, sector);
      f.set(isNew, 1);
      f.if(
        i32.gtS(sector, highest),
        () => f.set(highest, sector),
        () => {
          // Those met before lie in a list of 32, whose free places equal no sector.
          const wanted = f.let(i32x4.splat(sector));
          const seen = f.let(splat(0));
          for (let at = 0; at < 128; at += 16) {
            const some = v128.load(i32.const(BANK_WORDS), at);
            f.set(seen, v128.or(seen, i32x4.eq(wanted, some)));
          }
          f.set(isNew, i32.eqz(v128.anyTrue(seen)));
        },
      );
      f.if(isNew, () => {
        f.do(i32.store(i32.shl(count, 2), sector, BANK_WORDS));
        f.increment(count, 1);
      });
    });
  });
  f.result(count);
}

/**
 * banks(row, wide, offset, lanes, bytes): extra passes of a shared-memory access. 32 banks of 4
 * bytes serve one word each per pass; wide accesses go in rounds of as many lanes as fill them.
 */
function banks(module: ModuleBuilder): void {
  const f = module.func("banks", ["i32", "i32", "i32", "i32", "i32"], ["i32"]);
  const [row, wide, offset] = [f.param("i32", 0), f.param("i32", 1), f.param("i32", 2)];
  const lanes = f.param("i32", 3);
  const bytes = f.param("i32", 4);
  // Aligned accesses of 8 or 16 bytes fill groups of banks, which are counted as one bank.
  const size = f.let(select(i32.ltU(bytes, 4), i32.const(4), bytes));
  const groups = f.let(i32.divU(128, size));
  const shift = f.let(i32.ctz(size));
  const [round, unit, slot, count, at, most, conflicts] = [0, 1, 2, 3, 4, 5, 6].map(() =>
    f.local("i32"),
  ) as [
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
    Local<"i32">,
  ];
  f.loop((next) => {
    for (let byte = 0; byte < 128; byte += 16) {
      f.do(v128.store(i32.const(BANK_COUNTS), splat(0), byte));
    }
    f.set(most, 1);
    const all = i32.sub(i32.shl(1, groups), 1);
    const some = select(i32.eq(groups, 32), i32.const(-1), i32.shl(all, round));
    eachLane(f, i32.and(lanes, some), (lane) => {
      f.set(unit, i32.shrU(i32.add(addressWord(row, lane, wide), offset), shift));
      const bank = i32.and(unit, i32.sub(groups, 1));
      f.set(slot, bank);
      f.set(count, i32.load(i32.shl(slot, 2), BANK_COUNTS));
      f.block((seen) => {
        // Words met before in this bank: lanes that want the same one are served together.
        f.set(at, 0);
        const list = (entry: Local<"i32">): Expr<"i32"> =>
          i32.add(i32.shl(slot, 7), i32.shl(entry, 2));
        f.upTo(at, count, 1, () => f.brIf(seen, i32.eq(i32.load(list(at), BANK_WORDS), unit)));
        f.do(i32.store(list(count), unit, BANK_WORDS));
        f.increment(count, 1);
        f.do(i32.store(i32.shl(slot, 2), count, BANK_COUNTS));
        f.set(most, select(i32.gtU(count, most), count, most));
      });
    });
    f.set(conflicts, i32.add(conflicts, i32.sub(most, 1)));
    f.set(round, i32.add(round, groups));
    f.brIf(next, i32.ltU(round, 32));
  });
  f.result(conflicts);
}
