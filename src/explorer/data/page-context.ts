import { createContext, useContext } from "react";
import type { ProgramOutline, StoredPage } from "../../inspection/stored-page.ts";

export const PageContext = createContext<StoredPage>({});

export const usePage = (): StoredPage => useContext(PageContext);

/** The program of views that are shown only when there is one. */
export function useProgram(): ProgramOutline {
  const { program } = usePage();
  if (program === undefined) throw new Error("This view needs a program.");
  return program;
}
