/** Where streams of scripts come from and go to: TCP with half-close, TLS on both sides, names, retries, slow readers. */
import dgram from "node:dgram";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Layout } from "#pipeline/layout/layout.ts";
import type { ListenOptions } from "#pipeline/listen-options.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { startUpstream, talk } from "#test/support/raw-http.ts";
import { LENT_BUFFERS, startScript, type ScriptPlane } from "#test/support/script-plane.ts";

const open: (() => Promise<void>)[] = [];
let authority: TestAuthority;

beforeAll(() => void (authority = new TestAuthority()));
afterAll(() => authority.dispose());
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function script<C extends object>(
  build: ($: Layout<C>) => Layout<C>,
  options: ListenOptions = {},
): Promise<ScriptPlane> {
  const plane = await startScript(build, options);
  open.unshift(() => plane.stop());
  return plane;
}

test("TCP: bytes both ways, half-close passed on, and ctx.inbound", async () => {
  const upstream = await startUpstream((socket, all) => void socket.write(all.slice(-5).toUpperCase()));
  open.push(() => upstream.close());
  const seen: unknown[] = [];
  const plane = await script(($) =>
    $.onStart(({ inbound }) => {
      const { remoteAddress, localPort, serverName, socket } = inbound;
      // SOL_SOCKET, SO_TYPE: SOCK_STREAM.
      seen.push([remoteAddress, localPort, serverName, Buffer.from(socket.getOption(1, 3, 4)).readInt32LE()]);
      // SOL_SOCKET, SO_PRIORITY; and an option that no socket has.
      socket.setOption(1, 12, Uint8Array.of(5, 0, 0, 0));
      seen.push(Buffer.from(socket.getOption(1, 12, 4)).readInt32LE());
      try {
        socket.getOption(1, 9999, 4);
      } catch (error) {
        seen.push((error as Error).message);
      }
    }).connect(upstream.address),
  );
  const client = new RawClient(plane.port).send("hello");
  await client.until(({ received }) => received === "HELLO");
  client.end();
  await client.until(({ ended }) => ended);
  expect(seen).toEqual([["127.0.0.1", plane.port, null, 1], 5, expect.stringContaining("ENOPROTOOPT")]);
  await plane.settled();
});

test("a target that refuses: tried again, told, and the client is reset", async () => {
  const gone = await startUpstream(() => {});
  await gone.close();
  const states: string[] = [];
  const onState = (state: string): void => void states.push(state);
  const plane = await script(($) => $.connect(gone.address, { retryCount: 1, retryDelayMs: 1, onState }));
  const client = new RawClient(plane.port).send("x");
  await client.until(({ closed }) => closed);
  expect(states).toEqual(["connecting", "failed", "connecting", "failed"]);
  await plane.settled();
});

test("connections have their time, and a listen its number of them", async () => {
  const upstream = await startUpstream(() => {});
  open.push(() => upstream.close());
  const idle = await script(($) => $.connect(upstream.address), { idleTimeoutMs: 50, streamsMax: 1 });
  const first = new RawClient(idle.port).send("x");
  const second = new RawClient(idle.port);
  await second.until(({ closed }) => closed);
  await first.until(({ closed }) => closed);
  await idle.settled();

  const states: string[] = [];
  const onState = (state: string): void => void states.push(state);
  // TEST-NET-1 (RFC 5737): nobody answers there, or somebody says so.
  const nowhere = await script(($) => $.connect("192.0.2.1:9", { connectTimeoutMs: 50, onState }));
  await new RawClient(nowhere.port).send("x").until(({ closed }) => closed);
  expect(states).toEqual(["connecting", "failed"]);
  await nowhere.settled();

  const far = await script(($) => $.connect(upstream.address, { idleTimeoutMs: 50, onState }));
  await new RawClient(far.port).send("x").until(({ closed }) => closed);
  expect(states.slice(2)).toEqual(["connecting", "connected", "closed"]);
  await far.settled();
});

test("TLS to the client and to the target, by name", async () => {
  const [site, inner] = [
    authority.issue({ names: ["DNS:site.example"] }),
    authority.issue({ names: ["DNS:localhost"] }),
  ];
  const server = https.createServer({ cert: inner.certificate, key: inner.key }, (request, response) => {
    response.end(`${request.url} over TLS`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => void server.close(() => resolve())));
  server.on("connection", (socket) => open.push(async () => void socket.destroy()));
  const { port } = server.address() as net.AddressInfo;
  const trust = { ca: authority.certificate };
  const plane = await script(
    ($) =>
      $.demuxHTTP().to(($) =>
        $.handleMessageStart((msg, { inbound }) => {
          msg.head.path = `/${inbound.serverName}`;
        })
          .muxHTTP(() => "inner")
          .to(($) => $.connect(`127.0.0.1:${port}`, { tls: { ...trust, serverName: "localhost" } })),
      ),
    { tls: { certificates: [{ cert: site.certificate, key: site.key }] } },
  );
  const body = await new Promise<string>((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port: plane.port,
      servername: "site.example",
      ca: authority.certificate,
      agent: false,
    };
    https
      .get(options, (response) => {
        let text = "";
        response.on("data", (piece) => (text += String(piece))).on("end", () => resolve(text));
      })
      .on("error", reject);
  });
  expect(body).toBe("/site.example over TLS");
  const wrong = await script(($) => $.connect(`127.0.0.1:${port}`, { tls: trust }));
  await new RawClient(wrong.port).send("x").until(({ closed }) => closed);
  expect(wrong.log.join("\n")).toContain("TLS:");
});

test("TLS: versions, protocols, a certificate of one's own, and a target that is believed anyway", async () => {
  const [site, other, own] = ["DNS:site.example", "DNS:other.example", "DNS:client.example"].map((name) =>
    authority.issue({ names: [name] }),
  );
  if (site === undefined || other === undefined || own === undefined) throw new Error("no certificates");
  const server = tls.createServer(
    {
      cert: other.certificate,
      key: other.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ["one", "two"],
    },
    (socket) => {
      socket.on("error", () => socket.destroy());
      open.unshift(async () => void socket.destroy());
      socket.end(`${socket.authorized} ${String(socket.alpnProtocol)} ${socket.getProtocol()}`);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => void server.close(() => resolve())));
  const target = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const plane = await script(
    ($) =>
      $.connect(target, {
        tls: { insecure: true, certificate: { cert: own.certificate, key: own.key }, alpn: ["two"], minVersion: "1.3" },
      }),
    { tls: { certificates: [{ cert: site.certificate, key: site.key }], alpn: ["three"], minVersion: "1.3" } },
  );
  const ask = (options: tls.ConnectionOptions): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = "";
      const socket = tls.connect(
        { host: "127.0.0.1", port: plane.port, servername: "site.example", ca: authority.certificate, ...options },
        () => socket.write("x"),
      );
      socket.on("data", (piece) => (text += String(piece)));
      socket.on("end", () => resolve(`${text}, ${String(socket.alpnProtocol)}`)).on("error", reject);
    });
  expect(await ask({ ALPNProtocols: ["three"] })).toBe("true two TLSv1.3, three");
  await expect(ask({ maxVersion: "TLSv1.2" })).rejects.toThrow("alert protocol version");
  await expect.poll(() => plane.runtime.streams.size).toBe(0);
});

/** How many buffers are held more than now, once that does not change any more. */
function heldBy({ plane }: ScriptPlane): () => Promise<number> {
  const { buffers } = plane.context;
  const before = buffers.free;
  return async () => {
    let [held, still] = [0, 0];
    while (still < 10) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      still = before - buffers.free === held && held > 0 ? still + 1 : 0;
      held = before - buffers.free;
    }
    return held;
  };
}

test("a slow target bounds memory, and gets all of it in the end", async () => {
  const bytes = 24 * 1024 * 1024;
  let [received, go] = [0, (): void => {}];
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    open.unshift(async () => void socket.destroy());
    go = () => {
      socket.on("data", (piece) => {
        received += piece.length;
        if (received > bytes) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      });
    };
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => void server.close(() => resolve())));
  const target = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const plane = await script(($) => $.demuxHTTP().to(($) => $.muxHTTP(() => 1).to(($) => $.connect(target))));
  const held = heldBy(plane);
  const client = new RawClient(plane.port).send(`PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: ${bytes}\r\n\r\n`);
  client.socket.write(Buffer.alloc(bytes, 0x61));
  // What was under way when it was stopped is little of 24 MiB, in buffers of 32 KiB.
  expect(await held()).toBeLessThan(LENT_BUFFERS + 128);
  expect(client.socket.writableLength).toBeGreaterThan(0);
  go();
  await client.until(({ received: answer }) => answer.startsWith("HTTP/1.1 200"));
  expect(received).toBeGreaterThan(bytes);
  client.end();
  await plane.settled();
});

test("a slow reader bounds memory, and gets all of it in the end", async () => {
  const bytes = 48 * 1024 * 1024;
  const upstream = await startUpstream((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`);
    socket.write(Buffer.alloc(bytes, 0x61));
  });
  open.push(() => upstream.close());
  const plane = await script(($) =>
    $.demuxHTTP().to(($) =>
      $.replaceData((data) => data)
        .muxHTTP(() => 1)
        .to(($) => $.connect(upstream.address)),
    ),
  );
  const held = heldBy(plane);
  const client = new RawClient(plane.port);
  client.socket.pause();
  client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  expect(await held()).toBeLessThan(LENT_BUFFERS + 64);
  let received = 0;
  client.socket.removeAllListeners("data");
  client.socket.on("data", (piece) => (received += piece.length));
  client.socket.resume();
  await client.until(({ ended }) => ended);
  expect(received).toBeGreaterThan(bytes);
  client.end();
  await plane.settled();
});

test("a tunnel through demux and mux: an upgrade passes", async () => {
  const upstream = await startUpstream((socket, all) => {
    if (all.endsWith("\r\n\r\n")) {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nwelcome");
    } else socket.end(all.split("\r\n\r\n")[1] ?? "");
  });
  open.push(() => upstream.close());
  const plane = await script(($) => $.demuxHTTP().to(($) => $.muxHTTP(() => 1).to(($) => $.connect(upstream.address))));
  const client = new RawClient(plane.port).send(
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
  );
  await client.until(({ received }) => received.endsWith("welcome"));
  client.send("echo this");
  await client.until(({ ended }) => ended);
  expect(client.received).toMatch(/^HTTP\/1.1 101 [^]*\r\n\r\nwelcomeecho this$/);
  client.end();
  await plane.settled();
  expect(await talk(plane.port, "GET / HTTP/1.1\r\n\r\n")).toContain("400");
});

test("UDP: a datagram is a message, from client to target and back", async () => {
  const target = dgram.createSocket("udp4");
  target.on("message", (message, from) => target.send(`echo ${String(message)}`, from.port));
  await new Promise<void>((resolve) => target.bind(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => void target.close(resolve)));
  const plane = await script(
    ($) =>
      $.replaceData((data) => data.toString().toUpperCase())
        .connect(`127.0.0.1:${target.address().port}`, { protocol: "udp" })
        .handleData((data, { inbound }) => void sizes.push([data.size, inbound.remotePort])),
    { protocol: "udp" },
  );
  const sizes: number[][] = [];
  const client = dgram.createSocket("udp4");
  const answers: string[] = [];
  client.on("message", (message) => void answers.push(String(message)));
  await new Promise<void>((resolve) => client.bind(0, "127.0.0.1", resolve));
  open.unshift(() => new Promise((resolve) => void client.close(resolve)));
  // A datagram may be lost: asked again until it is answered.
  for (let i = 0; i < 100 && answers.length === 0; i++) {
    client.send("hello", plane.port, "127.0.0.1");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(answers[0]).toBe("echo HELLO");
  expect(sizes[0]).toEqual([10, client.address().port]);
});

test("TLS in the middle: accepted and connected over streams", async () => {
  const site = authority.issue({ names: ["DNS:inner.example"] });
  const upstream = await startUpstream((socket, all) => void socket.write(all.slice(-5).toUpperCase()));
  open.push(() => upstream.close());
  const accept = { certificates: [{ cert: site.certificate, key: site.key }] };
  const plane = await script(($) =>
    $.connectTLS({ ca: authority.certificate, serverName: "inner.example" }).to(($) =>
      $.acceptTLS(accept).to(($) => $.connect(upstream.address)),
    ),
  );
  const client = new RawClient(plane.port).send("hello");
  await client.until(({ received }) => received === "HELLO");
  client.end();
  await client.until(({ ended, closed }) => ended || closed);
  expect(plane.log).toEqual([]);

  const wrong = await script(($) =>
    $.connectTLS({ ca: authority.certificate, serverName: "other.example" }).to(($) =>
      $.acceptTLS(accept).to(($) => $.connect(upstream.address)),
    ),
  );
  await new RawClient(wrong.port).send("x").until(({ closed }) => closed);
  expect(wrong.log.join("\n")).toContain("TLS:");
});
