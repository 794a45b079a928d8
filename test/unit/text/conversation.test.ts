import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCommand } from "../../../src/text/chat-command.ts";
import { Conversation } from "../../../src/text/conversation.ts";
import {
  formatConversation,
  loadConversation,
  parseConversation,
  saveConversation,
} from "../../../src/text/conversation-file.ts";
import { InputAssembler } from "../../../src/text/input-assembler.ts";

function talk(system?: string): Conversation {
  const conversation = new Conversation(system);
  conversation.addUser("one");
  conversation.addAssistant(" first \n");
  conversation.addUser("two");
  return conversation;
}
const contents = (conversation: Conversation) =>
  conversation.messages.map((message) => message.content);

describe("Conversation", () => {
  it("keeps the turns, trims answers, and replaces a question that got no answer", () => {
    const conversation = talk("sys");
    expect(conversation.messages[0]).toEqual({ role: "system", content: "sys" });
    expect(contents(conversation)).toEqual(["sys", "one", "first", "two"]);
    conversation.addUser("three");
    expect(contents(conversation)).toEqual(["sys", "one", "first", "three"]);
  });

  it("removes the last exchange, answered or not, until nothing is left", () => {
    const conversation = talk();
    expect(conversation.removeLastExchange()).toBe(true);
    expect(contents(conversation)).toEqual(["one", "first"]);
    expect(conversation.removeLastExchange()).toBe(true);
    expect(contents(conversation)).toEqual([]);
    expect(conversation.removeLastExchange()).toBe(false);
  });

  it("takes back the last answer for another try", () => {
    const conversation = talk();
    conversation.addAssistant("second");
    expect(conversation.prepareRegeneration()).toBe(true);
    expect(contents(conversation)).toEqual(["one", "first", "two"]);
    expect(conversation.awaitsAnswer).toBe(true);
    expect(conversation.prepareRegeneration()).toBe(true);
    expect(new Conversation("sys").prepareRegeneration()).toBe(false);
  });

  it("keeps the system message through a reset", () => {
    const conversation = talk("sys");
    conversation.reset();
    expect(contents(conversation)).toEqual(["sys"]);
  });
});

describe("saved conversations", () => {
  it("come back as they were", async () => {
    const path = join(await mkdtemp(join(tmpdir(), "hydrant-talk-")), "talk.json");
    await saveConversation(talk("sys"), path);
    expect((await loadConversation(path)).messages).toEqual(talk("sys").messages);
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" }), { maxLength: 6 }), (texts) => {
        const conversation = new Conversation();
        for (const [i, text] of texts.entries()) {
          if (i % 2 === 0) conversation.addUser(text);
          else conversation.addAssistant(text);
        }
        expect(parseConversation(formatConversation(conversation), "x").messages).toEqual(
          conversation.messages,
        );
      }),
      { seed: 6, numRuns: 100 },
    );
  });

  it("load from FastChat's and Hydra's files, without the examples and the unspoken turn", () => {
    const file = {
      template_name: "vicuna_v1.1",
      system_message: "sys",
      roles: ["USER", "ASSISTANT"],
      messages: [
        ["USER", "example"],
        ["ASSISTANT", "example"],
        ["USER", "hi"],
        ["ASSISTANT", null],
      ],
      offset: 2,
    };
    expect(parseConversation(JSON.stringify(file), "x").messages).toEqual([
      { role: "system", content: "sys" },
      { role: "user", content: "hi" },
    ]);
  });

  it("say what is wrong with a file", async () => {
    const head = { format: "hydrant-conversation", version: 1 };
    const user = { role: "user", content: "a" };
    const wrong: [unknown, RegExp][] = [
      [{ messages: [] }, /not a saved conversation/],
      [{ ...head, version: 2, messages: [] }, /format version 2/],
      [{ ...head, messages: "none" }, /not a list/],
      [{ ...head, messages: [user, user] }, /Turn 1 is the user's/],
      [{ ...head, messages: [user, { role: "system", content: "" }] }, /Turn 1 is the system's/],
      [{ ...head, messages: [{ role: "robot", content: "" }] }, /role of message 0 is "robot"/],
    ];
    for (const [file, message] of wrong) {
      expect(() => parseConversation(JSON.stringify(file), "talk.json")).toThrow(
        expect.objectContaining({
          message: expect.stringMatching(message),
          path: expect.stringContaining("talk.json"),
        }),
      );
    }
    expect(() => parseConversation("{", "talk.json")).toThrow(/not valid JSON/);
    await expect(loadConversation("/no/such/talk.json")).rejects.toMatchObject({
      code: "conversation/unreadable",
    });
    await expect(saveConversation(new Conversation(), "/no/such/talk.json")).rejects.toMatchObject({
      code: "conversation/unwritable",
    });
  });
});

describe("parseCommand", () => {
  it("knows the words of Hydra's command line", () => {
    expect(parseCommand("!!exit")).toEqual({ kind: "exit" });
    expect(parseCommand("")).toEqual({ kind: "exit" });
    expect(parseCommand(" !!reset ")).toEqual({ kind: "reset" });
    expect(parseCommand("!!remove")).toEqual({ kind: "remove" });
    expect(parseCommand("!!regen")).toEqual({ kind: "regen" });
    expect(parseCommand("!!save my talk.json")).toEqual({ kind: "save", file: "my talk.json" });
    expect(parseCommand("!!load old")).toEqual({ kind: "load", file: "old.json" });
    expect(parseCommand("!!save dir.d/talk")).toEqual({ kind: "save", file: "dir.d/talk.json" });
  });

  it("leaves ordinary text alone and explains mistakes", () => {
    expect(parseCommand("hello !!exit")).toBeUndefined();
    expect(parseCommand("!important")).toBeUndefined();
    expect(parseCommand("!!save")).toEqual({
      kind: "mistake",
      message: "usage: !!save <filename>",
    });
    expect(parseCommand("!!reset now")).toEqual({
      kind: "mistake",
      message: "!!reset takes no argument.",
    });
    expect(parseCommand("!!quit")).toMatchObject({
      kind: "mistake",
      message: expect.stringContaining("!!exit"),
    });
  });
});

describe("InputAssembler", () => {
  const run = (...lines: string[]) => {
    const input = new InputAssembler();
    return lines
      .map((line) => input.push(line))
      .map((r) => (r.kind === "complete" ? r.text : undefined));
  };

  it("takes a line as a message, joins lines that end in a backslash, and whole blocks", () => {
    expect(run("hi")).toEqual(["hi"]);
    expect(run("a\\", "b\\", "c", "d")).toEqual([undefined, undefined, "a\nb\nc", "d"]);
    expect(run('"""', "x\\", "", "!!exit", '"""')).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      "x\\\n\n!!exit",
    ]);
  });

  it("forgets an unfinished message on reset", () => {
    const input = new InputAssembler();
    input.push('"""');
    input.push("x");
    expect(input.pending).toBe(true);
    input.reset();
    expect(input.pending).toBe(false);
    expect(input.push("y")).toEqual({ kind: "complete", text: "y" });
  });
});
