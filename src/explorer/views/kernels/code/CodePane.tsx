import { defaultKeymap } from "@codemirror/commands";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import {
  type Extension,
  RangeSetBuilder,
  StateEffect,
  StateField,
  type Text,
} from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  GutterMarker,
  gutter,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import CodeMirror from "@uiw/react-codemirror";
import { useEffect, useMemo, useRef, useState } from "react";
import { editorLook } from "./editor-look.ts";

export interface CodePaneProps {
  readonly text: string;
  /** Number of the first line; default 1. */
  readonly firstLine?: number;
  readonly language: Extension;
  readonly label: string;
  /** Lines to mark, ascending. */
  readonly marked: readonly number[];
  /** Whether the first marked line is brought into view. */
  readonly reveal: boolean;
  /** Whether long lines go on in the next row. */
  readonly wrap?: boolean;
  /** Line the cursor is put on at first. */
  readonly cursor?: number | undefined;
  /** Beside a line's number: how it is linked; undefined for nothing. */
  readonly noteOf: (line: number) => string | undefined;
  /** The reader put the cursor on a line. */
  readonly onLine: (line: number) => void;
}

const setMarks = StateEffect.define<readonly number[]>();
const linkedLine = Decoration.line({ class: "cm-linked" });

const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(value, { effects, newDoc }) {
    const change = effects.find((effect) => effect.is(setMarks));
    return change === undefined ? value : decorate(change.value, newDoc);
  },
  provide: (field) => EditorView.decorations.from(field),
});

function decorate(lines: readonly number[], doc: Text): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const line of lines) {
    if (line < 1 || line > doc.lines) continue;
    const { from } = doc.line(line);
    builder.add(from, from, linkedLine);
  }
  return builder.finish();
}

class Note extends GutterMarker {
  readonly text: string;
  constructor(text: string) {
    super();
    this.text = text;
  }
  override eq(other: Note): boolean {
    return other.text === this.text;
  }
  override toDOM(): Node {
    return document.createTextNode(this.text);
  }
}

const widest = new Note("9999");

/** Read-only code with search, whose lines are linked to those of another pane. */
export function CodePane(props: CodePaneProps) {
  const { text, firstLine = 1, language, label, marked, reveal, wrap = false } = props;
  const { noteOf, cursor } = props;
  const [view, setView] = useState<EditorView>();
  const onLine = useRef(props.onLine);
  onLine.current = props.onLine;
  const extensions = useMemo(
    () => [
      language,
      lineNumbers({ formatNumber: (line) => `${line + firstLine - 1}` }),
      gutter({
        class: "cm-link-gutter",
        lineMarker: (editor, block) => {
          const note = noteOf(editor.state.doc.lineAt(block.from).number + firstLine - 1);
          return note === undefined ? null : new Note(note);
        },
        initialSpacer: () => widest,
      }),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      highlightSelectionMatches(),
      drawSelection(),
      search({ top: true }),
      keymap.of([...defaultKeymap, ...searchKeymap]),
      marks,
      editorLook,
      wrap ? EditorView.lineWrapping : [],
      EditorView.contentAttributes.of({ "aria-label": label }),
      EditorView.updateListener.of(({ selectionSet, transactions, state }) => {
        if (!selectionSet || !transactions.some((own) => own.isUserEvent("select"))) return;
        onLine.current(state.doc.lineAt(state.selection.main.head).number + firstLine - 1);
      }),
    ],
    [language, firstLine, label, noteOf, wrap],
  );
  useEffect(() => {
    if (view === undefined) return;
    const lines = marked.map((line) => line - firstLine + 1);
    const effects: StateEffect<unknown>[] = [setMarks.of(lines)];
    const [first = 0] = lines;
    if (reveal && first >= 1 && first <= view.state.doc.lines) {
      const { from } = view.state.doc.line(first);
      effects.push(EditorView.scrollIntoView(from, { y: "center" }));
    }
    view.dispatch({ effects });
  }, [view, marked, reveal, firstLine]);
  useEffect(() => {
    if (view === undefined || cursor === undefined) return;
    const line = cursor - firstLine + 1;
    if (line < 1 || line > view.state.doc.lines) return;
    const { from } = view.state.doc.line(line);
    view.dispatch({
      selection: { anchor: from },
      effects: EditorView.scrollIntoView(from, { y: "center" }),
    });
  }, [view, cursor, firstLine]);
  return (
    <CodeMirror
      value={text}
      extensions={extensions}
      basicSetup={false}
      readOnly
      theme="none"
      height="100%"
      style={{ height: "100%" }}
      onCreateEditor={setView}
    />
  );
}
