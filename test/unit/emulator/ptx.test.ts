import { describe, expect, it } from "vitest";
import { buildCfg } from "../../../runtime/emulator/analysis/cfg.ts";
import { liveAtEnd } from "../../../runtime/emulator/analysis/liveness.ts";
import { inlineCalls } from "../../../runtime/emulator/ptx/inline-calls.ts";
import { parsePtx } from "../../../runtime/emulator/ptx/parser.ts";
import type { PtxFunction, PtxModule } from "../../../runtime/emulator/ptx/ptx.ts";

const HEADER = ".version 7.8\n.target sm_80\n.address_size 64\n";

function parse(text: string): PtxModule {
  return parsePtx(HEADER + text, "test.ptx");
}

function kernel(body: string): PtxFunction {
  const module = parse(`.visible .entry k(.param .u64 k_param_0)\n{\n${body}\n}\n`);
  const fn = module.functions.get("k");
  if (fn === undefined) throw new Error("the kernel is there");
  return fn;
}

describe("parsePtx", () => {
  it("lays out parameters by their alignment", () => {
    const module = parse(
      ".visible .entry k(.param .u8 a, .param .u64 b, .param .u32 c, .param .align 16 .b8 d[20])\n{ ret; }",
    );
    expect(module.functions.get("k")?.params.map(({ offset, size }) => [offset, size])).toEqual([
      [0, 1],
      [8, 8],
      [16, 4],
      [32, 20],
    ]);
  });

  it("keeps dotted opcodes whole and reads every kind of operand", () => {
    const fn = kernel(`
      .reg .pred %p<3>; .reg .b32 %r<4>; .reg .f32 %f<2>; .reg .b64 %rd<2>;
      @!%p1 ld.global.nc.v2.u32 {%r1, %r2}, [%rd1+-16];
      shfl.sync.bfly.b32 %r1|%p2, %r2, 0x10, 31, -1;
      mov.f32 %f1, 0f3F800000;
      mov.u32 %r3, %tid.x;
      ret;`);
    expect(fn.instructions.map(({ opcode }) => opcode)).toEqual([
      "ld.global.nc.v2.u32",
      "shfl.sync.bfly.b32",
      "mov.f32",
      "mov.u32",
      "ret",
    ]);
    expect(fn.instructions[0]).toMatchObject({
      guard: { negated: true, reg: { name: "%p1" } },
      operands: [
        { kind: "vector", items: [{ kind: "reg" }, { kind: "reg" }] },
        { kind: "address", offset: -16 },
      ],
    });
    expect(fn.instructions[1]?.operands.slice(0, 4)).toMatchObject([
      { kind: "pair" },
      { kind: "reg" },
      { kind: "int", value: 16n },
      { kind: "int", value: 31n },
    ]);
    expect(fn.instructions[2]?.operands[1]).toEqual({
      kind: "float",
      width: 32,
      bits: 0x3f800000n,
    });
    expect(fn.instructions[3]?.operands[1]).toEqual({ kind: "special", name: "%tid.x" });
  });

  it("gives each scope of inline assembly labels and registers of its own", () => {
    const fn = kernel(`
      { .reg .b32 t; mov.u32 t, 1; LOOP: bra LOOP; }
      { .reg .b32 t; mov.u32 t, 2; LOOP: bra LOOP; }
      ret;`);
    const targets = fn.instructions
      .filter(({ opcode }) => opcode === "bra")
      .map(({ operands: [label] }) =>
        label?.kind === "label" ? fn.labels.get(label.name) : undefined,
      );
    expect(targets).toEqual([1, 3]);
    expect(new Set(fn.registers).size).toBe(2);
  });

  it("maps instructions to source lines, with the call an inlined one belongs to", () => {
    const module = parse(
      '.visible .entry k()\n{\n.loc 1 7 3\nmembar.gl;\n.loc 2 20 5, function_name $L__info_string0, inlined_at 1 9 3\nret;\n}\n.file 1 "a.cu"\n.file 2 "b.cuh"\n',
    );
    expect(module.functions.get("k")?.instructions.map(({ source }) => source)).toEqual([
      { file: "a.cu", line: 7 },
      { file: "b.cuh", line: 20, inlinedAt: { file: "a.cu", line: 9 } },
    ]);
  });

  it("reads initialised variables", () => {
    const module = parse(
      ".global .align 4 .u32 table[3] = {1, 0xFF, 3};\n.const .f32 x = 0f40000000;",
    );
    expect([...(module.variables.get("table")?.init ?? [])]).toEqual([
      1, 0, 0, 0, 255, 0, 0, 0, 3, 0, 0, 0,
    ]);
    expect([...(module.variables.get("x")?.init ?? [])]).toEqual([0, 0, 0, 64]);
  });

  it.each([
    ["a directive it does not know", ".nonsense;", /\.nonsense/],
    ["a label that is nowhere", ".entry k() { bra NOWHERE; }", /NOWHERE/],
    ["a body that does not end", ".entry k() { ret;", /does not parse/],
    ["a character of no token", ".entry k() { ret` }", /`/],
  ])("names the line of %s", (_name, text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: "emulator/ptx-syntax" }) as Error,
    );
  });
});

describe("inlineCalls", () => {
  const callee = `.func (.param .b32 out) twice(.param .b32 in)
{ .reg .b32 %r<3>; ld.param.u32 %r1, [in]; add.s32 %r2, %r1, %r1; st.param.b32 [out+0], %r2; ret; }`;
  const call = (name: string) =>
    `{ .param .b32 p; st.param.b32 [p+0], %r1; .param .b32 q; call.uni (q), ${name}, (p); ld.param.b32 %r2, [q+0]; }`;

  it("replaces calls by bodies and parameters by registers", () => {
    const module = parse(
      `${callee}\n.entry k() { .reg .b32 %r<3>; ${call("twice")} ${call("twice")} ret; }`,
    );
    const fn = module.functions.get("k");
    if (fn === undefined) throw new Error("the kernel is there");
    const opcodes = inlineCalls(fn, module).instructions.map(({ opcode }) => opcode);
    const body = ["mov.b32", "mov.b32", "add.s32", "mov.b32", "bra.uni", "mov.b32"];
    expect(opcodes).toEqual([...body, ...body, "ret"]);
  });

  it("refuses recursion, naming the line", () => {
    const module = parse(
      `.func (.param .b32 out) f(.param .b32 in);
.func (.param .b32 out) f(.param .b32 in) { .reg .b32 %r<3>; ${call("f")} ret; }
.entry k() { .reg .b32 %r<3>; ${call("f")} ret; }`,
    );
    const fn = module.functions.get("k");
    if (fn === undefined) throw new Error("the kernel is there");
    expect(() => inlineCalls(fn, module)).toThrow(/recursive.*PTX line 5/);
  });
});

describe("buildCfg", () => {
  it("meets again where both sides of a branch lead, and at the end when one leaves", () => {
    const fn = kernel(`
      .reg .pred %p<3>;
      @%p1 bra ELSE;
      membar.gl;
      bra JOIN;
      ELSE: membar.gl;
      JOIN: @%p2 bra OUT;
      membar.gl;
      OUT: ret;`);
    const blocks = buildCfg(fn);
    const branches = blocks.filter(({ terminator }) => terminator.kind === "branch");
    expect(branches.map(({ index, reconvergence }) => [index, reconvergence])).toEqual([
      [0, 3],
      [3, 5],
    ]);
    const early = buildCfg(kernel(".reg .pred %p<2>; @%p1 bra L; ret; L: membar.gl; ret;"));
    expect(early[0]?.reconvergence).toBe(early.length);
  });

  it("keeps registers alive around a loop and no longer than they are read", () => {
    const fn = kernel(`
      .reg .pred %p<2>; .reg .b32 %r<4>;
      mov.u32 %r1, 0;
      mov.u32 %r2, 5;
      LOOP: add.s32 %r1, %r1, %r2;
      setp.lt.s32 %p1, %r1, 100;
      @%p1 bra LOOP;
      mov.u32 %r3, %r1;
      ret;`);
    const blocks = buildCfg(fn);
    const live = liveAtEnd(blocks, fn.registers.length);
    const names = (at: number): string[] =>
      fn.registers.filter(({ id }) => live[at]?.has(id)).map(({ name }) => name);
    expect(names(0)).toEqual(["%r1", "%r2"]);
    expect(names(1)).toEqual(["%p1", "%r1", "%r2"]);
    expect(names(2)).toEqual([]);
  });
});
