import { describe, expect, it } from "vitest";
import { linkSass } from "../../../../src/api/inspect/disassemble.ts";
import { flattenCuda } from "../../../../src/api/inspect/flatten-cuda.ts";
import { linkPtx } from "../../../../src/api/inspect/ptx-lines.ts";

describe("flattened CUDA", () => {
  const headers = {
    "a.cuh": '// A.\n#pragma once\n#include "b.cuh"\n\nint a();\n',
    "b.cuh": "#pragma once\nint b();\n",
    "all.cuh": '// Both.\n#pragma once\n#include "a.cuh"\n#include "b.cuh"\n',
  };

  it("has every header once, what is included before who includes it, and the kernel last", () => {
    const source = '// What it does.\n#include "all.cuh"\n#include "b.cuh"\n\nvoid kernel() {}\n';
    const flat = flattenCuda({ entry: "kernel", source }, headers);
    expect(flat.replace(/-{4,}$/gm, "----")).toBe(`\
// kernel, with all it includes. The generated part is the last.

// ---- b.cuh ----
int b();

// ---- a.cuh ----
// A.

int a();

// ---- generated ----
// What it does.

void kernel() {}
`);
  });

  it("leaves what is not one of our headers for the compiler to complain about", () => {
    const flat = flattenCuda({ entry: "k", source: '#include "other.cuh"\nint x;\n' }, headers);
    expect(flat).toContain('#include "other.cuh"');
  });
});

describe("lines of PTX", () => {
  const ptx = `.version 9.0
.visible .entry k(
	.param .u64 k_param_0
)
{
	.reg .b32 	%r<2>;
	.loc	1 7 0

	mov.u32 	%r1, %tid.x;
	.loc	1 3 10, function_name $L__info_string0, inlined_at 1 8 3
	@%p1 bra 	$L__BB0_2;

$L__BB0_1:
	{ cvt.rn.bf16.f32 %rs1, %f1; }
	.loc	1 9 1
	ret;

$L__BB0_2:
	// begin inline asm
	cp.async.wait_group 0;
}
	.file	1 "/tmp/k.cu"
	.section	.debug_str
	{
$L__info_string0:
.b8 95,0
	}
`;

  it("are linked to the innermost line, and the line table is gone", () => {
    const { text, lines } = linkPtx(ptx);
    expect(text).not.toMatch(/\.loc|\.file|debug|\.b8/);
    const linked = text.split("\n").map((row, at) => [row.trim(), lines[at]]);
    expect(linked).toContainEqual(["mov.u32 	%r1, %tid.x;", 7]);
    expect(linked).toContainEqual(["@%p1 bra 	$L__BB0_2;", 3]);
    expect(linked).toContainEqual(["$L__BB0_1:", 0]);
    expect(linked).toContainEqual(["{ cvt.rn.bf16.f32 %rs1, %f1; }", 3]);
    expect(linked).toContainEqual(["ret;", 9]);
    expect(linked).toContainEqual(["// begin inline asm", 0]);
    expect(linked).toContainEqual(["cp.async.wait_group 0;", 9]);
    expect(linked).toContainEqual([".reg .b32 	%r<2>;", 0]);
  });

  it("are as many as the lines of the text", () => {
    const { text, lines } = linkPtx(ptx);
    expect(lines).toHaveLength(text.trimEnd().split("\n").length);
  });

  it("start from nothing in every function", () => {
    const second = `${ptx.slice(0, ptx.indexOf("\t.file"))}.visible .entry l()\n{\n	ret;\n}\n`;
    const { text, lines } = linkPtx(second);
    expect(lines[text.trimEnd().split("\n").length - 2]).toBe(0);
  });
});

describe("lines of machine code", () => {
  const printed = `	.headerflags	@"EF_CUDA_SM90"

//--------------------- .text.other               --------------------------
.text.other:
        /*0000*/                   NOP ;
//--------------------- .text.k                   --------------------------
	.section	.text.k,"ax",@progbits
        .global         k
k:
.text.k:
	//## File "/tmp/k.cu", line 12
        /*0000*/                   LDC R1, c[0x0][0x28] ;
	//## File "/tmp/k.cu", line 3 inlined at "/tmp/k.cu", line 13
	//## File "/tmp/k.cu", line 13
        /*0010*/                   S2R R5, SR_TID.X ;
        /*0020*/               @P0 BRA \`(.L_x_0) ;
.L_x_0:
	//## File "/tmp/k.cu", line 14
        /*0030*/                   EXIT ;
`;

  it("are linked to the innermost line, of the kernel alone", () => {
    const { text, lines } = linkSass(printed, "k");
    expect(text).not.toMatch(/##|NOP|section|global/);
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((row) => row.trim().slice(0, 8)),
    ).toEqual(["k:", "/*0000*/", "/*0010*/", "/*0020*/", ".L_x_0:", "/*0030*/"]);
    expect(lines).toEqual([0, 12, 3, 3, 0, 14]);
  });
});
