/** TLS that ends on a tcp listener: who is let in and where to, and what the stream behind it is: ends in every order, cuts, bulk, garbage. */
import { createHash, randomBytes } from "node:crypto";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ListenerTlsSpec } from "#snapshot/tls.ts";
import { setTicketKeys, TICKET_KEY_BYTES } from "#sys/openssl-tickets.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { startStreamPlane, type StreamPlane, type StreamPlaneOptions } from "#test/support/stream-plane.ts";
import { CLIENT_AUTH, listenerTls, upstreamTls } from "#test/support/tls-plane.ts";
import { tcpServer, tlsClient, until, wiredClient } from "#test/support/tls-peers.ts";

const authority = new TestAuthority();
const a = authority.issue({ names: ["DNS:a.example"], subject: "/CN=a" });
const b = authority.issue({ names: ["DNS:*.b.example"], subject: "/CN=b" });
const device = authority.issue({ subject: "/CN=device 7" });
const other = authority.issue({ subject: "/CN=device 8" });

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});
beforeAll(() => setTicketKeys([Buffer.alloc(TICKET_KEY_BYTES, 5)]));
afterAll(() => authority.dispose());

type Over = Partial<Omit<StreamPlaneOptions, "listener">> & {
  readonly io: "io_uring" | "epoll";
  readonly endpoints: readonly string[];
  readonly tls?: Partial<ListenerTlsSpec>;
  readonly listener?: Partial<StreamPlaneOptions["listener"]>;
};

function listenerOf({ tls: over, listener }: Pick<Over, "tls" | "listener">): StreamPlaneOptions["listener"] {
  return { protocol: "tcp", tls: listenerTls(2, { alpn: [], ...over }), ...listener };
}

async function plane(options: Over): Promise<StreamPlane> {
  const made = await startStreamPlane({ certificates: [a, b], ...options, listener: listenerOf(options) });
  open.push({ close: () => made.stop() });
  return made;
}

/** What a client hears that asks for `servername`, by certificate and server; or its error. */
async function ask(port: number, servername: string, more: tls.ConnectionOptions = {}): Promise<string> {
  const one = tlsClient(port, open, { ...(servername === "" ? {} : { servername }), ...more });
  await until(() => one.events.some((event) => event !== "secureConnect"), "an end", one.events);
  one.socket.end();
  const failed = one.events.find((event) => event !== "secureConnect" && event !== "end" && event !== "close");
  return failed ?? `${String(one.socket.getPeerCertificate().subject?.CN)} ${one.text()}`;
}

const outcome = (made: StreamPlane, name: string) => made.counters()[`stream_outcomes{outcome="${name}"}`];
const refused = (made: StreamPlane, name: string) => made.counters()[`tls_refused{reason="${name}"}`];
const says = (word: string) => tcpServer(open, (socket) => socket.end(word));
const echo = () => tcpServer(open, (socket) => socket.pipe(socket));

const upstreamOf = (name: string, address: string) => ({
  name,
  endpoints: [{ address, weight: 1 }],
  timeouts: { connectMs: 1000, requestMs: 1000, idleMs: 1000 },
  idleConnectionsMax: 0,
});

describe.each(["io_uring", "epoll"] as const)("%s", (io) => {
  describe("who is let in", () => {
    test("certificates and routes are chosen by server name; without one it is the first, and the route without names", async () => {
      const route = (serverNames: string[], upstream: number) => ({
        match: { serverNames, sources: [], destinations: [] },
        action: { kind: "upstream" as const, split: [{ upstream, weight: 1 }] },
      });
      const made = await plane({
        io,
        endpoints: [await says("any")],
        others: [upstreamOf("one", await says("one")), upstreamOf("wild", await says("wild"))],
        routes: [route([], 0), route(["x.b.example"], 1), route(["*.b.example"], 2)],
      });
      expect(await ask(made.port, "a.example")).toBe("a any");
      expect(await ask(made.port, "X.b.example")).toBe("b one");
      expect(await ask(made.port, "y.b.example")).toBe("b wild");
      expect(await ask(made.port, "")).toBe("a any");
      made.swap({ routes: [route(["x.b.example"], 1)] });
      expect(await ask(made.port, "a.example")).toBe("ECONNRESET");
      expect(outcome(made, "no-route")).toBe(1);
      await made.settled();
    });

    test("a route may ask for the source beside the name", async () => {
      const match = { serverNames: ["a.example"], sources: ["10.0.0.0/8"], destinations: [] };
      const made = await plane({ io, endpoints: [await says("in")], routes: [{ match }] });
      expect(await ask(made.port, "a.example")).toBe("ECONNRESET");
      made.swap({ routes: [{ match: { ...match, sources: ["127.0.0.0/8"] } }] });
      expect(await ask(made.port, "a.example")).toBe("a in");
    });

    test("ALPN is left unanswered unless it is configured; then who has none of it is refused", async () => {
      const made = await plane({ io, endpoints: [await says("ok")] });
      const settled = async (ALPNProtocols: string[]): Promise<unknown> => {
        const one = tlsClient(made.port, open, { ALPNProtocols });
        await until(() => one.events.length > 0, "an answer");
        return one.events[0] === "secureConnect" ? one.socket.alpnProtocol : one.events[0];
      };
      expect(await settled(["mqtt", "http/1.1"])).toBe(false);
      made.swap({ listener: listenerOf({ tls: { alpn: ["mqtt"] } }) });
      expect(await settled(["http/1.1", "mqtt"])).toBe("mqtt");
      expect(await settled([])).toBe(false);
      expect(await settled(["http/1.1"])).toBe("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
      expect(refused(made, "alpn")).toBe(1);
    });

    test("clients' certificates: required, optional, one of those that are pinned", async () => {
      const clientAuth = { ...CLIENT_AUTH, ca: authority.certificate };
      const certificate = (one: typeof device) => ({ cert: one.certificate, key: one.key });
      const required = { ...clientAuth, mode: "required" as const };
      const made = await plane({ io, endpoints: [await says("ok")], tls: { clientAuth: required } });
      expect(await ask(made.port, "a.example", certificate(device))).toBe("a ok");
      expect(await ask(made.port, "a.example")).toMatch(/CERTIFICATE_REQUIRED|ECONNRESET/);
      made.swap({ listener: listenerOf({ tls: { clientAuth: { ...clientAuth, mode: "optional" } } }) });
      expect(await ask(made.port, "a.example")).toBe("a ok");
      const pinned = { ...required, fingerprints: [device.fingerprint] };
      made.swap({ listener: listenerOf({ tls: { clientAuth: pinned } }) });
      expect(await ask(made.port, "a.example", certificate(device))).toBe("a ok");
      expect(await ask(made.port, "a.example", certificate(other))).not.toBe("a ok");
      expect(refused(made, "fingerprint")).toBe(1);
      expect(made.lines.join("\n")).toContain(other.fingerprint);
      await made.settled();
    });

    test("tickets resume, a response is stapled, a new certificate is for new connections", async () => {
      const ocsp = Buffer.from([0x30, 0x03, 0x0a, 0x01, 0x03]);
      const made = await plane({ io, endpoints: [await echo()], certificates: [a], tls: { certificates: [0] }, ocsp });
      const first = tlsClient(made.port, open, { requestOCSP: true });
      let stapled: Buffer | null = null;
      let session: Buffer | undefined;
      first.socket.on("OCSPResponse", (response: Buffer) => (stapled = response));
      first.socket.on("session", (one: Buffer) => (session = one));
      first.socket.write("1");
      await until(() => first.text() === "1" && session !== undefined, "an echo and a session");
      expect(stapled).toEqual(ocsp);
      const again = tlsClient(made.port, open, { session });
      await again.is("secureConnect");
      expect(again.socket.isSessionReused()).toBe(true);
      made.swap({ certificates: [b] });
      const young = tlsClient(made.port, open);
      await young.is("secureConnect");
      expect(young.socket.getPeerCertificate().subject.CN).toBe("b");
      first.socket.write("2");
      await until(() => first.text() === "12", "the old one goes on");
      expect(made.counters()).toMatchObject({ tls_handshakes: 3, tls_resumed: 1 });
    });

    test("what is no TLS is closed without a word, what comes too slowly too, and what is one handshake too many", async () => {
      const made = await plane({
        io,
        endpoints: [await says("ok")],
        tls: { handshakeTimeoutMs: 300, handshakesMax: 2 },
      });
      const raw = async (bytes: string): Promise<string> => {
        const socket = net.connect({ port: made.port, host: "127.0.0.1" });
        open.push({ close: () => socket.destroy() });
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString()));
        socket.on("error", () => {});
        socket.write(Buffer.from(bytes, "latin1"));
        await new Promise((resolve) => socket.on("close", resolve));
        return text;
      };
      expect(await raw("GET / HTTP/1.1\r\nhost: a\r\n\r\n")).toBe("");
      expect(await raw("\x10\x0c\x00\x04MQTT")).toBe("");
      expect([refused(made, "plain-http"), refused(made, "not-tls")]).toEqual([1, 1]);
      expect(await Promise.all([raw("\x16\x03\x01"), raw("\x16\x03\x01"), raw("\x16\x03\x01")])).toEqual(["", "", ""]);
      expect([refused(made, "timeout"), refused(made, "too-many-handshakes")]).toEqual([2, 1]);
      expect(made.counters()["tcp_streams"]).toBe(0);
      await made.settled();
    });
  });

  describe("ends", () => {
    test("client first: close_notify ends its half, and the answer comes after it", async () => {
      const at = await tcpServer(open, (socket) => {
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString()));
        socket.on("end", () => setTimeout(() => socket.end(`got ${text}`), 50));
      });
      const made = await plane({ io, endpoints: [at] });
      const { client, raw } = await wiredClient(made.port, open);
      client.socket.end("all of it");
      await client.is("end");
      expect(client.text()).toBe("got all of it");
      // Not by its FIN, which it has not sent.
      expect(raw.writableEnded).toBe(false);
      await made.settled();
      expect([outcome(made, "closed"), made.counters()["tls_truncated"]]).toEqual([1, 0]);
    });

    test("server first: the client is told by close_notify, and goes on", async () => {
      let received = "";
      let ended = false;
      const at = await tcpServer(open, (socket) => {
        socket.end("bye");
        socket.on("data", (chunk) => (received += chunk.toString()));
        socket.on("end", () => (ended = true));
      });
      const made = await plane({ io, endpoints: [at] });
      const one = tlsClient(made.port, open);
      await one.is("end");
      expect(one.text()).toBe("bye");
      one.socket.write("still ");
      await until(() => received === "still ", "bytes after the server's end");
      expect(ended).toBe(false);
      one.socket.end("here");
      await until(() => ended, "the client's end");
      expect(received).toBe("still here");
      await made.settled();
      expect(outcome(made, "closed")).toBe(1);
    });

    test("both at once", async () => {
      let received = "";
      const at = await tcpServer(open, (socket) => {
        socket.end("b");
        socket.on("data", (chunk) => (received += chunk.toString()));
      });
      const made = await plane({ io, endpoints: [at] });
      const one = tlsClient(made.port, open);
      one.socket.end("a");
      await one.is("end");
      await until(() => received === "a", "the client's byte");
      expect(one.text()).toBe("b");
      await made.settled();
      expect(outcome(made, "closed")).toBe(1);
    });

    test("before there is an upstream: neither bytes nor the end are lost", async () => {
      const at = await tcpServer(open, (socket) => {
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString()));
        socket.on("end", () => socket.end(`seen ${text}`));
      });
      const made = await plane({ io, endpoints: [at] });
      // With the last of the handshake, and so before anybody was dialled.
      const one = tlsClient(made.port, open);
      one.socket.end("early");
      await one.is("end");
      expect(one.text()).toBe("seen early");
      await made.settled();
    });

    test("the end is close_notify for TLS 1.2 too", async () => {
      const made = await plane({ io, endpoints: [await says("bye")] });
      const one = tlsClient(made.port, open, { maxVersion: "TLSv1.2" });
      await one.is("end");
      expect(one.text()).toBe("bye");
      one.socket.end();
      await made.settled();
      expect([outcome(made, "closed"), made.counters()["tls_truncated"]]).toEqual([1, 0]);
    });
  });

  describe("cuts", () => {
    /** An upstream that shows how its connection ends. */
    async function witness(on: (socket: net.Socket) => void = () => {}): Promise<{ at: string; ends: string[] }> {
      const ends: string[] = [];
      const at = await tcpServer(open, (socket) => {
        socket.on("end", () => ends.push("end"));
        socket.on("error", (error: NodeJS.ErrnoException) => ends.push(error.code ?? ""));
        socket.resume();
        on(socket);
      });
      return { at, ends };
    }

    test("a FIN without close_notify is no end: the upstream is reset", async () => {
      const { at, ends } = await witness();
      const made = await plane({ io, endpoints: [at] });
      const { client, raw } = await wiredClient(made.port, open);
      client.socket.write("half of i");
      await until(() => made.counters()["upstream_connects"] === 1, "a connection");
      await sleep(50);
      raw.end();
      await until(() => ends.length > 0, "an end");
      expect(ends).toEqual(["ECONNRESET"]);
      await made.settled();
      expect([outcome(made, "client-reset"), made.counters()["tls_truncated"]]).toEqual([1, 1]);
    });

    test("nor is it one behind the server's end", async () => {
      const { at, ends } = await witness((socket) => socket.end("bye"));
      const made = await plane({ io, endpoints: [at] });
      const { client, raw } = await wiredClient(made.port, open);
      await client.is("end");
      client.socket.write("half of i");
      await sleep(50);
      raw.end();
      await until(() => ends.length > 0, "an end");
      expect(ends).toEqual(["ECONNRESET"]);
      await made.settled();
    });

    test("behind close_notify a FIN is what it is", async () => {
      const { at, ends } = await witness((socket) => socket.on("end", () => setTimeout(() => socket.end(), 200)));
      const made = await plane({ io, endpoints: [at] });
      const { client, raw } = await wiredClient(made.port, open);
      client.socket.end("all of it");
      await until(() => ends.length > 0, "an end");
      raw.end();
      await client.is("end");
      expect(ends).toEqual(["end"]);
      await made.settled();
      expect([outcome(made, "closed"), outcome(made, "client-reset")]).toEqual([1, 0]);
    });

    test("a reset of either is a reset for the other", async () => {
      const { at, ends } = await witness((socket) => {
        socket.on("data", (chunk: Buffer) => {
          if (chunk.includes("x")) socket.resetAndDestroy();
        });
      });
      const made = await plane({ io, endpoints: [at] });
      const { client, raw } = await wiredClient(made.port, open);
      client.socket.write("y");
      await until(() => made.counters()["tcp_streams_open"] === 1, "a stream");
      await sleep(50);
      raw.resetAndDestroy();
      await until(() => ends.length > 0, "the client's reset");
      expect(ends).toEqual(["ECONNRESET"]);
      const one = tlsClient(made.port, open);
      one.socket.write("x");
      await one.is("ECONNRESET");
      expect(one.events).not.toContain("end");
      await made.settled();
      expect([outcome(made, "client-reset"), outcome(made, "upstream-reset")]).toEqual([1, 1]);
    });

    test("quiet for too long: both are closed, the client by close_notify", async () => {
      const { at, ends } = await witness();
      const stream = { idleTimeoutMs: 300, sessionsMax: 0 };
      const made = await plane({ io, endpoints: [at], listener: { stream } });
      const { client, raw } = await wiredClient(made.port, open);
      await client.is("end");
      await until(() => ends.includes("end"), "the upstream's end");
      raw.end();
      await made.settled();
      expect(outcome(made, "idle-timeout")).toBe(1);
    });
  });

  test("garbage behind close_notify is ignored, and then broken off", async () => {
    const at = await tcpServer(open, (socket) => socket.resume());
    const made = await plane({ io, endpoints: [at] });
    const { client, raw } = await wiredClient(made.port, open);
    client.socket.end();
    await sleep(50);
    raw.write(randomBytes(32 * 1024));
    await sleep(100);
    expect(refused(made, "no-data")).toBe(0);
    raw.write(randomBytes(256 * 1024));
    await until(() => refused(made, "no-data") === 1, "an end of patience");
    await made.settled();
  });

  test("16 MiB each way at once arrive whole, and neither splice nor program moves them", async () => {
    const bytes = randomBytes(1 << 20);
    const digest = createHash("sha256");
    for (let i = 0; i < 16; i++) digest.update(bytes);
    const expected = digest.digest("hex");
    const seen: string[] = [];
    const send = (socket: net.Socket): void => {
      let left = 16;
      const more = (): void => {
        while (left > 0) {
          left--;
          if (!socket.write(bytes)) {
            socket.once("drain", more);
            return;
          }
        }
        socket.end();
      };
      more();
    };
    const read = (socket: net.Socket): void => {
      const hash = createHash("sha256");
      socket.on("data", (chunk) => hash.update(chunk));
      socket.on("end", () => seen.push(hash.digest("hex")));
    };
    const at = await tcpServer(open, (socket) => {
      send(socket);
      read(socket);
    });
    let joined = 0;
    const sockmap = {
      join: () => {
        joined++;
        return null;
      },
    };
    const made = await plane({ io, endpoints: [at], listener: { sockmap: true }, kernel: { sockmap } });
    const { socket } = tlsClient(made.port, open);
    read(socket);
    send(socket);
    await until(() => seen.length === 2, "both ends");
    expect(seen).toEqual([expected, expected]);
    await made.settled();
    expect(joined).toBe(0);
    expect(made.counters()).toMatchObject({
      tcp_bytes_received: 16 << 20,
      tcp_bytes_sent: 16 << 20,
      tcp_bytes_spliced: 0,
    });
  }, 30_000);

  test("a reader that stands still holds a bounded amount, and gets everything later", async () => {
    const total = 24 << 20;
    let written = 0;
    const at = await tcpServer(open, (socket) => {
      const chunk = Buffer.alloc(1 << 20, "z");
      const more = (): void => {
        while (written < total) {
          written += chunk.length;
          if (!socket.write(chunk)) {
            socket.once("drain", more);
            return;
          }
        }
        socket.end();
      };
      more();
    });
    const made = await plane({ io, endpoints: [at] });
    const raw = net.connect({ port: made.port, host: "127.0.0.1" });
    open.push({ close: () => raw.destroy() });
    const socket = tls.connect({ socket: raw, rejectUnauthorized: false });
    await new Promise((resolve) => socket.on("secureConnect", resolve));
    socket.pause();
    await sleep(700);
    const { buffers } = made.plane.context;
    expect((buffers.count - buffers.free) * 32_768).toBeLessThan(259 * 32_768 + (4 << 20));
    expect(written).toBeLessThan(total);
    let got = 0;
    socket.on("data", (chunk) => (got += chunk.length));
    socket.resume();
    await until(() => got === total, "the rest");
    socket.end();
    await made.settled();
  }, 20_000);

  test("a client that leaves while its upstream is not there yet is noticed; one that sends without end has to wait", async () => {
    // Takes the connection, and never shakes hands.
    const at = await tcpServer(open, () => {});
    const timeouts = { connectMs: 1500, requestMs: 1000, idleMs: 1000 };
    const made = await plane({
      io,
      endpoints: [at],
      upstream: { timeouts, tls: upstreamTls({ ca: authority.certificate }) },
    });
    const quiet = await wiredClient(made.port, open);
    quiet.raw.resetAndDestroy();
    await until(() => outcome(made, "client-gone") === 1, "the quiet one is gone");
    const { client } = await wiredClient(made.port, open);
    client.socket.write(Buffer.alloc(16 << 20));
    await sleep(300);
    const { buffers } = made.plane.context;
    expect((buffers.count - buffers.free) * 32_768).toBeLessThan(259 * 32_768 + (4 << 20));
    await client.is("ECONNRESET");
    await made.settled();
    expect(outcome(made, "connect-timeout")).toBe(1);
  });
});
