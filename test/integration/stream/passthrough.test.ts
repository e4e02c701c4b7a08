/** TLS passed through by server name: routed without being decrypted, whatever the pieces the ClientHello comes in. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { parseAddress } from "#core/address.ts";
import { startStreamPlane, type StreamPlane } from "#test/support/stream-plane.ts";
import { TestAuthority } from "#test/support/certificates.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});
const authority = new TestAuthority();
afterAll(() => authority.dispose());
const issued = authority.issue();

/** A TLS server that tells its name. */
async function server(name: string): Promise<string> {
  const sockets = new Set<net.Socket>();
  const made = tls.createServer({ cert: issued.certificate, key: issued.key }, (socket) => socket.end(name));
  made.on("connection", (socket) => sockets.add(socket));
  made.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => made.close(resolve));
    },
  });
  return `127.0.0.1:${(made.address() as net.AddressInfo).port}`;
}

/** What the server behind says to a client that asks for `servername`; or the error. */
function ask(port: number, servername: string, socket?: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    const client = tls.connect({
      ...(socket === undefined ? { port, host: "127.0.0.1" } : { socket }),
      ...(servername === "" ? {} : { servername }),
      rejectUnauthorized: false,
    });
    open.push({ close: () => client.destroy() });
    let text = "";
    client.on("data", (chunk) => (text += chunk.toString()));
    client.on("end", () => resolve(text));
    client.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
  });
}

async function plane(io: "io_uring" | "epoll", proxied = false, headTimeoutMs = 5000): Promise<StreamPlane> {
  const [a, wild] = [await server("a"), await server("wild")];
  const other = await server("any");
  const spec = (name: string, address: string) => ({
    name,
    endpoints: [{ address, weight: 1 }],
    timeouts: { connectMs: 1000, requestMs: 1000, idleMs: 1000 },
    idleConnectionsMax: 0,
  });
  const route = (name: string, serverNames: string[], upstream: number) => ({
    name,
    match: { serverNames, sources: [], destinations: [] },
    action: { kind: "upstream" as const, split: [{ upstream, weight: 1 }] },
  });
  const made = await startStreamPlane({
    io,
    endpoints: [a],
    others: [spec("wild", wild), spec("other", other)],
    listener: {
      protocol: "tls-passthrough",
      ...(proxied ? { proxyProtocol: { trusted: ["127.0.0.0/8"], required: true } } : {}),
    },
    routes: [route("a", ["a.example.com"], 0), route("wild", ["*.example.com"], 1), route("any", [], 2)],
    headTimeoutMs,
  });
  open.push({ close: () => made.stop() });
  return made;
}

describe.each(["io_uring", "epoll"] as const)("%s", (io) => {
  test("by exact name, by wildcard, and the rest", async () => {
    const { port, settled } = await plane(io);
    expect(await ask(port, "a.example.com")).toBe("a");
    expect(await ask(port, "A.Example.COM")).toBe("a");
    expect(await ask(port, "b.example.com")).toBe("wild");
    expect(await ask(port, "other.test")).toBe("any");
    expect(await ask(port, "")).toBe("any");
    await settled();
  });

  test("a ClientHello that comes a few bytes at a time", async () => {
    const { port } = await plane(io);
    // A relay in the test that cuts what the client sends.
    const slow = net.createServer((inside) => {
      const outside = net.connect({ port, host: "127.0.0.1" });
      outside.setNoDelay(true);
      outside.pipe(inside);
      inside.on("error", () => {});
      outside.on("error", () => inside.destroy());
      let queue = Promise.resolve();
      inside.on("data", (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; at += 61) {
          queue = queue.then(async () => {
            outside.write(chunk.subarray(at, at + 61));
            await sleep(1);
          });
        }
      });
      inside.on("end", () => void queue.then(() => outside.end()));
    });
    await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
    open.push({ close: () => new Promise((resolve) => slow.close(resolve)) });
    expect(await ask((slow.address() as net.AddressInfo).port, "a.example.com")).toBe("a");
  });

  test("behind a PROXY header", async () => {
    const { port } = await plane(io, true);
    const socket = net.connect({ port, host: "127.0.0.1" });
    open.push({ close: () => socket.destroy() });
    socket.write(encodeProxyHeader("v2", parseAddress("192.0.2.7:1000"), parseAddress("192.0.2.8:443")));
    expect(await ask(port, "b.example.com", socket)).toBe("wild");
  });

  test("what is no TLS, and what never ends, is reset and counted", async () => {
    const { port, counters, settled } = await plane(io, false, 400);
    for (const [bytes, outcome] of [
      ["GET / HTTP/1.1\r\n\r\n", "not-tls"],
      ["\x16\x03\x01\x00", "hello-timeout"],
    ] as const) {
      const socket = net.connect({ port, host: "127.0.0.1" });
      open.push({ close: () => socket.destroy() });
      socket.write(Buffer.from(bytes, "latin1"));
      const end = await new Promise((resolve) =>
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code)),
      );
      expect(end).toBe("ECONNRESET");
      expect(counters()[`stream_outcomes{outcome="${outcome}"}`]).toBe(1);
    }
    await settled();
  });
});
