/** PROXY headers in front of listeners and upstreams, in any pieces, for HTTP and for TCP. */
import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { startStreamPlane, type StreamPlane, type StreamPlaneOptions } from "#test/support/stream-plane.ts";
import { listenerTls, upstreamTls } from "#test/support/tls-plane.ts";
import { seen, until, Wire, type Seen } from "#test/support/tls-peers.ts";

const authority = new TestAuthority();
const issued = authority.issue({ names: ["IP:127.0.0.1"] });
afterAll(() => authority.dispose());

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function upstream(on: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    on(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** Answers with all that has come, once it ends with two line feeds. */
const parrot = (socket: net.Socket): void => {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    if (text.endsWith("\n\n")) socket.end(text, "latin1");
  });
};

async function plane(
  options: Partial<StreamPlaneOptions> & Pick<StreamPlaneOptions, "io" | "endpoints" | "listener">,
): Promise<StreamPlane> {
  const made = await startStreamPlane(options);
  open.push({ close: () => made.stop() });
  return made;
}

/** Sends the pieces, a moment between them; answers what came back, or the error. */
async function talk(port: number, pieces: readonly Uint8Array[], pauseMs = 5): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  open.push({ close: () => socket.destroy() });
  socket.setNoDelay(true);
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString("latin1")));
  const over = new Promise<string>((resolve) => {
    socket.on("end", () => resolve(text));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
  });
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await sleep(pauseMs);
  }
  return Promise.race([over, sleep(3000).then(() => `nothing, but ${JSON.stringify(text)}`)]);
}

const HEADER_1 = encodeProxyHeader("v1", parseAddress("192.0.2.7:1000"), parseAddress("198.51.100.9:443"));
const HEADER_2 = encodeProxyHeader("v2", parseAddress("[2001:db8::7]:1000"), parseAddress("[2001:db8::9]:443"));
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const TRUSTED = { trusted: ["127.0.0.0/8"], required: true };

describe.each(["io_uring", "epoll"] as const)("%s", (io) => {
  describe.each(["v1", "v2"] as const)("out by %s", (version) => {
    test("the upstream learns who the client is, once, and first", async () => {
      const at = await upstream(parrot);
      const { port } = await plane({
        io,
        endpoints: [at],
        listener: { protocol: "tcp" },
        upstream: { proxyProtocol: version },
      });
      const answer = await talk(port, [bytes("hello"), bytes(" there\n\n")]);
      const [head, rest] = version === "v1" ? answer.split(/(?<=\r\n)/) : [answer.slice(0, 28), answer.slice(28)];
      expect(rest).toBe("hello there\n\n");
      if (version === "v1") expect(head).toMatch(new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${port}\r\n$`));
      else expect(Buffer.from(head ?? "", "latin1").readUInt16BE(26)).toBe(port);
    });

    test("and what a proxy in front has said", async () => {
      const at = await upstream(parrot);
      const { port, counters } = await plane({
        io,
        endpoints: [at],
        listener: { protocol: "tcp", proxyProtocol: TRUSTED },
        upstream: { proxyProtocol: version },
      });
      const answer = await talk(port, [HEADER_1, bytes("x\n\n")]);
      const expected = encodeProxyHeader(version, parseAddress("192.0.2.7:1000"), parseAddress("198.51.100.9:443"));
      expect(answer).toBe(`${Buffer.from(expected).toString("latin1")}x\n\n`);
      expect(counters()["proxy_headers"]).toBe(1);
    });
  });

  test.each([
    ["v1", HEADER_1],
    ["v2", HEADER_2],
  ])("in by %s, split anywhere", async (_version, header) => {
    const at = await upstream(parrot);
    const { port, settled, counters } = await plane({
      io,
      endpoints: [at],
      listener: { protocol: "tcp", proxyProtocol: TRUSTED },
    });
    const whole = Buffer.concat([header, bytes("body\n\n")]);
    const answers = await Promise.all(
      Array.from({ length: whole.length - 1 }, (_, i) =>
        talk(port, [whole.subarray(0, i + 1), whole.subarray(i + 1)], 20),
      ),
    );
    expect(new Set(answers)).toEqual(new Set(["body\n\n"]));
    expect(
      await talk(
        port,
        Array.from(whole, (byte) => Uint8Array.of(byte)),
        1,
      ),
    ).toBe("body\n\n");
    await settled();
    expect(counters()["proxy_headers"]).toBe(whole.length);
  });

  test("routes go by the address in the header", async () => {
    const at = await upstream(parrot);
    const match = { serverNames: [], sources: ["192.0.2.0/24"], destinations: [] };
    const { port } = await plane({
      io,
      endpoints: [at],
      listener: { protocol: "tcp", proxyProtocol: TRUSTED },
      routes: [{ match }],
    });
    expect(await talk(port, [HEADER_1, bytes("x\n\n")])).toBe("x\n\n");
    expect(await talk(port, [HEADER_2, bytes("x\n\n")])).toBe("ECONNRESET");
  });

  test("who is not trusted is refused; so is what is no header, and what never comes", async () => {
    const at = await upstream(parrot);
    const made = await plane({
      io,
      endpoints: [at],
      listener: { protocol: "tcp", proxyProtocol: { trusted: ["10.0.0.0/8"], required: true } },
      headTimeoutMs: 300,
    });
    expect(await talk(made.port, [HEADER_1, bytes("x\n\n")])).toBe("ECONNRESET");
    made.swap({ listener: { protocol: "tcp", proxyProtocol: TRUSTED } });
    expect(await talk(made.port, [bytes("x\n\n")])).toBe("ECONNRESET");
    expect(await talk(made.port, [bytes("PROXY nonsense\r\n")])).toBe("ECONNRESET");
    expect(await talk(made.port, [bytes("PROXY TCP4 ")])).toBe("ECONNRESET");
    expect(made.counters()["proxy_headers_refused"]).toBe(4);
    await made.settled();
  });

  test("where a header is not required, a client without one is the client", async () => {
    const at = await upstream(parrot);
    const listener = { protocol: "tcp", proxyProtocol: { ...TRUSTED, required: false } } as const;
    const { port } = await plane({ io, endpoints: [at], listener });
    expect(await talk(port, [bytes("plain\n\n")])).toBe("plain\n\n");
    expect(await talk(port, [bytes("P"), bytes("lain\n\n")], 20)).toBe("Plain\n\n");
    expect(await talk(port, [bytes("PRO"), bytes("XY or not\r\n")], 20)).toBe("ECONNRESET");
    expect(await talk(port, [bytes("PRO"), bytes("BLEM\n\n")], 20)).toBe("PROBLEM\n\n");
    expect(await talk(port, [HEADER_1, bytes("x\n\n")])).toBe("x\n\n");
  });

  test("HTTP behind a header: the client is who the header names", async () => {
    const server = http.createServer((request, response) => response.end(request.headers["x-forwarded-for"] ?? ""));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push({
      close: () => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      },
    });
    const at = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    const { port } = await plane({ io, endpoints: [at], listener: { protocol: "http", proxyProtocol: TRUSTED } });
    const request = bytes("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(await talk(port, [HEADER_1, request])).toMatch(/192\.0\.2\.7/);
    expect(await talk(port, [Buffer.concat([HEADER_2, request])])).toMatch(/2001:db8::7/);
  });

  test("a listener that begins to ask for headers keeps its connections", async () => {
    const at = await upstream((socket) => socket.on("data", (chunk) => socket.write(chunk)));
    const made = await plane({ io, endpoints: [at], listener: { protocol: "tcp" } });
    const socket = net.connect({ port: made.port, host: "127.0.0.1" });
    open.push({ close: () => socket.resetAndDestroy() });
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.write("1");
    await until(() => text === "1", "an echo");
    made.swap({ listener: { protocol: "tcp", proxyProtocol: TRUSTED } });
    socket.write("2");
    await until(() => text === "12", "another");
    expect(await talk(made.port, [bytes("x")])).toBe("ECONNRESET");
  });
});

describe.each(["io_uring", "epoll"] as const)("HTTP to an upstream that wants to know, %s", (io) => {
  test("each client has a connection of its own, which begins with its name", async () => {
    const firsts: string[] = [];
    const at = await upstream((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        if (!text.endsWith("\r\n\r\n")) return;
        firsts.push(text.slice(0, text.indexOf("\r\n")));
        text = "";
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      });
    });
    const { port, settled } = await plane({
      io,
      endpoints: [at],
      listener: { protocol: "http", proxyProtocol: TRUSTED },
      upstream: { proxyProtocol: "v1" },
    });
    const request = bytes("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    const last = bytes("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    await talk(port, [HEADER_1, request, last], 40);
    await talk(port, [HEADER_2, last], 40);
    expect(firsts).toEqual([
      "PROXY TCP4 192.0.2.7 198.51.100.9 1000 443",
      "PROXY TCP4 192.0.2.7 198.51.100.9 1000 443",
      "PROXY TCP6 2001:db8::7 2001:db8::9 1000 443",
    ]);
    await settled();
  });
});

describe.each(["io_uring", "epoll"] as const)("in front of TLS, %s", (io) => {
  /** Node's own TLS over a connection that begins with the header; `cut` says how all of it is divided into pieces. */
  async function secure(
    port: number,
    header: Uint8Array,
    cut: (all: Buffer) => readonly Uint8Array[],
  ): Promise<string> {
    const raw = net.connect({ port, host: "127.0.0.1" });
    raw.setNoDelay(true);
    open.push({ close: () => raw.destroy() });
    const wire = new Wire(raw, (first) => cut(Buffer.concat([header, first])));
    const socket = tls.connect({ socket: wire, rejectUnauthorized: false });
    const client = seen(socket);
    socket.write("hello\n\n");
    await until(() => client.events.some((event) => event !== "secureConnect"), "an end", client.events);
    return client.events.includes("end") ? client.text() : (client.events[0] ?? "");
  }

  const whole = (all: Buffer): readonly Uint8Array[] => [all];

  test.each([
    ["v1", HEADER_1],
    ["v2", HEADER_2],
  ] as const)("%s is taken off, wherever the pieces end", async (_version, header) => {
    const at = await upstream(parrot);
    const { port, counters, settled } = await plane({
      io,
      endpoints: [at],
      certificates: [issued],
      listener: { protocol: "tcp", proxyProtocol: TRUSTED, tls: listenerTls(1, { alpn: [] }) },
      upstream: { proxyProtocol: "v1" },
    });
    const told = Buffer.from(encodeProxyHeader("v1", sourceOf(header), destinationOf(header))).toString("latin1");
    // Header and ClientHello in one segment first; then cut at each byte of the header, behind it, and within the hello.
    const cuts = [...Array.from({ length: header.length + 8 }, (_, i) => i + 1), header.length + 100];
    const answers = await Promise.all([
      secure(port, header, whole),
      ...cuts.map((place) => secure(port, header, (all) => [all.subarray(0, place), all.subarray(place)])),
    ]);
    expect(new Set(answers)).toEqual(new Set([`${told}hello\n\n`]));
    expect(counters()["proxy_headers"]).toBe(cuts.length + 1);
    await settled();
  });

  test("header and handshake have one time together", async () => {
    const at = await upstream(parrot);
    const made = await plane({
      io,
      endpoints: [at],
      certificates: [issued],
      listener: { protocol: "tcp", proxyProtocol: TRUSTED, tls: listenerTls(1, { handshakeTimeoutMs: 1500 }) },
    });
    const raw = (): Seen => {
      const socket = net.connect({ port: made.port, host: "127.0.0.1" });
      open.push({ close: () => socket.destroy() });
      return seen(socket);
    };
    // The settings would give a header ten seconds.
    const silent = raw();
    const slow = raw();
    slow.socket.write(HEADER_1.subarray(0, 10));
    await sleep(900);
    // Has as much time as the slow one would have, if its header had cost it none.
    const late = raw();
    late.socket.write(HEADER_1);
    await until(() => made.counters()["proxy_headers"] === 1, "the late one's header");
    slow.socket.write(HEADER_1.subarray(10));
    let after: readonly string[] = ["none"];
    slow.socket.once("close", () => (after = [...late.events]));
    await silent.is("ECONNRESET");
    expect(made.counters()["proxy_headers_refused"]).toBe(1);
    await slow.is("close");
    expect(after).toEqual([]);
    await late.is("close");
    expect(made.counters()['tls_refused{reason="timeout"}']).toBe(2);
    await made.settled();
  });

  /** An endpoint that takes a header off and shakes hands behind it, as they come; tells who was introduced. */
  async function introduced(served: (header: string, socket: tls.TLSSocket) => void): Promise<string> {
    return upstream((raw) => {
      let bytes = Buffer.alloc(0);
      const read = (chunk: Buffer): void => {
        bytes = Buffer.concat([bytes, chunk]);
        const version1 = bytes.subarray(0, 5).toString() === "PROXY";
        const length = version1 ? bytes.indexOf("\r\n") + 2 : bytes.length < 16 ? 0 : 16 + bytes.readUInt16BE(14);
        if (length < 2 || bytes.length < length) return;
        raw.off("data", read);
        raw.pause();
        raw.unshift(bytes.subarray(length));
        const header = bytes.subarray(0, length).toString("latin1");
        const socket = new tls.TLSSocket(raw, { isServer: true, cert: issued.certificate, key: issued.key });
        socket.on("error", () => {});
        socket.once("secure", () => served(header, socket));
      };
      raw.on("data", read);
    });
  }

  test.each(["v1", "v2"] as const)("%s is sent first, to an endpoint of a stream that speaks TLS", async (version) => {
    const at = await introduced((header, socket) => socket.end(Buffer.from(`${header}|`, "latin1")));
    const { port, settled } = await plane({
      io,
      endpoints: [at],
      listener: { protocol: "tcp", proxyProtocol: TRUSTED },
      upstream: { proxyProtocol: version, tls: upstreamTls({ ca: authority.certificate }) },
    });
    const expected = encodeProxyHeader(version, sourceOf(HEADER_1), destinationOf(HEADER_1));
    expect(await talk(port, [HEADER_1, bytes("x")])).toBe(`${Buffer.from(expected).toString("latin1")}|`);
    await settled();
  });

  test.each(["v1", "v2"] as const)("%s is sent first, to an endpoint of requests that speaks TLS", async (version) => {
    const headers: string[] = [];
    const at = await introduced((header, socket) => {
      headers.push(header);
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    });
    const { port, settled } = await plane({
      io,
      endpoints: [at],
      certificates: [issued],
      listener: { protocol: "http", proxyProtocol: TRUSTED },
      upstream: { proxyProtocol: version, tls: upstreamTls({ ca: authority.certificate }) },
    });
    const last = bytes("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(await talk(port, [Buffer.concat([HEADER_2, last])])).toMatch(/ok$/);
    const expected = encodeProxyHeader(version, sourceOf(HEADER_2), destinationOf(HEADER_2));
    expect(headers).toEqual([Buffer.from(expected).toString("latin1")]);
    await settled();
  });

  test.each(["tcp", "http"] as const)("checks of type %s introduce themselves too", async (type) => {
    const headers: string[] = [];
    const at = await introduced((header, socket) => {
      headers.push(header);
      socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    });
    const by = { intervalMs: 50, timeoutMs: 1000, unhealthyThreshold: 1, healthyThreshold: 1 };
    const made = await plane({
      io,
      endpoints: [at],
      listener: { protocol: "tcp" },
      upstream: {
        proxyProtocol: "v1",
        tls: upstreamTls({ ca: authority.certificate }),
        healthCheck: { type, path: "/", host: "", statusMin: 200, statusMax: 299, ...by },
      },
    });
    await until(() => headers.length > 2, "checks");
    expect(new Set(headers)).toEqual(new Set(["PROXY UNKNOWN\r\n"]));
    const [member] = made.plane.engine?.upstreams[0]?.members ?? [];
    expect([member?.healthy, member?.checkError]).toEqual([true, ""]);
  });
});

/** Of one of the two headers above. */
function sourceOf(header: Uint8Array): Uint8Array {
  return parseAddress(header === HEADER_1 ? "192.0.2.7:1000" : "[2001:db8::7]:1000");
}

function destinationOf(header: Uint8Array): Uint8Array {
  return parseAddress(header === HEADER_1 ? "198.51.100.9:443" : "[2001:db8::9]:443");
}
