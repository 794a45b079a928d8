import { StreamLanguage } from "@codemirror/language";

interface State {
  comment: boolean;
  /** An opcode may come: nothing but labels, predicates and addresses stood on the line so far. */
  start: boolean;
}

/** PTX and SASS, near enough for colours: what a token is shows in its first characters. */
export const assemblyLanguage = StreamLanguage.define<State>({
  name: "assembly",
  startState: () => ({ comment: false, start: true }),
  token(stream, state) {
    if (stream.sol()) state.start = true;
    if (state.comment) {
      state.comment = !stream.match(/.*?\*\//);
      if (state.comment) stream.skipToEnd();
      return "comment";
    }
    if (stream.eatSpace()) return null;
    if (stream.match("//")) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match("/*")) {
      state.comment = !stream.match(/.*?\*\//);
      if (state.comment) stream.skipToEnd();
      return "comment";
    }
    if (stream.match(/"[^"]*"/)) return "string";
    if (stream.match(/[$.\w]+:/)) return "labelName";
    if (stream.match(/@!?(%p\d+|U?P[T\d]+)/)) return "modifier";
    if (stream.match(/%\w+(\.[xyzw])?/) || stream.match(/\b(UR|U?P|R|SR_)[A-Z\d]+\b/))
      return "variableName";
    if (stream.match(/-?0[xXfFdD][\da-fA-F]+/) || stream.match(/-?\d+(\.\d+)?/)) return "number";
    if (stream.match(/\.[a-z_]\w*/)) return "typeName";
    if (stream.match(/[A-Za-z_$][\w$]*(\.[\w:]+)*/)) {
      const opcode = state.start;
      state.start = false;
      return opcode ? "keyword" : "name";
    }
    if (stream.next() === ";") state.start = true;
    return null;
  },
});
