/** Single requests, to see that a side does its work before its cost is measured. */
import { request } from "node:http";
import { request as requestEncrypted } from "node:https";
import { createServer } from "node:net";
import { once } from "node:events";

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One GET. Rejects when nobody answers. */
export function get(origin: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const encrypted = origin.startsWith("https:");
    // The certificate is the bench's own.
    const ask = encrypted ? requestEncrypted : request;
    const options = {
      headers,
      agent: false as const,
      timeout: 5000,
      ...(encrypted ? { rejectUnauthorized: false } : {}),
    };
    const sent = ask(`${origin}${path}`, options, (response) => {
      let body = "";
      response.setEncoding("latin1").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 5 s")));
    sent.on("error", reject);
    sent.end();
  });
}

/** A port of 127.0.0.1 that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  return address.port;
}
