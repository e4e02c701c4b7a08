/** TLS to upstreams: who is believed and who is not, over a real socket against Node's own server. */
import { once } from "node:events";
import type net from "node:net";
import tls from "node:tls";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { TestAuthority, type Issued } from "#test/support/certificates.ts";
import { talk } from "#test/support/raw-http.ts";
import { testRoute } from "#test/support/snapshot.ts";
import type { UpstreamTlsSpec } from "#snapshot/tls.ts";
import { startTlsPlane, type TlsPlane, type TlsPlaneOptions } from "#test/support/tls-plane.ts";

const authority = new TestAuthority();
const foreign = new TestAuthority("/CN=somebody else");
const good = authority.issue({ names: ["DNS:api.example", "IP:127.0.0.1"] });
const named = authority.issue({ names: ["DNS:api.example"] });
const expired = authority.issue({ names: ["IP:127.0.0.1"], notBefore: -10, notAfter: -1 });
const theirs = foreign.issue({ names: ["IP:127.0.0.1"] });
const mine = authority.issue({ subject: "/CN=the gateway" });

const GET = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const open: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});
afterAll(() => {
  authority.dispose();
  foreign.dispose();
});

async function server(
  certificate: Issued,
  options: tls.TlsOptions = {},
  serve: (socket: tls.TLSSocket) => void = (socket) =>
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")),
): Promise<{ address: string; sockets: tls.TLSSocket[] }> {
  const sockets: tls.TLSSocket[] = [];
  const one = tls.createServer({ cert: certificate.certificate, key: certificate.key, ...options }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  one.on("tlsClientError", () => {});
  // Those too that are still shaking hands when the test is over.
  const connections: net.Socket[] = [];
  one.on("connection", (socket) => connections.push(socket));
  one.listen(0, "127.0.0.1");
  await once(one, "listening");
  open.push({
    stop: async () => {
      for (const socket of [...sockets, ...connections]) socket.destroy();
      one.close();
      await once(one, "close");
    },
  });
  return { address: `127.0.0.1:${(one.address() as net.AddressInfo).port}`, sockets };
}

async function gateway(
  options: Omit<TlsPlaneOptions, "io" | "certificates"> & Partial<TlsPlaneOptions>,
): Promise<TlsPlane> {
  const one = await startTlsPlane({ io: "io_uring", certificates: [], tls: null, ...options });
  open.unshift({ stop: () => one.stop() });
  return one;
}

describe("who is believed", () => {
  const ca = authority.certificate;
  it.each([
    ["our authority, the endpoint's address", good, { ca }, "200 OK", ""],
    ["the machine's authorities", good, {}, "200 OK", ""],
    ["a name in place of the address", named, { ca, serverName: "api.example" }, "200 OK", ""],
    ["another name", named, { ca, serverName: "b.example" }, "upstream-untrusted", "hostname mismatch"],
    ["a certificate without the address", named, { ca }, "upstream-untrusted", "IP address mismatch"],
    ["an expired one", expired, { ca }, "upstream-untrusted", "certificate has expired"],
    ["another authority", theirs, { ca }, "upstream-untrusted", "unable to get local issuer certificate"],
    ["anybody, as told", theirs, { insecureSkipVerify: true }, "200 OK", ""],
    ["anybody, but this certificate", theirs, { insecureSkipVerify: true, pins: [theirs.fingerprint] }, "200 OK", ""],
    ["a pin of another", good, { ca, pins: [theirs.fingerprint] }, "upstream-untrusted", "not pinned"],
  ] as const)("%s", async (_what, certificate, settings, answer, line) => {
    const up = await server(certificate);
    const one = await gateway({ endpoints: [up.address], upstreamTls: settings, systemCa: authority.certificate });
    const got = await talk(one.port, GET);
    expect(got).toContain(answer);
    if (answer !== "200 OK") expect(got).toContain("502 Bad Gateway");
    expect(one.lines.join()).toContain(line);
    await one.settled();
  });
});

it("shows its own certificate where it has one", async () => {
  const up = await server(good, { ca: authority.certificate, requestCert: true, rejectUnauthorized: true });
  const settings = { ca: authority.certificate };
  const shown = await gateway({
    endpoints: [up.address],
    certificates: [mine],
    upstreamTls: { ...settings, clientCertificate: 0 },
  });
  expect(await talk(shown.port, GET)).toContain("200 OK");
  expect(up.sockets[0]?.getPeerCertificate().subject.CN).toBe("the gateway");
  const without = await gateway({ endpoints: [up.address], upstreamTls: settings });
  expect(await talk(without.port, GET)).toContain("502 Bad Gateway");
});

it("keeps connections, and resumes sessions where it makes new ones", async () => {
  const up = await server(good, {}, (socket) =>
    socket.on("data", (bytes) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      if (String(bytes).includes("/last")) socket.end();
    }),
  );
  const one = await gateway({ endpoints: [up.address], upstreamTls: { ca: authority.certificate } });
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`;
  expect(await talk(one.port, get("/"))).toContain("200 OK");
  expect(await talk(one.port, get("/last"))).toContain("200 OK");
  expect(up.sockets).toHaveLength(1);
  expect(await talk(one.port, get("/"))).toContain("200 OK");
  expect(up.sockets).toHaveLength(2);
  expect(one.counters()).toMatchObject({ tls_upstream_handshakes: 2, tls_upstream_resumed: 1 });
});

it("uses a connection under the settings that it was made with, and under no others", async () => {
  const up = await server(good, { ca: authority.certificate, requestCert: true, rejectUnauthorized: false });
  const { certificate: ca } = authority;
  const one = await gateway({ endpoints: [up.address], certificates: [mine], upstreamTls: { ca } });
  const connections = async (): Promise<number> => {
    expect(await talk(one.port, GET)).toContain("200 OK");
    return up.sockets.length;
  };
  expect([await connections(), await connections()]).toEqual([1, 1]);
  one.change({ timeouts: { requestMs: 5000 } });
  expect(await connections()).toBe(1);
  one.change({ upstreamTls: { ca, clientCertificate: 0 } });
  expect(await connections()).toBe(2);
  expect(up.sockets[1]?.getPeerCertificate().subject.CN).toBe("the gateway");
});

it.each(["http", "tcp"] as const)("checks by %s shake hands too, and leave out who is not trusted", async (type) => {
  const checkedBy = { intervalMs: 100, timeoutMs: 1000, unhealthyThreshold: 1, healthyThreshold: 1 };
  const healthCheck = { type, path: "/", host: "", statusMin: 200, statusMax: 299, ...checkedBy };
  const upstreamTls = { ca: authority.certificate };
  const trusted = await server(good);
  const sound = await gateway({ endpoints: [trusted.address], upstreamTls, upstream: { healthCheck } });
  await expect.poll(() => trusted.sockets.length).toBeGreaterThan(1);
  expect(await talk(sound.port, GET)).toContain("200 OK");
  const untrusted = await server(theirs);
  const sick = await gateway({ endpoints: [untrusted.address], upstreamTls, upstream: { healthCheck } });
  await expect.poll(() => talk(sick.port, GET)).toContain('"no-healthy-endpoint"');
});

it("a response that ends with its connection is whole when the upstream says so", async () => {
  const up = await server(good, {}, (socket) =>
    socket.on("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf", () => socket.end());
    }),
  );
  const one = await gateway({ endpoints: [up.address], upstreamTls: { ca: authority.certificate } });
  expect(await talk(one.port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", (all) => all.endsWith("0\r\n\r\n"))).toContain(
    "half",
  );
});

it("what is no TLS is a failure of its own", async () => {
  const { createServer } = await import("node:net");
  const plain = createServer((socket) => socket.on("error", () => {}).end("HTTP/1.1 400 no\r\n\r\n")).listen(
    0,
    "127.0.0.1",
  );
  await once(plain, "listening");
  open.push({ stop: async () => void plain.close() });
  const { port } = plain.address() as net.AddressInfo;
  const one = await gateway({ endpoints: [`127.0.0.1:${port}`], upstreamTls: { ca: authority.certificate } });
  expect(await talk(one.port, GET)).toContain("upstream-tls-failed");
  expect(one.lines.join()).toContain("endpoint 127.0.0.1: TLS: ");
});

it("a tunnel offers what is configured for streams, and nothing else: it need not carry HTTP", async () => {
  const offered: unknown[] = [];
  const tell = (socket: tls.TLSSocket): void => {
    offered.push(socket.alpnProtocol);
    socket.end("through");
  };
  const up = await server(good, { ALPNProtocols: ["mqtt", "http/1.1"] }, tell);
  const route = testRoute({ connect: "tunnel" });
  const through = async (settings: Partial<UpstreamTlsSpec>): Promise<string> => {
    const upstreamTls = { ca: authority.certificate, ...settings };
    const one = await gateway({ endpoints: [up.address], upstreamTls, routes: [route] });
    return talk(one.port, "CONNECT broker.example:8883 HTTP/1.1\r\nhost: broker.example:8883\r\n\r\n");
  };
  expect(await through({})).toMatch(/^HTTP\/1\.1 200 [^]*through$/);
  expect(await through({ streamAlpn: ["mqtt"] })).toMatch(/through$/);
  expect(offered).toEqual([false, "mqtt"]);
});
