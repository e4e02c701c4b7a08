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
