/** TCP, UDP, TLS passed through and the PROXY protocol, declared in YAML and served by the started gateway. */
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { noSockmap } from "#test/support/sockmap-rig.ts";
import { freePort } from "#test/support/ports.ts";

const authority = new TestAuthority();
const issued = authority.issue();
const closing: (() => unknown)[] = [() => authority.dispose()];
const MIB = 1 << 20;

async function listening(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** Ends with what it got, once the client has ended. */
const echo = net.createServer({ allowHalfOpen: true }, (socket) => {
  const chunks: Buffer[] = [];
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("end", () => socket.end(Buffer.concat(chunks)));
});

/** Says for whom the gateway asks. */
function web(): net.Server {
  return http.createServer((request, response) => response.end(request.headers["x-forwarded-for"]));
}

function tlsServer(name: string): net.Server {
  const server = tls.createServer({ cert: issued.certificate, key: issued.key }, (socket) => socket.end(name));
  server.on("tlsClientError", () => {});
  return server;
}

/** All that comes back for what is sent and ended; or the error. */
async function exchange(port: number, bytes: Uint8Array | string): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.end(bytes);
  return new Promise((resolve) => {
    socket.on("end", () => resolve(Buffer.concat(chunks).toString("latin1")));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
}

async function secret(port: number, servername: string): Promise<string> {
  const socket = tls.connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  return new Promise((resolve) => {
    socket.on("end", () => resolve(text));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
}

describe.each(["io_uring", "epoll"])("over %s", (io) => {
  let gateway: Gateway;

  beforeAll(async () => {
    const up = echo.listening ? `127.0.0.1:${(echo.address() as net.AddressInfo).port}` : await listening(echo);
    const [a, b] = [await listening(tlsServer("a")), await listening(tlsServer("b"))];
    const datagrams = dgram.createSocket("udp4");
    datagrams.on("message", (bytes, from) => datagrams.send(`got ${bytes.toString()}`, from.port, from.address));
    await new Promise<void>((resolve) => datagrams.bind(0, "127.0.0.1", resolve));
    closing.push(() => datagrams.close());
    const port = await freePort();
    const at = async () => `127.0.0.1:${await freePort()}`;
    gateway = await startGateway({
      env: { PENSTOCK_IO: io },
      workers: 2,
      config: {
        listeners: [
          { name: "tcp", address: `127.0.0.1:${port}`, protocol: "tcp" },
          // The same number, of the other protocol.
          { name: "udp", address: `127.0.0.1:${port}`, protocol: "udp", idleTimeoutMs: 2000 },
          { name: "pass", address: await at(), protocol: "tls-passthrough" },
          { name: "behind", address: await at(), protocol: "tcp", proxyProtocol: { trusted: ["127.0.0.0/8"] } },
          { name: "closed", address: await at(), protocol: "tcp" },
          { name: "joined", address: await at(), protocol: "tcp", splice: "sockmap" },
          {
            name: "secure",
            address: await at(),
            protocol: "http",
            tls: { certificates: ["site"] },
            proxyProtocol: { trusted: ["127.0.0.0/8"] },
          },
        ],
        upstreams: [
          { name: "echo", endpoints: [{ address: up }] },
          { name: "told", endpoints: [{ address: up }], proxyProtocol: "v1" },
          { name: "a", endpoints: [{ address: a }] },
          { name: "web", endpoints: [{ address: await listening(web()) }] },
          { name: "b", endpoints: [{ address: b }] },
          { name: "dns", endpoints: [{ address: `127.0.0.1:${datagrams.address().port}` }] },
        ],
        certificates: [{ name: "site", certFile: issued.certificateFile, keyFile: issued.keyFile }],
        tenants: [{ name: "t", hosts: ["*.t.example"] }],
        routes: [
          { name: "tcp", tenant: "t", listeners: ["tcp"], upstream: "echo" },
          { name: "joined", tenant: "t", listeners: ["joined"], upstream: "echo" },
          { name: "udp", tenant: "t", listeners: ["udp"], upstream: "dns" },
          { name: "a", tenant: "t", listeners: ["pass"], match: { hosts: ["a.t.example"] }, upstream: "a" },
          { name: "b", tenant: "t", listeners: ["pass"], match: { hosts: ["*.t.example"] }, upstream: "b" },
          {
            name: "office",
            tenant: "t",
            listeners: ["behind"],
            match: { sources: ["192.0.2.0/24"] },
            upstream: "told",
          },
          {
            name: "secure",
            tenant: "t",
            listeners: ["secure"],
            match: { hosts: ["a.t.example"] },
            filters: [{ builtin: "ip-access", config: { allow: ["192.0.2.7/32"] } }],
            upstream: "web",
          },
          {
            name: "closed",
            tenant: "t",
            listeners: ["closed"],
            filters: [{ builtin: "ip-access", config: { deny: ["127.0.0.0/8"] } }],
            upstream: "echo",
          },
        ],
        settings: { accessLog: "json", drainMs: 500 },
      },
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    if (io === "epoll") for (const close of closing.splice(0).toReversed()) close();
  });

  test("TCP: a megabyte there and back, and half-close", async () => {
    const bytes = Buffer.alloc(MIB, "0123456789");
    expect(await exchange(gateway.port("tcp"), bytes)).toBe(bytes.toString("latin1"));
  });

  test("TCP whose bytes a program in the kernel moves, where there is one; workers, where there is none", async () => {
    const bytes = Buffer.alloc(MIB, "0123456789");
    expect(await exchange(gateway.port("joined"), bytes)).toBe(bytes.toString("latin1"));
    const { body } = await gateway.admin("GET", "/metrics");
    if (noSockmap() === null) expect(sum(body, 'penstock_kernel_splice_bytes_total{how="moved"}')).toBeGreaterThan(0);
    else process.stdout.write(`skipped: bytes moved by the kernel: ${noSockmap()}\n`);
  });

  test("UDP on the same port number; a client stays with one worker", async () => {
    const client = dgram.createSocket("udp4");
    const received: string[] = [];
    client.on("message", (bytes) => received.push(bytes.toString()));
    for (let i = 0; i < 10; i++) client.send(`${i}`, gateway.port("udp"), "127.0.0.1");
    const answers = Array.from({ length: 10 }, (_, i) => `got ${i}`);
    await expect.poll(() => received.toSorted()).toEqual(answers);
    client.close();
    const { body } = await gateway.admin("GET", "/metrics");
    expect(sum(body, "penstock_udp_sessions_total")).toBe(1);
  });

  test("TLS by server name, undecrypted", async () => {
    expect(await secret(gateway.port("pass"), "a.t.example")).toBe("a");
    expect(await secret(gateway.port("pass"), "x.t.example")).toBe("b");
    expect(await secret(gateway.port("pass"), "else.example")).toBe("ECONNRESET");
  });

  test("PROXY header in, PROXY header out", async () => {
    const port = gateway.port("behind");
    const header = "PROXY TCP4 192.0.2.7 198.51.100.9 1000 443\r\n";
    expect(await exchange(port, `${header}hello`)).toBe(`${header}hello`);
    expect(await exchange(port, "PROXY TCP4 203.0.113.7 198.51.100.9 1000 443\r\nhello")).toBe("ECONNRESET");
    expect(await exchange(port, "hello")).toBe("ECONNRESET");
  });

  test("a PROXY header in front of TLS that ends here", async () => {
    const ask = async (client: string): Promise<string> => {
      const plain = net.connect({ port: gateway.port("secure"), host: "127.0.0.1" });
      plain.write(`PROXY TCP4 ${client} 198.51.100.9 1000 443\r\n`);
      const socket = tls.connect({ socket: plain, servername: "a.t.example", rejectUnauthorized: false });
      socket.write("GET / HTTP/1.1\r\nhost: a.t.example\r\nconnection: close\r\n\r\n");
      let text = "";
      socket.on("data", (chunk) => (text += chunk.toString()));
      return new Promise((resolve) => {
        socket.on("end", () => resolve(text));
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
      });
    };
    expect(await ask("192.0.2.7")).toMatch(/^HTTP\/1\.1 200 [^]*192\.0\.2\.7$/);
    expect(await ask("192.0.2.8")).toMatch(/^HTTP\/1\.1 403 /);
  });

  test("a filter refuses", async () => {
    expect(await exchange(gateway.port("closed"), "hello")).toBe("ECONNRESET");
  });

  test("metrics, log and explain tell of it", async () => {
    const { body } = await gateway.admin("GET", "/metrics");
    expect(sum(body, "penstock_tcp_bytes_received_total")).toBeGreaterThan(MIB);
    expect(sum(body, 'penstock_stream_outcomes_total{outcome="denied"')).toBe(1);
    expect(sum(body, "penstock_proxy_headers_refused_total")).toBe(1);
    const open = async () => sum((await gateway.admin("GET", "/metrics")).body, "penstock_tcp_streams_open");
    await expect.poll(open).toBe(0);
    // The log is written a little later, by each worker for itself.
    const told = (...parts: string[]) =>
      gateway.logs.some((line) => line.includes('"method":"T') && parts.every((part) => line.includes(part)));
    await expect.poll(() => told('"host":"a.t.example"', '"route":"a"')).toBe(true);
    await expect.poll(() => told(`"requestBytes":${MIB},"responseBytes":${MIB}`)).toBe(true);

    const ask = async (query: string) =>
      JSON.parse((await gateway.admin("GET", `/v1/explain?${query}`)).body) as object;
    expect(await ask("url=tcp://a.t.example&listener=pass")).toMatchObject({
      route: { tenant: "t", name: "a" },
      action: "upstream a (1)",
      reasons: [
        expect.stringContaining("a (a.t.example): chosen"),
        expect.stringContaining("b (*.t.example): outranked"),
      ],
    });
    expect(await ask("url=tcp://x&listener=behind&header=source:203.0.113.7")).toMatchObject({
      route: null,
      action: "reset",
      reasons: [expect.stringContaining("source is not")],
    });
  });
});

function sum(metrics: string, prefix: string): number {
  return metrics
    .split("\n")
    .filter((line) => line.startsWith(prefix))
    .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
