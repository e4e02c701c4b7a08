/**
 * Every request of the corpus over a real socket to a real gateway: it is answered as its name says, and of a refused one
 * not a byte reaches the upstream.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { corpus } from "#test/support/http-corpus.ts";
import { freePort } from "#test/support/ports.ts";
import { startUpstream, talk, type RawUpstream } from "#test/support/raw-http.ts";

let upstream: RawUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startUpstream((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
  const port = await freePort();
  gateway = await startGateway({
    workers: 1,
    config: {
      listeners: [{ name: "web", address: `127.0.0.1:${port}`, protocol: "http" }],
      upstreams: [{ name: "up", endpoints: [{ address: upstream.address }] }],
      tenants: [{ name: "acme", hosts: ["*"] }],
      routes: [
        { name: "all", tenant: "acme", listeners: ["web"], match: { path: { prefix: "/" } }, upstream: "up" },
        { name: "tunnels", tenant: "acme", listeners: ["web"], connect: "forward", upstream: "up" },
      ],
    },
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

describe("the corpus of requests, over sockets", () => {
  const requests = corpus();

  it("holds at least 120 malformed ones", () => {
    expect(requests.filter(({ status }) => status >= 400).length).toBeGreaterThanOrEqual(120);
  });

  it.each(requests.map((one) => [one.name, one] as const))("%s", async (_name, { bytes, status }) => {
    const before = upstream.received.join("").length;
    const answer = await talk(gateway.port("web"), bytes, answered);
    const got = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
    if (status >= 400) {
      expect(got, answer.slice(0, 300)).toBe(status);
      // What came before a malformed chunk was valid and may have gone; the request was never completed upstream.
      const reached = upstream.received.join("").slice(before);
      if (!/transfer-encoding/i.test(bytes.toString("latin1"))) expect(reached).toBe("");
      else expect(reached).not.toMatch(/0\r\n\r\n$/);
    } else {
      expect(got, answer.slice(0, 300)).toBe(200);
    }
  });

  it("is still well", async () => {
    expect((await gateway.request("web", "/")).status).toBe(200);
  });
});

/** Enough of an answer to judge: a final response's head. */
function answered(all: string): boolean {
  return /HTTP\/1\.1 [2-5]\d\d [^]*\r\n\r\n/.test(all.replace(/HTTP\/1\.1 1\d\d [^]*?\r\n\r\n/g, ""));
}
