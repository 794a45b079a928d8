import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

/** Colours are CSS variables, which follow the scheme by themselves (code.module.css). */
export const editorLook = [
  EditorView.theme({
    "&": { height: "100%", fontSize: "12px", backgroundColor: "transparent" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.5" },
    ".cm-gutters": {
      backgroundColor: "var(--mantine-color-body)",
      border: "none",
      color: "var(--code-gutter)",
      fontSize: "11px",
    },
    ".cm-activeLine": { backgroundColor: "var(--code-active)" },
    ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--mantine-color-text)" },
    ".cm-linked": {
      backgroundColor: "var(--code-linked)",
      boxShadow: "inset 3px 0 var(--mantine-primary-color-filled)",
    },
    ".cm-link-gutter": { minWidth: "30px" },
    ".cm-link-gutter .cm-gutterElement": {
      padding: "0 6px 0 2px",
      textAlign: "right",
      color: "var(--code-link)",
    },
    ".cm-selectionBackground": { backgroundColor: "var(--code-selection) !important" },
    ".cm-cursor": { borderLeftColor: "var(--mantine-color-text)" },
    ".cm-searchMatch": { backgroundColor: "var(--code-match)" },
    ".cm-panels": {
      backgroundColor: "var(--mantine-color-body)",
      color: "var(--mantine-color-text)",
      borderColor: "var(--mantine-color-default-border) !important",
    },
    ".cm-panel input, .cm-panel button": { font: "inherit" },
    ".cm-panel.cm-search": { fontSize: "12px" },
    ".cm-textfield": {
      backgroundColor: "var(--mantine-color-default)",
      borderColor: "var(--mantine-color-default-border)",
    },
    ".cm-button": {
      backgroundImage: "none",
      backgroundColor: "var(--mantine-color-default)",
      borderColor: "var(--mantine-color-default-border)",
    },
  }),
  syntaxHighlighting(
    HighlightStyle.define([
      { tag: [tags.keyword, tags.modifier, tags.controlKeyword], color: "var(--code-keyword)" },
      { tag: [tags.typeName, tags.className, tags.standard(tags.name)], color: "var(--code-type)" },
      { tag: [tags.comment, tags.lineComment], color: "var(--code-comment)", fontStyle: "italic" },
      { tag: [tags.string, tags.character], color: "var(--code-string)" },
      { tag: [tags.number, tags.bool, tags.literal], color: "var(--code-number)" },
      { tag: [tags.processingInstruction, tags.meta], color: "var(--code-meta)" },
      { tag: [tags.function(tags.variableName)], color: "var(--code-function)" },
      { tag: [tags.labelName], color: "var(--code-function)", fontWeight: "600" },
    ]),
  ),
];
