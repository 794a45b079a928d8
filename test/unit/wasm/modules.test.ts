import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import {
  atomic32,
  atomic64,
  atomicNotify,
  call,
  callVoid,
  f64,
  i32,
  i64,
  memory as bulk,
  ModuleBuilder,
} from "../../../runtime/wasm/wasm.ts";
import { compile } from "./compile.ts";

test("loops, branches and locals compute what the same JavaScript computes", () => {
  const { collatz, sum } = compile((m) => {
    const f = m.func("collatz", ["i32"], ["i32"]);
    const n = f.param("i32", 0);
    const steps = f.local("i32");
    f.while(i32.ne(n, 1), () => {
      f.if(
        i32.and(n, 1),
        () => f.set(n, i32.add(i32.mul(n, 3), 1)),
        () => f.set(n, i32.shrU(n, 1)),
      );
      f.increment(steps, 1);
    });
    f.result(steps);

    const g = m.func("sum", ["i32"], ["f64"]);
    const at = g.local("i32");
    const total = g.let(f64.const(0));
    g.upTo(at, g.param("i32", 0), 1, () => g.set(total, f64.add(total, f64.convertI32U(at))));
    g.return(total);
  });
  expect(collatz?.(27)).toBe(111);
  expect(sum?.(0)).toBe(0);
  expect(sum?.(1000)).toBe(499500);
});

test("a branch table jumps to the label of its index and past the end to the default", () => {
  const { pick } = compile((m) => {
    const f = m.func("pick", ["i32"], ["i32"]);
    f.block((last) => {
      f.block((second) => {
        f.block((first) => {
          f.brTable(f.param("i32", 0), [first, second], last);
        });
        f.return(10);
      });
      f.return(20);
    });
    f.result(30);
  });
  expect([0, 1, 2, -1].map((value) => pick?.(value))).toEqual([10, 20, 30, 30]);
});

test("functions call imports, each other before definition, and through the table", () => {
  const seen: number[] = [];
  const exports = compile(
    (m) => {
      const log = m.importFunction("env", "log", { params: ["i32"], results: [] });
      const even = m.func("even", ["i32"], ["i32"]);
      const odd = m.func("odd", ["i32"], ["i32"]);
      for (const [self, other, atZero] of [
        [even, odd, 1],
        [odd, even, 0],
      ] as const) {
        const n = self.param("i32", 0);
        self.do(callVoid(log, n));
        self.if(i32.eqz(n), () => self.return(atZero));
        self.result(call("i32", other, i32.sub(n, 1)));
      }
      const slots = [m.tableSlot(even), m.tableSlot(odd)];
      expect(slots).toEqual([0, 1]);
      const through = m.func("through", ["i32", "i32"], ["i32"]);
      through.result(
        m.callIndirect("i32", ["i32"], through.param("i32", 0), through.param("i32", 1)),
      );
      const pair = m.func("pair", [], ["i32", "i64"], { export: false });
      pair.result(3, 4n);
      const sum = m.func("sum", [], ["i64"]);
      const small = sum.local("i32");
      const wide = sum.local("i64");
      sum.callMulti(pair, [], [small, wide]);
      sum.result(i64.add(wide, i64.extendI32S(small)));
    },
    { env: { log: (value: number) => seen.push(value) } },
  );
  expect(exports.even?.(3)).toBe(0);
  expect(seen).toEqual([3, 2, 1, 0]);
  expect(exports.through?.(1, 3)).toBe(1);
  expect(() => exports.through?.(2, 3)).toThrow();
  expect(exports.sum?.()).toBe(7n);
  expect(exports.pair).toBeUndefined();
});

test("globals keep their value between calls and data segments fill memory", () => {
  const exports = compile((m) => {
    m.defineMemory({ initial: 1 }, "memory");
    m.data(300, Uint8Array.from([9, 8, 7]));
    const counter = m.global("i32", 41);
    const next = m.func("next", [], ["i32"]);
    next.set(counter, i32.add(counter, 1));
    next.result(counter);
    const move = m.func("move", []);
    move.do(bulk.fill(0, 0x55, 10));
    move.do(bulk.copy(2, 300, 3));
    move.do(i32.store16(0, 0x1234, 100_000 - 100_000));
  });
  expect(exports.next?.()).toBe(42);
  expect(exports.next?.()).toBe(43);
  exports.move?.();
  const { buffer } = exports.memory as unknown as WebAssembly.Memory;
  expect([...new Uint8Array(buffer, 0, 6)]).toEqual([0x34, 0x12, 9, 8, 7, 0x55]);
});

test("atomic operations give the old value and store the new one", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const view = new BigInt64Array(memory.buffer);
  const names = ["add", "sub", "and", "or", "xor", "exchange"] as const;
  const exports = compile(
    (m) => {
      m.importMemory("env", "memory", { initial: 1, maximum: 1, shared: true });
      for (const name of names) {
        const f = m.func(name, ["i64"], ["i64"]);
        f.result(atomic64[name](0, f.param("i64", 0)));
        const g = m.func(`${name}8`, ["i32"], ["i32"]);
        g.result(atomic32[`${name}8U`](0, g.param("i32", 0), 8));
      }
      const swap = m.func("swap", ["i64", "i64"], ["i64"]);
      swap.result(atomic64.compareExchange(0, swap.param("i64", 0), swap.param("i64", 1)));
      m.func("wait", [], ["i32"]).result(atomic32.wait(16, 1, 1_000n));
      m.func("notify", [], ["i32"]).result(atomicNotify(16, -1));
    },
    { env: { memory } },
  );
  const a = 0x1234_5678_9abc_def0n;
  const b = 0x0f0f_0f0f_0f0f_0f0fn;
  const after = { add: a + b, sub: a - b, and: a & b, or: a | b, xor: a ^ b, exchange: b };
  for (const name of names) {
    view[0] = a;
    view[1] = a;
    expect([name, exports[name]?.(b)]).toEqual([name, a]);
    expect([name, view[0]]).toEqual([name, BigInt.asIntN(64, after[name])]);
    expect([name, exports[`${name}8`]?.(0x0f)]).toEqual([name, 0xf0]);
    expect([name, (view[1] ?? 0n) & 0xffn]).toEqual([name, after[name] & 0xffn]);
  }
  view[0] = 5n;
  expect(exports.swap?.(4n, 9n)).toBe(5n);
  expect(view[0]).toBe(5n);
  expect(exports.swap?.(5n, 9n)).toBe(5n);
  expect(view[0]).toBe(9n);
  expect(exports.wait?.()).toBe(1);
  expect(exports.notify?.()).toBe(0);
});

test("a wait in one thread ends when another notifies", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const m = new ModuleBuilder();
  m.importMemory("env", "memory", { initial: 1, maximum: 1, shared: true });
  m.func("sleep", [], ["i32"]).result(atomic32.wait(0, 0, 20_000_000_000n));
  m.func("wake", [], ["i32"]).result(atomicNotify(0, -1));
  const module = new WebAssembly.Module(m.encode());
  const worker = new Worker(
    `const { workerData, parentPort } = require("node:worker_threads");
     const { exports } = new WebAssembly.Instance(workerData.module, { env: { memory: workerData.memory } });
     parentPort.postMessage(exports.sleep());`,
    { eval: true, workerData: { module, memory } },
  );
  const woken = new Promise((resolve) => worker.once("message", resolve));
  const { wake } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const timer = setInterval(() => (wake as () => number)(), 5);
  expect(await woken).toBe(0);
  clearInterval(timer);
  await worker.terminate();
});

test("mistakes are refused while building", () => {
  const m = new ModuleBuilder();
  const f = m.func("f", ["i32"], ["i32"]);
  expect(() => f.param("f32", 0)).toThrow("parameter 0 of f is i32, not f32");
  expect(() => f.result()).toThrow("return from f takes 1 arguments, not 0");
  expect(() => f.result(f64.const(1))).toThrow("argument 0 is f64, not i32");
  expect(() => m.importMemory("env", "memory", { initial: 1 })).toThrow("after a definition");
  expect(() => i32.load(0, -1)).toThrow("unsigned 32-bit");
  f.block((label) => {
    f.loop(() => f.br(label));
  });
  let closed: Parameters<typeof f.br>[0] | undefined;
  f.block((label) => {
    closed = label;
  });
  expect(() => closed && f.br(closed)).toThrow("closed");
  f.beginBlock();
  expect(() => m.encode()).toThrow("1 blocks are still open");
});

test("a function of a million instructions is encoded and compiled", () => {
  const rounds = 250_000;
  const start = performance.now();
  const m = new ModuleBuilder();
  const f = m.func("big", ["i32"], ["i32"]);
  const x = f.param("i32", 0);
  for (let round = 0; round < rounds; round++) f.set(x, i32.add(x, round));
  f.result(x);
  const bytes = m.encode();
  expect(performance.now() - start).toBeLessThan(5_000);
  expect(WebAssembly.validate(bytes)).toBe(true);
});
