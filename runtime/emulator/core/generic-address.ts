/** From generic and cluster-shared addresses to linear ones. */
import type { ModuleBuilder } from "../../wasm/wasm.ts";
import { call, i32, i64 } from "../../wasm/wasm.ts";
import { GLOBAL_TAG, HEADER, LOCAL_TAG, PARAM_BASE, PARAM_TAG, SHARED_TAG } from "../layout.ts";

/** What no memory reaches: the access that follows traps. */
const NOWHERE = 0xffff0000;

/**
 * A shared-window address is (rank + 1) << 24 | offset for a block of the cluster, or a plain
 * offset for the own block.
 */
export function addGenericAddresses(module: ModuleBuilder): void {
  const resolve = module.func("resolveShared", ["i32", "i32"], ["i32"]);
  {
    const f = resolve;
    const [warp, address] = [f.param("i32", 0), f.param("i32", 1)];
    const rank = f.let(i32.shrU(address, 24));
    f.if(i32.eqz(rank), () => {
      f.return(i32.add(i32.load(warp, HEADER.sharedBase), address));
    });
    const table = i32.load(warp, HEADER.clusterTable);
    const base = i32.load(i32.add(table, i32.shl(i32.sub(rank, 1), 2)));
    f.result(i32.add(base, i32.and(address, 0xffffff)));
  }
  const f = module.func("resolveGeneric", ["i32", "i32", "i64", "i32"], ["i32"]);
  const [warp, lane, stride] = [f.param("i32", 0), f.param("i32", 1), f.param("i32", 3)];
  const low = f.let(i32.wrapI64(f.param("i64", 2)));
  const tag = f.let(i32.wrapI64(i64.shrU(f.param("i64", 2), 32n)));
  f.if(i32.eq(tag, GLOBAL_TAG), () => f.return(low));
  const shared = call("i32", resolve, warp, low);
  f.if(i32.eq(tag, SHARED_TAG), () => f.return(shared));
  f.if(i32.eq(tag, LOCAL_TAG), () => {
    const base = i32.add(i32.load(warp, HEADER.localBase), i32.mul(lane, stride));
    f.return(i32.add(base, low));
  });
  f.if(i32.eq(tag, PARAM_TAG), () => f.return(i32.add(low, PARAM_BASE)));
  f.result(i32.const(NOWHERE));
}
