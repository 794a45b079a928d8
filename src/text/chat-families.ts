/**
 * Chat formats for models that ship no template of their own, as Jinja templates over `messages`,
 * `add_generation_prompt`, `bos_token` and `eos_token`. None writes the leading BOS token: the
 * encoder adds it.
 */
export interface ChatFamily {
  readonly name: string;
  readonly template: string;
  /** Tokens that only this family's vocabularies have. */
  readonly vocabularyMarks: readonly string[];
  /** Matches the model's name. */
  readonly namePattern: RegExp;
}

/** Vicuna v1.1 to v1.5 (FastChat's `vicuna_v1.1`): `USER:` and `ASSISTANT:` in one line of text. */
const VICUNA: ChatFamily = {
  name: "vicuna",
  template: `
{%- if messages[0].role != 'system' -%}
  {{- "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. " -}}
{%- endif -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{- 'USER: ' ~ message.content ~ ' ' -}}
  {%- elif message.role == 'assistant' -%}
    {{- 'ASSISTANT: ' ~ message.content ~ eos_token -}}
  {%- elif message.content -%}
    {{- message.content ~ ' ' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- 'ASSISTANT:' -}}
{%- endif -%}`,
  vocabularyMarks: [],
  namePattern: /vicuna/i,
};

/** Llama 2 chat: the system text lies inside the first instruction, each answer ends its own sequence. */
const LLAMA_2: ChatFamily = {
  name: "llama-2",
  template: `
{%- set ns = namespace(system='', turns=0) -%}
{%- for message in messages -%}
  {%- if message.role == 'system' -%}
    {%- if not loop.first -%}
      {{- raise_exception('Llama 2 takes a system message only at the beginning.') -}}
    {%- endif -%}
    {%- set ns.system = '<<SYS>>\\n' ~ message.content | trim ~ '\\n<</SYS>>\\n\\n' -%}
  {%- else -%}
    {%- if (message.role == 'user') != (ns.turns % 2 == 0) -%}
      {{- raise_exception('User and assistant messages must alternate, beginning with the user.') -}}
    {%- endif -%}
    {%- if message.role == 'user' -%}
      {%- if ns.turns -%}{{- bos_token -}}{%- endif -%}
      {{- '[INST] ' ~ ns.system ~ message.content | trim ~ ' [/INST]' -}}
      {%- set ns.system = '' -%}
    {%- else -%}
      {{- ' ' ~ message.content | trim ~ ' ' ~ eos_token -}}
    {%- endif -%}
    {%- set ns.turns = ns.turns + 1 -%}
  {%- endif -%}
{%- endfor -%}`,
  vocabularyMarks: [],
  namePattern: /llama-?2.*chat/i,
};

/** Mistral v0.1 and v0.2 instruct. There is no system role: its text goes before the first question. */
const MISTRAL: ChatFamily = {
  name: "mistral",
  template: `
{%- set ns = namespace(system='', turns=0) -%}
{%- for message in messages -%}
  {%- if message.role == 'system' -%}
    {%- if not loop.first -%}
      {{- raise_exception('Mistral takes a system message only at the beginning.') -}}
    {%- endif -%}
    {%- set ns.system = message.content ~ '\\n\\n' -%}
  {%- else -%}
    {%- if (message.role == 'user') != (ns.turns % 2 == 0) -%}
      {{- raise_exception('User and assistant messages must alternate, beginning with the user.') -}}
    {%- endif -%}
    {%- if message.role == 'user' -%}
      {{- '[INST] ' ~ ns.system ~ message.content ~ ' [/INST]' -}}
      {%- set ns.system = '' -%}
    {%- else -%}
      {{- ' ' ~ message.content | trim ~ eos_token -}}
    {%- endif -%}
    {%- set ns.turns = ns.turns + 1 -%}
  {%- endif -%}
{%- endfor -%}`,
  vocabularyMarks: ["[INST]", "[/INST]"],
  namePattern: /mi[sx]tral.*instruct/i,
};

/** Llama 3: a header with the role, a blank line, the trimmed text. */
const LLAMA_3: ChatFamily = {
  name: "llama-3",
  template: `
{%- for message in messages -%}
  {{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' ~ message.content | trim ~ '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
{%- endif -%}`,
  vocabularyMarks: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
  namePattern: /llama-?3.*instruct/i,
};

/** ChatML (Qwen, Yi, many fine-tunes), without a default system message. */
const CHATML: ChatFamily = {
  name: "chatml",
  template: `
{%- for message in messages -%}
  {{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}`,
  vocabularyMarks: ["<|im_start|>", "<|im_end|>"],
  namePattern: /chatml/i,
};

/** A base model: the messages' texts, a blank line between them; the model continues the last. */
export const PLAIN_TEMPLATE =
  "{%- for message in messages -%}{{- message.content -}}{%- if not loop.last -%}{{- '\\n\\n' -}}{%- endif -%}{%- endfor -%}";

/** In the order in which they are tried. */
export const CHAT_FAMILIES: readonly ChatFamily[] = [LLAMA_3, CHATML, MISTRAL, VICUNA, LLAMA_2];

/**
 * The family of a model by tokens that its vocabulary has (surest), else by its names.
 * `undefined` when nothing fits.
 */
export function detectChatFamily(
  hasToken: (token: string) => boolean,
  names: readonly string[],
): ChatFamily | undefined {
  return (
    CHAT_FAMILIES.find(
      ({ vocabularyMarks: marks }) => marks.length > 0 && marks.every((mark) => hasToken(mark)),
    ) ?? CHAT_FAMILIES.find(({ namePattern }) => names.some((name) => namePattern.test(name)))
  );
}
