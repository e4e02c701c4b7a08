/** Real handshakes with Node's, curl's and OpenSSL's clients, over both drivers. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { setTicketKeys, TICKET_KEY_BYTES } from "#sys/openssl-tickets.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { sleep } from "#test/support/data-plane.ts";
import { startUpstream, type RawUpstream } from "#test/support/raw-http.ts";
import { CLIENT_AUTH, startTlsPlane, type TlsPlane, type TlsPlaneOptions } from "#test/support/tls-plane.ts";

const run = promisify(execFile);
const authority = new TestAuthority();
const site = authority.issue({ names: ["DNS:a.example", "DNS:localhost"] });
const wild = authority.issue({ names: ["DNS:*.wild.example"] });
const other = authority.issue({ names: ["DNS:b.example"] });
const rsa = authority.issue({ names: ["DNS:a.example", "DNS:localhost"], kind: "rsa" });

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const open: { stop(): Promise<void> }[] = [];

beforeAll(() => setTicketKeys([Buffer.alloc(TICKET_KEY_BYTES, 5)]));
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});
afterAll(() => authority.dispose());

async function upstream(answer: (socket: net.Socket, all: string, index: number) => void): Promise<RawUpstream> {
  const one = await startUpstream(answer);
  open.push({ stop: () => one.close() });
  return one;
}

async function gateway(options: Partial<TlsPlaneOptions> & Pick<TlsPlaneOptions, "io">): Promise<TlsPlane> {
  const endpoints = options.endpoints ?? [(await upstream((socket) => socket.write(OK))).address];
  const one = await startTlsPlane({ certificates: [site], ...options, endpoints });
  open.unshift({ stop: () => one.stop() });
  return one;
}

interface Asked {
  readonly port: number;
  readonly servername?: string;
}

/** A connection that has shaken hands and, with TLS 1.3, was not refused behind that. */
async function connected(options: Asked & tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: "127.0.0.1",
    ca: authority.certificate,
    servername: "a.example",
    ALPNProtocols: ["http/1.1"],
    ...options,
  });
  await once(socket, "secureConnect");
  return socket;
}

async function failure(options: Asked & tls.ConnectionOptions): Promise<string> {
  const socket = tls.connect({ host: "127.0.0.1", ca: authority.certificate, servername: "a.example", ...options });
  return new Promise((resolve) => {
    socket.on("error", (error) => resolve(error.message));
    socket.on("close", () => resolve("closed"));
    socket.on("secureConnect", () => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
    socket.on("data", () => resolve("answered"));
  });
}

async function ask(socket: tls.TLSSocket, request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"): Promise<string> {
  const answer = once(socket, "data");
  socket.write(request);
  return String((await answer)[0]);
}

/** Somebody between client and gateway, who passes bytes on in pieces of `step`, and can send and end by himself. */
async function relay(
  port: number,
  step = Infinity,
): Promise<{ port: number; toServer(bytes: Buffer): void; endToServer(): void }> {
  const up = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  up.setNoDelay(true).on("error", () => {});
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    up.on("data", (bytes) => socket.write(bytes));
    up.on("close", () => socket.destroy());
    socket.on("data", (bytes) => {
      const all = Buffer.from(bytes);
      for (let at = 0; at < all.length; at += step) up.write(all.subarray(at, at + step));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({ stop: async () => void server.close() }, { stop: async () => void up.destroy() });
  return {
    port: (server.address() as net.AddressInfo).port,
    toServer: (bytes) => up.write(bytes),
    endToServer: () => up.end(),
  };
}

describe.each(["io_uring", "epoll"] as const)("over %s", (io) => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("serves %s, keep-alive, and says goodbye", async (version) => {
    const up = await upstream((socket) => socket.write(OK));
    const one = await gateway({ io, endpoints: [up.address] });
    const client = await connected({ port: one.port, maxVersion: version, minVersion: version });
    expect(client.getProtocol()).toBe(version);
    expect(client.alpnProtocol).toBe("http/1.1");
    for (let i = 0; i < 20; i++) expect(await ask(client)).toBe(OK);
    client.end();
    await once(client, "close");
    await one.settled();
    expect(one.counters()).toMatchObject({ tls_handshakes: 1, tls_truncated: 0 });
    expect(up.received.join("")).toContain("x-forwarded-proto: https");
  });

  it("chooses the certificate by name: exact, wildcard, else the first", async () => {
    const one = await gateway({ io, certificates: [site, wild, other] });
    const subject = async (servername: string): Promise<string | undefined> => {
      const client = await connected({ port: one.port, servername, checkServerIdentity: () => undefined });
      const { subjectaltname } = client.getPeerCertificate();
      client.destroy();
      return subjectaltname;
    };
    expect(await subject("a.example")).toBe("DNS:a.example, DNS:localhost");
    expect(await subject("B.example")).toBe("DNS:b.example");
    expect(await subject("x.wild.example")).toBe("DNS:*.wild.example");
    expect(await subject("x.y.wild.example")).toBe("DNS:a.example, DNS:localhost");
    expect(await subject("unknown.example")).toBe("DNS:a.example, DNS:localhost");
  });

  it("has both kinds of key for one name", async () => {
    const one = await gateway({ io, certificates: [site, rsa] });
    const kind = async (sigalgs: string): Promise<string | undefined> => {
      const client = await connected({ port: one.port, sigalgs });
      const bits = client.getPeerX509Certificate()?.publicKey.asymmetricKeyType;
      client.destroy();
      return bits;
    };
    expect(await kind("ecdsa_secp256r1_sha256")).toBe("ec");
    expect(await kind("rsa_pss_rsae_sha256:RSA+SHA256")).toBe("rsa");
  });

  it("is spoken to by curl and by openssl", async () => {
    const one = await gateway({ io });
    const url = `https://localhost:${one.port}/`;
    const { stdout } = await run("curl", ["-sS", "--cacert", authority.certificateFile, url, url]);
    expect(stdout).toBe("okok");
    const s = await run("sh", [
      "-c",
      `(printf 'GET / HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n'; sleep 0.3) | openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:${one.port} -servername a.example -verify_return_error -CAfile ${authority.certificateFile}; true`,
    ]);
    expect(s.stdout).toContain("200 OK");
  });

  it("resumes sessions, of both versions", async () => {
    const one = await gateway({ io });
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const first = tls.connect({
        host: "127.0.0.1",
        port: one.port,
        ca: authority.certificate,
        servername: "a.example",
        maxVersion: version,
      });
      const [session] = (await once(first, "session")) as [Buffer];
      first.destroy();
      const again = await connected({ port: one.port, session, maxVersion: version });
      expect(again.isSessionReused()).toBe(true);
      expect(await ask(again)).toBe(OK);
      again.destroy();
    }
  });

  it("carries large bodies both ways past a slow reader, with bounded memory", async () => {
    const size = 24 * 1024 * 1024;
    let received = 0;
    const up = await startUpstream(() => {});
    await up.close();
    const server = net.createServer((socket) => {
      let head = true;
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        received += bytes.length;
        if (head) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        head = false;
        if (received >= size) socket.write(Buffer.alloc(size, 0x61));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push({ stop: async () => void server.close() });
    const one = await gateway({ io, endpoints: [`127.0.0.1:${(server.address() as net.AddressInfo).port}`] });
    const client = await connected({ port: one.port });
    client.write(`PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\n\r\n`);
    client.write(Buffer.alloc(size, 0x62));
    let got = 0;
    let least = Infinity;
    client.pause();
    for (let i = 0; i < 200 && received < size; i++) await sleep(25);
    await sleep(200);
    least = one.counters()["buffers_free"] ?? 0;
    const all = one.counters()["buffers_all"] ?? 0;
    expect(all - least).toBeLessThan(330);
    client.on("data", (bytes: Buffer) => (got += bytes.length));
    client.resume();
    for (let i = 0; i < 200 && got < size; i++) await sleep(25);
    expect(got).toBeGreaterThanOrEqual(size);
    client.destroy();
    await one.settled();
  }, 30_000);

  it("reads records cut at any byte", async () => {
    const one = await gateway({ io });
    const between = await relay(one.port, 1);
    const client = await connected({ port: between.port });
    expect(await ask(client)).toBe(OK);
    expect(await ask(client)).toBe(OK);
    client.destroy();
  });

  describe("client certificates", () => {
    const mine = authority.issue({ subject: "/O=acme/CN=worker 7" });
    const foreign = new TestAuthority("/CN=somebody else");
    const theirs = foreign.issue();
    afterAll(() => foreign.dispose());
    const auth = (more: Partial<typeof CLIENT_AUTH>) => ({
      clientAuth: { ...CLIENT_AUTH, mode: "required" as const, ca: authority.certificate, ...more },
    });
    const shown = { cert: mine.certificate, key: mine.key };

    it.each([
      ["required: with ours", auth({}), shown, "answered"],
      ["required: without", auth({}), {}, /certificate required|closed/],
      [
        "required: from another authority",
        auth({}),
        { cert: theirs.certificate, key: theirs.key },
        /unknown ca|closed|reset/,
      ],
      ["optional: without", auth({ mode: "optional" }), {}, "answered"],
      [
        "optional: from another authority",
        auth({ mode: "optional" }),
        { cert: theirs.certificate, key: theirs.key },
        /unknown ca|closed|reset/,
      ],
      [
        "pinned, any issuer: the right one",
        auth({ ca: "", fingerprints: [theirs.fingerprint] }),
        { cert: theirs.certificate, key: theirs.key },
        "answered",
      ],
      ["pinned, any issuer: another", auth({ ca: "", fingerprints: [theirs.fingerprint] }), shown, /closed|reset/],
      ["pinned and verified: another of ours", auth({ fingerprints: ["0".repeat(64)] }), shown, /closed|reset/],
    ] as const)("%s", async (_what, settings, certificate, outcome) => {
      const one = await gateway({ io, tls: settings });
      expect(await failure({ port: one.port, ...certificate })).toMatch(outcome);
    });
  });

  it("tells the upstream whose certificate it was, and nobody else can", async () => {
    const up = await upstream((socket) => socket.write(OK));
    const mine = authority.issue({ subject: "/O=acme/CN=worker 7" });
    const clientAuth = {
      ...CLIENT_AUTH,
      mode: "optional" as const,
      ca: authority.certificate,
      header: "x-client-cert",
    };
    const one = await gateway({ io, endpoints: [up.address], tls: { clientAuth } });
    const forged = "GET /one HTTP/1.1\r\nhost: a\r\nX-Client-Cert: Hash=forged\r\nx-client-cert: again\r\n\r\n";
    const known = await connected({ port: one.port, cert: mine.certificate, key: mine.key });
    expect(await ask(known, forged)).toBe(OK);
    const unknown = await connected({ port: one.port });
    expect(await ask(unknown, forged.replace("/one", "/two"))).toBe(OK);
    const all = up.received.join("");
    expect(all.match(/x-client-cert/gi)).toHaveLength(1);
    expect(all).toContain(`x-client-cert: Hash=${mine.fingerprint};Subject="CN=worker 7,O=acme"`);
    expect(all).not.toContain("forged");
    known.destroy();
    unknown.destroy();
  });

  it("changes certificates while connections live", async () => {
    const one = await gateway({ io });
    const before = await connected({ port: one.port });
    expect(await ask(before)).toBe(OK);
    one.change({ certificates: [authority.issue({ names: ["DNS:a.example"], subject: "/CN=newer" })] });
    expect(await ask(before)).toBe(OK);
    const after = await connected({ port: one.port });
    expect(after.getPeerCertificate().subject.CN).toBe("newer");
    expect(await ask(after)).toBe(OK);
    before.destroy();
    after.destroy();
  });

  it("staples the response it was given", async () => {
    const one = await gateway({ io, ocsp: Buffer.from("a response") });
    const client = tls.connect({
      host: "127.0.0.1",
      port: one.port,
      servername: "a.example",
      ca: authority.certificate,
      requestOCSP: true,
    });
    const [response] = (await once(client, "OCSPResponse")) as [Buffer | null];
    expect(response?.toString()).toBe("a response");
    client.destroy();
  });

  describe("what is refused, and counted", () => {
    it.each([
      [
        "an old version",
        { tls: { minVersion: "1.3" as const } },
        { maxVersion: "TLSv1.2" as const },
        'tls_refused{reason="version"}',
      ],
      [
        "no common cipher",
        { tls: { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" } },
        { maxVersion: "TLSv1.2" as const, ciphers: "AES128-SHA" },
        'tls_refused{reason="cipher"}',
      ],
      ["no common protocol", {}, { ALPNProtocols: ["h2"] }, 'tls_refused{reason="alpn"}'],
    ])("%s", async (_what, settings, client, counter) => {
      const one = await gateway({ io, ...settings });
      expect(await failure({ port: one.port, ...client })).not.toBe("answered");
      expect(one.counters()[counter]).toBe(1);
      expect(one.lines).toHaveLength(1);
      await one.settled();
    });

    it.each([
      ["garbage", Buffer.from([0, 1, 2, 3, 4, 5, 6]), 'tls_refused{reason="not-tls"}', ""],
      [
        "a ClientHello that is none",
        Buffer.from("16030100060100000200ff", "hex"),
        'tls_refused{reason="malformed-hello"}',
        "",
      ],
      [
        "plain HTTP",
        Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        'tls_refused{reason="plain-http"}',
        "HTTP/1.1 400 Bad Request",
      ],
    ])("%s", async (_what, bytes, counter, answer) => {
      const one = await gateway({ io });
      const client = net.connect(one.port, "127.0.0.1");
      client.write(bytes);
      let got = "";
      client.on("data", (more) => (got += String(more)));
      client.on("error", () => {});
      await once(client, "close");
      expect(got.startsWith(answer)).toBe(true);
      expect(one.counters()[counter]).toBe(1);
      await one.settled();
    });

    it("a handshake that takes too long, however far it came", async () => {
      const one = await gateway({ io, tls: { handshakeTimeoutMs: 150 } });
      const clients = [Buffer.alloc(0), Buffer.from([22]), Buffer.from([22, 3, 1, 2, 0, 1])].map((bytes) => {
        const client = net.connect(one.port, "127.0.0.1");
        client.write(bytes);
        client.on("error", () => {});
        return once(client, "close");
      });
      await Promise.all(clients);
      expect(one.counters()['tls_refused{reason="timeout"}']).toBe(3);
      await one.settled();
    });

    it("handshakes beyond their bound; those that were there go on", async () => {
      const one = await gateway({ io, tls: { handshakesMax: 5 } });
      const idle = Array.from({ length: 5 }, () => net.connect(one.port, "127.0.0.1").on("error", () => {}));
      await Promise.all(idle.map((client) => once(client, "connect")));
      for (let i = 0; i < 100 && one.counters()["tls_handshakes_open"] !== 5; i++) await sleep(10);
      const refused = net.connect(one.port, "127.0.0.1").on("error", () => {});
      await once(refused, "close");
      expect(one.counters()['tls_refused{reason="too-many-handshakes"}']).toBe(1);
      for (const client of idle.slice(0, 1)) client.destroy();
      await sleep(50);
      const client = await connected({ port: one.port });
      expect(await ask(client)).toBe(OK);
      client.destroy();
      for (const client of idle) client.destroy();
      await one.settled();
    });

    it("handshakes while memory is short; connections that are there go on", async () => {
      const one = await gateway({ io });
      const there = await connected({ port: one.port });
      const { buffers } = one.plane.context;
      const taken: number[] = [];
      while (buffers.free >= buffers.count >> 5) taken.push(buffers.allocate());
      const refused = net.connect(one.port, "127.0.0.1").on("error", () => {});
      await once(refused, "close");
      expect(one.counters()['tls_refused{reason="no-memory"}']).toBe(1);
      // A request over one that is there gets its answer, which says the same: 503.
      expect(await ask(there)).toMatch(/^HTTP\/1\.1 503 /);
      for (const buffer of taken) buffers.release(buffer);
      const client = await connected({ port: one.port });
      expect(await ask(client)).toBe(OK);
      for (const socket of [there, client]) socket.destroy();
      await one.settled();
    });

    it("renegotiation, and the connection goes on or ends", async () => {
      const one = await gateway({ io });
      const client = await connected({ port: one.port, maxVersion: "TLSv1.2" });
      const refused = await new Promise<boolean>((resolve) => {
        client.on("error", () => resolve(true));
        client.renegotiate({}, (error) => resolve(error !== null));
      });
      expect(refused).toBe(true);
      expect(one.counters()['tls_refused{reason="renegotiation"}']).toBe(1);
      client.destroy();
      await one.settled();
    });

    it("a record that was changed ends its connection", async () => {
      const one = await gateway({ io });
      const between = await relay(one.port);
      const client = await connected({ port: between.port });
      client.on("error", () => {});
      expect(await ask(client)).toBe(OK);
      between.toServer(Buffer.from([23, 3, 3, 0, 32, ...Array.from({ length: 32 }, () => 7)]));
      for (let i = 0; i < 100 && one.counters()['tls_refused{reason="protocol"}'] !== 1; i++) await sleep(20);
      expect(one.counters()['tls_refused{reason="protocol"}']).toBe(1);
      client.destroy();
      await one.settled();
    });
  });

  it("a client that leaves without a word is counted", async () => {
    const one = await gateway({ io });
    const between = await relay(one.port);
    const client = await connected({ port: between.port });
    client.on("error", () => {});
    expect(await ask(client)).toBe(OK);
    between.endToServer();
    await one.settled();
    expect(one.counters()["tls_truncated"]).toBe(1);
    client.destroy();
  });

  it("an https agent keeps its connection", async () => {
    const one = await gateway({ io });
    const agent = new https.Agent({ keepAlive: true, ca: authority.certificate, maxSockets: 1 });
    const get = () =>
      new Promise<number | undefined>((resolve, reject) => {
        https
          .get({ agent, port: one.port, host: "127.0.0.1", servername: "a.example" }, (response) => {
            response.resume();
            response.on("end", () => resolve(response.statusCode));
          })
          .on("error", reject);
      });
    for (let i = 0; i < 5; i++) expect(await get()).toBe(200);
    expect(one.counters()["tls_handshakes"]).toBe(1);
    agent.destroy();
    await one.settled();
  });
});
