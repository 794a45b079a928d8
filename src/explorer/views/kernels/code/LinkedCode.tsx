import { cppLanguage } from "@codemirror/lang-cpp";
import { SegmentedControl, Tooltip } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import type { KernelTexts } from "../../../../inspection/stored-page.ts";
import { setParams, usePlace } from "../../../app/place.ts";
import { useProgram } from "../../../data/page-context.ts";
import { generatedRange } from "../../../model/generated-block.ts";
import { lineLinks } from "../../../model/line-links.ts";
import { assemblyLanguage } from "./assembly-language.ts";
import { CodePane } from "./CodePane.tsx";
import classes from "./code.module.css";

const noLines: readonly number[] = [];

/** A line of CUDA, and the pane in which the reader chose it. */
interface LinkedLine {
  readonly source: number;
  readonly from: "cuda" | "code";
}

/** A kernel's CUDA beside its machine code, each line linked to what it became or came from. */
export function LinkedCode({ texts }: { readonly texts: KernelTexts }) {
  const { params } = usePlace();
  const { noSass } = useProgram();
  const [start] = useState(() => Number(params.get("line")) || undefined);
  const [line, setLine] = useState<LinkedLine | undefined>(
    start === undefined ? undefined : { source: start, from: "cuda" },
  );
  const range = useMemo(() => generatedRange(texts.cuda, texts.generated), [texts]);
  // A line of a header has a place in the whole file only.
  const showWhole =
    params.get("file") === "whole" ||
    range === undefined ||
    (line !== undefined && (line.source < range.first || line.source > range.last));
  const sass = params.get("code") === "sass" && texts.sass !== undefined;
  const code = sass ? texts.sass : texts.ptx;
  const links = useMemo(
    () => lineLinks((sass ? texts.sassLines : texts.ptxLines) ?? noLines),
    [texts, sass],
  );
  const notes = useMemo(
    () => ({
      cuda: (number: number) => {
        const { length } = links.codeOf(number);
        return length === 0 ? undefined : `${length}`;
      },
      code: (number: number) => links.sourceOf(number)?.toString(),
    }),
    [links],
  );
  // Browsers slow down pages that change their address at every key.
  useEffect(() => {
    if (line === undefined) return;
    const timer = setTimeout(() => setParams({ line: `${line.source}` }), 300);
    return () => clearTimeout(timer);
  }, [line]);
  // What stands before the entry is declarations.
  const entryLine = useMemo(
    () => 1 + (code?.split("\n").findIndex((own) => own.includes(".entry ")) ?? -1),
    [code],
  );
  const kind = sass ? "SASS" : "PTX";
  const became = useMemo(
    () => (line === undefined ? noLines : links.codeOf(line.source)),
    [line, links],
  );
  const source = useMemo(() => (line === undefined ? noLines : [line.source]), [line]);
  const cuda = useMemo(
    () =>
      showWhole || range === undefined
        ? texts.cuda
        : texts.cuda
            .split("\n")
            .slice(range.first - 1, range.last)
            .join("\n"),
    [showWhole, range, texts],
  );
  return (
    <div className={classes.panes} data-single={code === undefined || undefined}>
      <div className={classes.pane}>
        <div className={classes.paneHead}>
          <strong>CUDA</strong>
          <span className={classes.paneNote} role="status">
            {line === undefined
              ? code !== undefined && "A line leads to what it became"
              : `line ${line.source}: ${became.length} ${became.length === 1 ? "line" : "lines"} of ${kind}`}
          </span>
          {range !== undefined && (
            <SegmentedControl
              size="xs"
              value={showWhole ? "whole" : "block"}
              onChange={(value) => {
                setLine(undefined);
                setParams({ file: value === "whole" ? "whole" : undefined, line: undefined });
              }}
              data={[
                { value: "block", label: "Generated" },
                { value: "whole", label: "Whole file" },
              ]}
              aria-label="How much of the CUDA"
            />
          )}
        </div>
        <div className={classes.paneBody} data-testid="cuda">
          <CodePane
            key={showWhole ? "whole" : "block"}
            text={cuda}
            firstLine={showWhole ? 1 : (range?.first ?? 1)}
            language={cppLanguage}
            label="CUDA"
            marked={source}
            reveal={line?.from === "code"}
            wrap
            cursor={start}
            noteOf={notes.cuda}
            onLine={(number) => setLine({ source: number, from: "cuda" })}
          />
        </div>
      </div>
      {code !== undefined && (
        <div className={classes.pane}>
          <div className={classes.paneHead}>
            <strong>{kind}</strong>
            <span className={classes.paneNote}>{code.split("\n").length} lines</span>
            {texts.sass === undefined && noSass !== undefined && (
              <Tooltip label={noSass} multiline maw={420}>
                <span className={classes.paneNote}>no SASS</span>
              </Tooltip>
            )}
            {texts.sass !== undefined && (
              <SegmentedControl
                size="xs"
                value={sass ? "sass" : "ptx"}
                onChange={(value) => {
                  setLine(undefined);
                  setParams({ code: value === "sass" ? "sass" : undefined });
                }}
                data={[
                  { value: "ptx", label: "PTX" },
                  { value: "sass", label: "SASS" },
                ]}
                aria-label="Which machine code"
              />
            )}
          </div>
          <div className={classes.paneBody} data-testid="code">
            <CodePane
              key={kind}
              text={code}
              language={assemblyLanguage}
              label={kind}
              marked={became}
              reveal={line?.from === "cuda"}
              cursor={entryLine}
              noteOf={notes.code}
              onLine={(number) => {
                const from = links.sourceOf(number);
                setLine(from === undefined ? undefined : { source: from, from: "code" });
              }}
            />
          </div>
        </div>
      )}
    </div>
  );
}
