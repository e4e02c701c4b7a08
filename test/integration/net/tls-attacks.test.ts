/** Handshakes that are cut, wrong or many: each ends, is counted, and leaves nothing; who behaves is served beside them. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { setTicketKeys, TICKET_KEY_BYTES } from "#sys/openssl-tickets.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { handshakeRecords, helloMessage } from "#test/support/client-hello.ts";
import { startUpstream } from "#test/support/raw-http.ts";
import { startTlsPlane, type TlsPlane } from "#test/support/tls-plane.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const HANDSHAKES_MAX = 20;
const FLOOD = 200;

const authority = new TestAuthority();
const site = authority.issue({ names: ["DNS:a.example"] });
const stops: (() => Promise<unknown>)[] = [];

beforeAll(() => setTicketKeys([Buffer.alloc(TICKET_KEY_BYTES, 5)]));
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
afterAll(() => authority.dispose());

const HELLO = handshakeRecords(helloMessage({ serverName: "a.example", versions: [0x0304, 0x0303] }), 20, 90);

/** What the handshakes that failed are counted as, all kinds together. */
function refused(one: TlsPlane): number {
  return Object.entries(one.counters())
    .filter(([name]) => name.startsWith("tls_refused"))
    .reduce((sum, [, count]) => sum + count, 0);
}

/** In order or by a reset: either is an end. */
function closed(client: net.Socket): Promise<void> {
  return new Promise((resolve) => client.once("close", () => resolve()));
}

describe.each(["io_uring", "epoll"] as const)("over %s", (io) => {
  async function plane(): Promise<TlsPlane> {
    const up = await startUpstream((socket) => socket.write(OK));
    const one = await startTlsPlane({
      io,
      certificates: [site],
      endpoints: [up.address],
      tls: { handshakesMax: HANDSHAKES_MAX, handshakeTimeoutMs: 2000 },
    });
    stops.push(
      () => one.stop(),
      () => up.close(),
    );
    return one;
  }

  async function served(one: TlsPlane): Promise<boolean> {
    const options = { port: one.port, host: "127.0.0.1", ca: authority.certificate, servername: "a.example" };
    const client = tls.connect(options);
    await once(client, "secureConnect");
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    const [bytes] = (await once(client, "data")) as [Buffer];
    client.destroy();
    return bytes.toString() === OK;
  }

  it("a ClientHello cut anywhere, then FIN", async () => {
    const one = await plane();
    let attempts = 0;
    for (let cut = 1; cut < HELLO.length; cut += 11) {
      attempts++;
      const client = net.connect({ port: one.port, host: "127.0.0.1" });
      client.on("error", () => {});
      client.end(HELLO.subarray(0, cut));
      client.resume();
      await closed(client);
    }
    await one.settled();
    expect(refused(one)).toBe(attempts);
    expect(await served(one)).toBe(true);
    await one.settled();
  });

  it("a ClientHello with any byte wrong ends, and nobody else notices", async () => {
    const one = await plane();
    for (let at = 0; at < HELLO.length; at += 7) {
      const bytes = Buffer.from(HELLO);
      bytes[at] = (bytes[at] ?? 0) ^ 0x5a;
      const client = net.connect({ port: one.port, host: "127.0.0.1" });
      client.on("error", () => {});
      // What can still be understood is answered, and then the client leaves in mid-handshake.
      client.end(bytes);
      client.resume();
      await closed(client);
    }
    await one.settled();
    expect(await served(one)).toBe(true);
    await one.settled();
  });

  it("a flood of handshakes that stop half-way is bounded", async () => {
    const one = await plane();
    const clients = Array.from({ length: FLOOD }, () => {
      const client = net.connect({ port: one.port, host: "127.0.0.1" });
      client.on("error", () => {});
      client.write(HELLO.subarray(0, 30));
      return client;
    });
    let most = 0;
    const all = clients.map(closed);
    const watching = setInterval(() => (most = Math.max(most, one.counters()["tls_handshakes_open"] ?? 0)), 5);
    await Promise.all(all).finally(() => clearInterval(watching));
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(HANDSHAKES_MAX);
    expect(refused(one)).toBe(FLOOD);
    expect(one.counters()['tls_refused{reason="too-many-handshakes"}']).toBeGreaterThanOrEqual(
      FLOOD - 3 * HANDSHAKES_MAX,
    );
    expect(await served(one)).toBe(true);
    await one.settled();
  });
});
