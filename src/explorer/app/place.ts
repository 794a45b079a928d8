import { useMemo, useSyncExternalStore } from "react";

/** Where in the page the reader is, kept in the URL's hash: `#/kernels/NAME?code=sass`. */
export interface Place {
  readonly view: string;
  readonly item: string | undefined;
  readonly params: URLSearchParams;
}

export function parsePlace(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", item] = path.split("/");
  return {
    view,
    item: item === undefined || item === "" ? undefined : decodeURIComponent(item),
    params: new URLSearchParams(query),
  };
}

/** A link to a place. */
export function hrefOf(
  view: string,
  item?: string | undefined,
  params: Readonly<Record<string, string | undefined>> = {},
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    if (value !== undefined) query.set(name, value);
  const path = item === undefined ? view : `${view}/${encodeURIComponent(item)}`;
  return query.size === 0 ? `#/${path}` : `#/${path}?${query}`;
}

/** Goes to a place and leaves the present one in the history. */
export function go(...to: Parameters<typeof hrefOf>): void {
  location.hash = hrefOf(...to);
}

/** Changes a parameter of the present place, without a step in the history. */
export function setParams(changes: Readonly<Record<string, string | undefined>>): void {
  const { view, item, params } = parsePlace(location.hash);
  history.replaceState(
    null,
    "",
    hrefOf(view, item, { ...Object.fromEntries(params.entries()), ...changes }),
  );
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function subscribe(onChange: () => void): () => void {
  addEventListener("hashchange", onChange);
  return () => removeEventListener("hashchange", onChange);
}

export function usePlace(): Place {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return useMemo(() => parsePlace(hash), [hash]);
}
