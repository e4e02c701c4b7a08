/** PROXY headers in front of listeners and upstreams, in any pieces, for HTTP and for TCP. */
import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { startStreamPlane, type StreamPlane, type StreamPlaneOptions } from "#test/support/stream-plane.ts";

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
    await sleep(100);
    made.swap({ listener: { protocol: "tcp", proxyProtocol: TRUSTED } });
    socket.write("2");
    await sleep(100);
    expect(text).toBe("12");
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
