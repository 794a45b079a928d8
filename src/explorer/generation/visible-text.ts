import type { RecordedGeneration } from "../../inspection/recorded-generation.ts";

const signs: Readonly<Record<string, string>> = {
  " ": "·",
  "\n": "⏎",
  "\t": "⇥",
  "\u00a0": "⍽",
  "\u007f": "␡",
};

/** Text in which every character can be seen: spaces, line ends and what else has no shape. */
export function visibleText(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}]/gu,
    (character) => signs[character] ?? otherSign(character.codePointAt(0) ?? 0),
  );
}

/** A control picture where Unicode has one, else the number. */
function otherSign(code: number): string {
  return code < 0x20 ? String.fromCodePoint(0x2400 + code) : `⟨${code.toString(16).toUpperCase()}⟩`;
}

/** A token as it can be shown by itself: its text made visible, or its number where it has none. */
export function tokenLabel({ texts }: RecordedGeneration, token: number | undefined): string {
  if (token === undefined) return "";
  const text = texts[String(token)] ?? "";
  return text === "" ? `#${token}` : visibleText(text);
}

/** The label cut to so many columns of a monospaced font; wide characters take two. */
export function shortLabel(label: string, columns: number): string {
  let width = 0;
  let kept = "";
  for (const character of label) {
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f000}-\u{3fffd}]/u.test(
        character,
      )
        ? 2
        : 1;
    if (width > columns) return `${cutLast(kept)}…`;
    kept += character;
  }
  return label;
}

const cutLast = (text: string): string => [...text].slice(0, -1).join("");
