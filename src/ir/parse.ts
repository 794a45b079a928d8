import { HydrantError } from "../util/errors.ts";
import { isDType } from "./dtype.ts";
import type { Graph, Node, Source, ValueId } from "./graph.ts";
import { isOpName } from "./op.ts";
import type { Dim, TensorType } from "./shape.ts";

/**
 * Reads the text form of a graph (see `printGraph`). Says nothing about types: run `verifyGraph`.
 * @throws HydrantError `ir/parse` with the line number.
 */
export function parseGraph(text: string): Graph {
  const sources: Source[] = [];
  const nodes: Node[] = [];
  const types: TensorType[] = [];
  const outputs: { name: string; value: ValueId }[] = [];
  const updates: { state: string; value: ValueId }[] = [];
  let name: string | undefined;

  for (const [index, raw] of text.split("\n").entries()) {
    const line = new LineReader(raw, index + 1);
    if (line.done()) continue;
    if (name === undefined) {
      line.expect("graph");
      name = line.match(/\S+/y, "a graph name");
    } else if (line.accept("output")) {
      const output = line.string();
      line.expect("=");
      outputs.push({ name: output, value: line.reference() });
    } else if (line.accept("update")) {
      const state = line.string();
      line.expect("=");
      updates.push({ state, value: line.reference() });
    } else {
      const results = line.references();
      line.expect("=");
      const word = line.match(/[a-z_0-9]+/y, "an op");
      if (word === "parameter" || word === "input" || word === "state") {
        const source: Source = { kind: word, name: line.string(), value: results[0] ?? 0 };
        line.expect(":");
        types[source.value] = line.type();
        sources.push(source);
      } else {
        if (!isOpName(word)) throw line.error(`there is no op "${word}"`);
        const operands = line.references();
        const attributes = line.attributes();
        line.expect(":");
        for (const [position, result] of results.entries()) {
          if (position > 0) line.expect(",");
          types[result] = line.type();
        }
        nodes.push({ op: word, attributes, operands, results, label: line.label() } as Node);
      }
    }
    line.finish();
  }
  if (name === undefined) throw new HydrantError("ir/parse", "The text holds no graph.");
  return { name, sources, nodes, types, outputs, updates };
}

class LineReader {
  readonly #text: string;
  readonly #number: number;
  #at = 0;

  constructor(text: string, number: number) {
    this.#text = text;
    this.#number = number;
  }

  done(): boolean {
    this.#skipSpace();
    return this.#at >= this.#text.length;
  }

  finish(): void {
    if (!this.done()) throw this.error(`unexpected "${this.#text.slice(this.#at)}"`);
  }

  accept(token: string): boolean {
    this.#skipSpace();
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  expect(token: string): void {
    if (!this.accept(token)) throw this.error(`expected "${token}" at column ${this.#at + 1}`);
  }

  match(pattern: RegExp, what: string): string {
    this.#skipSpace();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) throw this.error(`expected ${what} at column ${this.#at + 1}`);
    this.#at = pattern.lastIndex;
    return found[0];
  }

  string(): string {
    return JSON.parse(this.match(/"(?:[^"\\]|\\.)*"/y, "a string")) as string;
  }

  reference(): ValueId {
    return Number(this.match(/%\d+/y, "a value").slice(1));
  }

  references(): ValueId[] {
    this.#skipSpace();
    if (this.#text[this.#at] !== "%") return [];
    const values = [this.reference()];
    while (this.accept(",")) values.push(this.reference());
    return values;
  }

  type(): TensorType {
    const dtype = this.match(/[a-z0-9]+/y, "a dtype");
    if (!isDType(dtype)) throw this.error(`there is no dtype "${dtype}"`);
    this.expect("[");
    const shape: Dim[] = [];
    while (!this.accept("]")) {
      if (shape.length > 0) this.expect(",");
      const dim = this.match(/\d+|[a-z_]+/y, "a dimension");
      shape.push(/^\d/.test(dim) ? Number(dim) : dim);
    }
    return { dtype, shape };
  }

  attributes(): object {
    const attributes: Record<string, unknown> = {};
    if (!this.accept("{")) return attributes;
    while (!this.accept("}")) {
      if (Object.keys(attributes).length > 0) this.expect(",");
      const key = this.match(/[A-Za-z]+/y, "an attribute");
      this.expect(":");
      attributes[key] = JSON.parse(this.match(/"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,}\s]+/y, "a value"));
    }
    return attributes;
  }

  label(): string | undefined {
    if (!this.accept("#")) return undefined;
    return this.match(/.*\S/y, "a label");
  }

  error(message: string): HydrantError {
    return new HydrantError("ir/parse", `Line ${this.#number}: ${message}.`);
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === " ") this.#at++;
  }
}
