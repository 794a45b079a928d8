import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

export type JinjaProgram = ReturnType<typeof parse>;

/** Parses a template with the white-space rules of chat templates. @throws Error on bad syntax. */
export function parseJinja(source: string): JinjaProgram {
  return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
}

/**
 * Runs a template. The library's own `render` fixes `raise_exception` and `strftime_now`, which we
 * need to tell apart and to control, so the globals of Jinja are set here.
 * @throws Error whatever the template or a function among `variables` throws.
 */
export function renderJinja(
  program: JinjaProgram,
  variables: Readonly<Record<string, unknown>>,
): string {
  const environment = new Environment();
  const globals = {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range,
    ...variables,
  };
  for (const [name, value] of Object.entries(globals)) environment.set(name, value);
  const result: unknown = new Interpreter(environment).run(program).value;
  if (typeof result !== "string") throw new Error("the template made no text");
  return result;
}

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error("range() step must not be zero");
  return Array.from(
    { length: Math.max(0, Math.ceil((to - from) / step)) },
    (_, i) => from + i * step,
  );
}
