/** The admin API of a gateway of ours, over its Unix socket. */
import { request } from "node:http";

export interface AdminAnswer {
  readonly status: number;
  readonly etag: string;
  readonly body: string;
  /** From the first byte sent to the last received. */
  readonly ms: number;
}

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: string;
  readonly ifMatch?: string;
}

export function askAdmin(
  socketPath: string,
  { method, path, type, body, ifMatch }: AdminRequest,
): Promise<AdminAnswer> {
  const headers: Record<string, string> = { host: "penstock" };
  if (body !== undefined) headers["content-type"] = type ?? "application/json";
  if (ifMatch !== undefined) headers["if-match"] = ifMatch;
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const asked = request({ socketPath, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const { statusCode: status = 0, headers: fields } = response;
        resolve({ status, etag: fields.etag ?? "", body: text, ms: performance.now() - began });
      });
    });
    asked.on("error", reject).end(body);
  });
}

/** Throws for any other status: a refused change is quick. */
export function must(answer: AdminAnswer, status = 200): AdminAnswer {
  if (answer.status !== status)
    throw new Error(`the admin API answered ${answer.status}: ${answer.body.slice(0, 500)}`);
  return answer;
}

export interface Admin {
  /** Replaces the whole declaration; throws when it is not taken. */
  put(declaration: object): Promise<void>;
}

export function adminOf(socketPath: string): Admin {
  return {
    put: async (declaration) => {
      const { etag } = must(await askAdmin(socketPath, { method: "GET", path: "/v1/config" }));
      const body = JSON.stringify(declaration);
      must(await askAdmin(socketPath, { method: "PUT", path: "/v1/config", body, ifMatch: etag }));
    },
  };
}

/** One route changed again and again, each time to another path. */
export class RouteChanges {
  readonly #socket: string;
  readonly #path: string;
  #etag = "";
  #count = 0;

  /** `route`: `tenant/name`. */
  constructor(socketPath: string, route: string) {
    const [tenant, name] = route.split("/");
    this.#socket = socketPath;
    this.#path = `/v1/tenants/${tenant}/routes/${name}`;
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves when all workers run it. */
  async next(): Promise<AdminAnswer> {
    if (this.#count++ === 0) this.#etag = must(await askAdmin(this.#socket, { method: "GET", path: this.#path })).etag;
    const body = JSON.stringify({ match: { path: { prefix: `/changed-${this.#count}` } } });
    const type = "application/merge-patch+json";
    const request = { method: "PATCH", path: this.#path, type, body, ifMatch: this.#etag };
    const answer = must(await askAdmin(this.#socket, request));
    this.#etag = answer.etag;
    return answer;
  }
}
