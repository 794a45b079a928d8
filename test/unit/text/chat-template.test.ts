import { describe, expect, it } from "vitest";
import { CHAT_FAMILIES } from "../../../src/text/chat-families.ts";
import {
  builtInChatTemplate,
  ChatTemplate,
  loadChatTemplate,
} from "../../../src/text/chat-template.ts";
import type { Message } from "../../../src/text/message.ts";
import { strftime } from "../../../src/text/strftime.ts";
import { loadTokenizer } from "../../../src/text/load-tokenizer.ts";
import { byteLevelJson, modelFolder } from "./model-folder.ts";
import { llamaModel, sentencePieceBytes } from "./small-sentencepiece.ts";

const say = (...turns: [Message["role"], string][]): Message[] =>
  turns.map(([role, content]) => ({ role, content }));
const CHAT = say(["system", "Be brief."], ["user", "Hi"], ["assistant", "Hello!"], ["user", "Bye"]);
const TOKENS = { bosToken: "<s>", eosToken: "</s>" };
const builtIn = (name: string) =>
  builtInChatTemplate(CHAT_FAMILIES.find((family) => family.name === name));

describe("built-in chat formats", () => {
  it("writes Vicuna v1.1", () => {
    const vicuna = builtIn("vicuna");
    expect(vicuna.render(CHAT, TOKENS)).toBe(
      "Be brief. USER: Hi ASSISTANT: Hello!</s>USER: Bye ASSISTANT:",
    );
    expect(vicuna.render(say(["user", "Hi"]), TOKENS)).toBe(
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. USER: Hi ASSISTANT:",
    );
  });

  it("writes Llama 2 chat", () => {
    expect(builtIn("llama-2").render(CHAT, TOKENS)).toBe(
      "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] Bye [/INST]",
    );
  });

  it("writes Llama 3, with and without the beginning of an answer", () => {
    const turn = (role: string, text: string) =>
      `<|start_header_id|>${role}<|end_header_id|>\n\n${text}`;
    const asked = `${turn("user", "Hi")}<|eot_id|>`;
    const llama3 = builtIn("llama-3");
    expect(llama3.render(say(["user", " Hi\n"]), TOKENS)).toBe(asked + turn("assistant", ""));
    expect(llama3.render(say(["user", "Hi"]), { addGenerationPrompt: false })).toBe(asked);
    expect(llama3.stopTokens).toEqual(["<|eot_id|>"]);
  });

  it("writes ChatML and Mistral", () => {
    expect(builtIn("chatml").render(CHAT, TOKENS)).toBe(
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
    );
    expect(builtIn("mistral").render(CHAT, TOKENS)).toBe(
      "[INST] Be brief.\n\nHi [/INST] Hello!</s>[INST] Bye [/INST]",
    );
  });

  it("refuses what a format cannot say", () => {
    for (const name of ["llama-2", "mistral"]) {
      expect(() => builtIn(name).render(say(["user", "a"], ["user", "b"]))).toThrow(
        /must alternate/,
      );
      expect(() => builtIn(name).render(say(["user", "a"], ["system", "b"]))).toThrow(
        /only at the beginning/,
      );
    }
  });

  it("joins the messages of a base model by blank lines and says that it is plain", () => {
    const plain = builtInChatTemplate(undefined);
    expect(plain.plain).toBe(true);
    expect(plain.render(CHAT, TOKENS)).toBe("Be brief.\n\nHi\n\nHello!\n\nBye");
  });
});

describe("ChatTemplate", () => {
  it("rejects roles and contents that do not exist, by the message's number", () => {
    const template = builtInChatTemplate(undefined);
    const tool = [{ role: "tool", content: "x" }] as unknown as Message[];
    expect(() => template.render(tool)).toThrow(/role of message 0 is "tool"/);
    const image = [CHAT[0], { role: "user", content: [] }] as unknown as Message[];
    expect(() => template.render(image)).toThrow(/content of message 1 is not a string/);
    expect(() => template.render([])).toThrow(/no messages/);
  });

  it("tells a template's own refusal from a broken template, naming the file", () => {
    const refusing = new ChatTemplate(
      "{{ raise_exception('No system role.') }}",
      "file",
      "dir/x.jinja",
    );
    expect(() => refusing.render(CHAT)).toThrow(
      expect.objectContaining({
        code: "chat-template/refused",
        message: expect.stringContaining("No system role."),
        path: "dir/x.jinja",
      }),
    );
    expect(() => new ChatTemplate("{% for x %}", "file", "dir/x.jinja")).toThrow(
      expect.objectContaining({ code: "chat-template/broken", path: "dir/x.jinja" }),
    );
    const calling = new ChatTemplate("{{ messages.nothing() }}", "file", "dir/x.jinja");
    expect(() => calling.render(CHAT)).toThrow(
      expect.objectContaining({ code: "chat-template/broken" }),
    );
  });

  it("gives templates the clock, ranges and the absent tools", () => {
    const source =
      "{{ strftime_now('%d %b %Y') }}{% if tools is none %} no tools{% endif %}{% for i in range(1, 6, 2) %} {{ i }}{% endfor %}";
    const now = new Date(2024, 6, 9, 15, 4, 5);
    expect(new ChatTemplate(source, "file", "x").render(CHAT, { now })).toBe(
      "09 Jul 2024 no tools 1 3 5",
    );
  });

  it("handles the constructs of real templates: slices, namespaces, filters, macros, tojson", () => {
    const source = `{% macro turn(m) %}{{ m.role | upper }}={{ m.content | trim | tojson }};{% endmacro %}
{%- set ns = namespace(n=0) -%}
{%- if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif -%}
{%- for m in rest if m.role != 'assistant' -%}
{%- set ns.n = ns.n + 1 -%}{{ turn(m) }}
{%- endfor -%}
{{ ns.n }}{{ rest | length }}`;
    expect(new ChatTemplate(source, "file", "x").render(CHAT)).toBe('USER="Hi";USER="Bye";23');
  });
});

describe("loadChatTemplate", () => {
  it("takes the template file, else the configuration's, else the default of a list", async () => {
    const config = { "tokenizer_config.json": { chat_template: "config" } };
    const both = await loadChatTemplate(
      await modelFolder({ ...config, "chat_template.jinja": "file" }),
    );
    expect(both.render(CHAT)).toBe("file");
    expect((await loadChatTemplate(await modelFolder(config))).render(CHAT)).toBe("config");
    const chat_template = [
      { name: "tool_use", template: "tools" },
      { name: "default", template: "default" },
    ];
    const listed = await loadChatTemplate(
      await modelFolder({ "tokenizer_config.json": { chat_template } }),
    );
    expect(listed.render(CHAT)).toBe("default");
    expect(listed.plain).toBe(false);
  });

  it("rejects a template of the wrong kind, naming file and field", async () => {
    const dir = await modelFolder({ "tokenizer_config.json": { chat_template: 7 } });
    await expect(loadChatTemplate(dir)).rejects.toThrow(/chat_template must be a string or a list/);
  });

  it("tells a format by the vocabulary first, then by the model's names", async () => {
    const dir = await modelFolder({
      "tokenizer.json": byteLevelJson([], ["<|im_start|>", "<|im_end|>"]),
      "config.json": { _name_or_path: "lmsys/vicuna-7b-v1.3" },
    });
    const tokenizer = await loadTokenizer(dir);
    if (tokenizer === undefined) throw new Error("no tokenizer");
    expect((await loadChatTemplate(dir, { tokenizer })).name).toBe("chatml");
    expect((await loadChatTemplate(dir)).name).toBe("vicuna");
    const bare = await modelFolder({});
    expect((await loadChatTemplate(bare, { names: ["meta-llama/Llama-2-7b-chat-hf"] })).name).toBe(
      "llama-2",
    );
    expect(
      (await loadChatTemplate(bare, { names: ["mistralai/Mixtral-8x7B-Instruct-v0.1"] })).name,
    ).toBe("mistral");
    expect((await loadChatTemplate(bare, { names: ["meta-llama/Llama-2-7b"] })).plain).toBe(true);
  });

  it("makes prompts with exactly one BOS, whoever writes it", async () => {
    const files = { "tokenizer.model": sentencePieceBytes(llamaModel(["▁"])) };
    const tokenizer = await loadTokenizer(await modelFolder(files));
    if (tokenizer === undefined) throw new Error("no tokenizer");
    const count = (template: ChatTemplate) =>
      template.encode(tokenizer, say(["user", "Hi"])).filter((id) => id === 1).length;
    const fromFile = (source: string) => new ChatTemplate(source, "file", "x");
    expect(count(builtIn("vicuna"))).toBe(1);
    expect(count(builtInChatTemplate(undefined))).toBe(1);
    expect(count(fromFile("{{ bos_token }}{{ messages[0].content }}"))).toBe(1);
    expect(count(fromFile("{{ messages[0].content }}"))).toBe(0);
    expect(builtIn("vicuna").encode(tokenizer, say(["user", "Hi"]))).toEqual(
      tokenizer.encode(builtIn("vicuna").render(say(["user", "Hi"])), { bos: true }),
    );
  });
});

describe("strftime", () => {
  it("writes Python's directives in English", () => {
    const date = new Date(2026, 0, 4, 0, 5, 9);
    expect(strftime(date, "%Y-%m-%d %y %B %b %A %a %H:%M:%S %I %p %% %Q")).toBe(
      "2026-01-04 26 January Jan Sunday Sun 00:05:09 12 AM % %Q",
    );
  });
});
