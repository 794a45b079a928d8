import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

export const commit = "0123456789abcdef0123456789abcdef01234567";

/** How the stand-in answers a request for a file's content. */
export interface Behaviour {
  /** Close the connection after this many bytes of each answer; once per entry. */
  cuts: number[];
  /** Send these bytes in place of the real ones. */
  content?: Uint8Array;
  /** Announce this size in the listing. */
  listedSize?: number;
  /** Answer a Range request with the whole file. */
  ignoreRange?: boolean;
  status?: number;
}

export interface HubRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** The parts of the Hugging Face hub a download needs, on 127.0.0.1. */
export class HubServer {
  readonly files = new Map<string, Uint8Array>();
  readonly behaviours = new Map<string, Behaviour>();
  readonly requests: HubRequest[] = [];
  /** Answer of the repository itself: 200, or an error status with its X-Error-Code. */
  repository: { status: number; errorCode?: string } = { status: 200 };
  url = "";
  readonly #server = createServer((request, response) => this.#answer(request, response));

  static async start(): Promise<HubServer> {
    const hub = new HubServer();
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    hub.url = `http://127.0.0.1:${(hub.#server.address() as AddressInfo).port}`;
    afterAll(() => {
      hub.#server.closeAllConnections();
      hub.#server.close();
    });
    return hub;
  }

  behave(name: string, behaviour: Partial<Behaviour>): Behaviour {
    const complete = { cuts: [], ...behaviour };
    this.behaviours.set(name, complete);
    return complete;
  }

  contentRequests(name: string): HubRequest[] {
    return this.requests.filter(({ path }) => path.endsWith(`/resolve/${commit}/${name}`));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent((request.url ?? "").replace(/\?.*$/, ""));
    const { range, authorization } = request.headers;
    this.requests.push({ path, range, authorization });
    const { status, errorCode } = this.repository;
    if (status !== 200) {
      response
        .writeHead(status, errorCode === undefined ? {} : { "x-error-code": errorCode })
        .end("no");
    } else if (path.startsWith("/api/models/org/name/revision/")) {
      json(response, {
        _id: "1",
        id: "org/name",
        sha: commit,
        lastModified: "2024-01-01",
        private: false,
        gated: false,
      });
    } else if (path === `/api/models/org/name/tree/${commit}`) {
      json(
        response,
        [...this.files].map(([name, bytes]) => this.#listing(name, bytes)),
      );
    } else {
      this.#content(path.slice(`/org/name/resolve/${commit}/`.length), range, response);
    }
  }

  #listing(name: string, bytes: Uint8Array): object {
    const size = this.behaviours.get(name)?.listedSize ?? bytes.length;
    const blob = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
    const large = !name.endsWith(".json");
    const lfs = { oid: createHash("sha256").update(bytes).digest("hex"), size, pointerSize: 130 };
    return { type: "file", path: name, size, oid: blob, ...(large ? { lfs } : {}) };
  }

  #content(name: string, range: string | undefined, response: ServerResponse): void {
    const behaviour = this.behaviours.get(name);
    const bytes = behaviour?.content ?? this.files.get(name);
    if (bytes === undefined || behaviour?.status !== undefined) {
      response.writeHead(behaviour?.status ?? 404).end();
      return;
    }
    const from =
      behaviour?.ignoreRange === true ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const part = bytes.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { "content-length": part.length });
    const cut = behaviour?.cuts.shift();
    if (cut === undefined) response.end(part);
    else response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}
