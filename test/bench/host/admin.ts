/** The admin API of a gateway of ours, over its Unix socket. */
import { request } from "node:http";

export interface Admin {
  /** Replaces the whole declaration; throws when it is not taken. */
  put(declaration: object): Promise<void>;
}

export function adminOf(socketPath: string): Admin {
  return {
    put: async (declaration) => {
      const { etag } = await ask(socketPath, "GET", "/v1/config", {});
      const fields = { "if-match": etag, "content-type": "application/json" };
      const { status, body } = await ask(socketPath, "PUT", "/v1/config", fields, JSON.stringify(declaration));
      if (status !== 200) throw new Error(`the gateway did not take the declaration: ${status} ${body.slice(0, 2000)}`);
    },
  };
}

interface Answer {
  readonly status: number;
  readonly etag: string;
  readonly body: string;
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = "",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.once("error", reject);
      incoming.once("end", () =>
        resolve({
          status: incoming.statusCode ?? 0,
          etag: String(incoming.headers.etag),
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}
