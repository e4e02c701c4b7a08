/** TLS from tcp listeners to upstreams: who is believed, what is asked and offered, ends in every order, cuts. */
import net from "node:net";
import tls from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { UpstreamSpec } from "#snapshot/snapshot.ts";
import type { UpstreamTlsSpec } from "#snapshot/tls.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { startStreamPlane, type StreamPlane } from "#test/support/stream-plane.ts";
import { listenerTls, upstreamTls } from "#test/support/tls-plane.ts";
import { seen, tcpServer, tlsClient, tlsServer, until, Wire, type Seen } from "#test/support/tls-peers.ts";

const authority = new TestAuthority();
const foreign = new TestAuthority("/CN=somebody else");
const good = authority.issue({ names: ["DNS:broker.example", "IP:127.0.0.1"] });
const named = authority.issue({ names: ["DNS:broker.example"] });
const theirs = foreign.issue({ names: ["IP:127.0.0.1"] });
const mine = authority.issue({ subject: "/CN=the gateway", names: ["DNS:a.example"] });

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});
afterAll(() => {
  authority.dispose();
  foreign.dispose();
});

interface Options {
  readonly io: "io_uring" | "epoll";
  readonly endpoints: readonly string[];
  readonly tls?: Partial<UpstreamTlsSpec>;
  readonly upstream?: Partial<UpstreamSpec>;
  /** The client speaks TLS too. */
  readonly encrypted?: boolean;
}

async function plane({ io, endpoints, tls: over, upstream, encrypted = false }: Options): Promise<StreamPlane> {
  const made = await startStreamPlane({
    io,
    endpoints,
    certificates: [mine],
    listener: { protocol: "tcp", ...(encrypted ? { tls: listenerTls(1, { alpn: [] }) } : {}) },
    upstream: { ...upstream, tls: upstreamTls({ ca: authority.certificate, ...over }) },
  });
  open.push({ close: () => made.stop() });
  return made;
}

function client(port: number): Seen<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  open.push({ close: () => socket.destroy() });
  return seen(socket);
}

const outcome = (made: StreamPlane, name: string) => made.counters()[`stream_outcomes{outcome="${name}"}`];

describe.each(["io_uring", "epoll"] as const)("%s", (io) => {
  describe("who is believed", () => {
    test.each([
      ["our authority, the endpoint's address", good, {}, "", ""],
      ["a name in place of the address", named, { serverName: "broker.example" }, "", ""],
      ["a certificate without the address", named, {}, "upstream-untrusted", "IP address mismatch"],
      ["another authority", theirs, {}, "upstream-untrusted", "unable to get local issuer certificate"],
      [
        "anybody, but this certificate",
        theirs,
        { ca: "", insecureSkipVerify: true, pins: [theirs.fingerprint] },
        "",
        "",
      ],
      ["a pin of another", good, { pins: [theirs.fingerprint] }, "upstream-untrusted", "not pinned"],
    ] as const)("%s", async (_what, certificate, settings, refusal, line) => {
      const at = await tlsServer(certificate, open, (socket) => socket.end("hello"));
      const made = await plane({ io, endpoints: [at], tls: settings });
      const one = client(made.port);
      await one.is(refusal === "" ? "end" : "ECONNRESET");
      expect(one.text()).toBe(refusal === "" ? "hello" : "");
      one.socket.destroy();
      if (refusal !== "") expect(outcome(made, refusal)).toBe(1);
      expect(made.lines.join()).toContain(line);
      await made.settled();
    });
  });

  test("a server name is asked for; nothing is offered by ALPN unless it is said what", async () => {
    const asked: (readonly [unknown, unknown])[] = [];
    const tell = (socket: tls.TLSSocket) => {
      asked.push([Reflect.get(socket, "servername"), socket.alpnProtocol]);
      socket.end();
    };
    const at = await tlsServer(good, open, tell, { ALPNProtocols: ["mqtt"] });
    const ask = async (settings: Partial<UpstreamTlsSpec>): Promise<void> => {
      const made = await plane({ io, endpoints: [at], tls: settings });
      await client(made.port).is("end");
    };
    await ask({ serverName: "broker.example" });
    await ask({ serverName: "broker.example", streamAlpn: ["amqp", "mqtt"] });
    await ask({});
    expect(asked).toEqual([
      ["broker.example", false],
      ["broker.example", "mqtt"],
      [false, false],
    ]);
    // Who speaks nothing of what is offered says so, and that is a failed connect.
    const made = await plane({ io, endpoints: [at], tls: { streamAlpn: ["amqp"] } });
    await client(made.port).is("ECONNRESET");
    expect(outcome(made, "upstream-tls-failed")).toBe(1);
  });

  test("our certificate is shown, and sessions are resumed", async () => {
    const names: string[] = [];
    const reused: boolean[] = [];
    const settings = { ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
    const at = await tlsServer(
      good,
      open,
      (socket) => {
        names.push(String(socket.getPeerCertificate().subject?.CN));
        reused.push(socket.isSessionReused());
        socket.on("data", (chunk) => socket.write(chunk));
        socket.on("end", () => socket.end());
      },
      settings,
    );
    const made = await plane({ io, endpoints: [at], tls: { clientCertificate: 0 } });
    for (let i = 0; i < 2; i++) {
      const one = client(made.port);
      one.socket.end("echo");
      await one.is("end");
      expect(one.text()).toBe("echo");
    }
    expect(names[0]).toBe("the gateway");
    expect(reused).toEqual([false, true]);
    expect(made.counters()).toMatchObject({ tls_upstream_handshakes: 2, tls_upstream_resumed: 1 });
    await made.settled();
    const without = await plane({ io, endpoints: [at] });
    const refused = client(without.port);
    refused.socket.write("x");
    await until(() => refused.events.length > 0, "an end");
    expect([refused.text(), names.length]).toEqual(["", 2]);
  });

  test("an endpoint that is no TLS, or not trusted, is passed over for one that is", async () => {
    const plain = await tcpServer(open, (socket) => socket.end("not TLS"));
    const untrusted = await tlsServer(theirs, open, (socket) => socket.end("stranger"));
    const at = await tlsServer(good, open, (socket) => socket.end("friend"));
    const made = await plane({ io, endpoints: [plain, untrusted, at] });
    for (let i = 0; i < 3; i++) {
      const one = client(made.port);
      await one.is("end");
      expect(one.text()).toBe("friend");
      one.socket.destroy();
    }
    expect(made.counters()["upstream_connect_failures"]).toBeGreaterThan(1);
    await made.settled();
  });

  describe.each([false, true])("ends, the client by TLS too: %s", (encrypted) => {
    const opened = (port: number): Seen => (encrypted ? tlsClient(port, open) : client(port));

    test("client first: the server is told by close_notify, and answers after it", async () => {
      const at = await tlsServer(good, open, (socket) => {
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString()));
        socket.on("end", () => setTimeout(() => socket.end(`got ${text}`), 50));
      });
      const made = await plane({ io, endpoints: [at], encrypted });
      const one = opened(made.port);
      one.socket.end("all of it");
      await one.is("end");
      expect(one.text()).toBe("got all of it");
      await made.settled();
      expect([outcome(made, "closed"), made.counters()["tls_truncated"]]).toEqual([1, 0]);
    });

    test("server first: the client goes on", async () => {
      let received = "";
      let ended = false;
      const at = await tlsServer(good, open, (socket) => {
        socket.end("bye");
        socket.on("data", (chunk) => (received += chunk.toString()));
        socket.on("end", () => (ended = true));
      });
      const made = await plane({ io, endpoints: [at], encrypted });
      const one = opened(made.port);
      await one.is("end");
      expect(one.text()).toBe("bye");
      one.socket.write("still ");
      await until(() => received === "still ", "bytes after the server's end");
      expect(ended).toBe(false);
      one.socket.end("here");
      await until(() => ended, "the client's end");
      expect(received).toBe("still here");
      await made.settled();
    });

    test("both at once", async () => {
      let received = "";
      const at = await tlsServer(good, open, (socket) => {
        socket.end("b");
        socket.on("data", (chunk) => (received += chunk.toString()));
      });
      const made = await plane({ io, endpoints: [at], encrypted });
      const one = opened(made.port);
      one.socket.end("a");
      await one.is("end");
      await until(() => received === "a", "the client's byte");
      expect(one.text()).toBe("b");
      await made.settled();
    });

    test("before there is an upstream: neither bytes nor the end are lost", async () => {
      const at = await tlsServer(good, open, (socket) => {
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString()));
        socket.on("end", () => socket.end(`seen ${text}`));
      });
      const made = await plane({ io, endpoints: [at], encrypted });
      const one = opened(made.port);
      one.socket.end("early");
      await one.is("end");
      expect(one.text()).toBe("seen early");
      await made.settled();
    });

    test("a FIN of the server without close_notify is a reset for the client", async () => {
      const at = await tcpServer(open, (raw) => {
        const secure = new tls.TLSSocket(new Wire(raw), { isServer: true, cert: good.certificate, key: good.key });
        secure.on("error", () => {});
        secure.on("data", () => {
          secure.write("half of i");
          setTimeout(() => raw.end(), 50);
        });
      });
      const made = await plane({ io, endpoints: [at], encrypted });
      const one = opened(made.port);
      one.socket.write("x");
      await one.is("ECONNRESET");
      expect(one.events).not.toContain("end");
      await made.settled();
      expect([outcome(made, "upstream-reset"), made.counters()["tls_truncated"]]).toEqual([1, 1]);
    });
  });

  test("a handshake has the time of the connect; the next endpoint is tried then", async () => {
    const silent = await tcpServer(open, () => {});
    const at = await tlsServer(good, open, (socket) => socket.end("ok"));
    const timeouts = { connectMs: 300, requestMs: 1000, idleMs: 1000 };
    const made = await plane({ io, endpoints: [silent, at], upstream: { timeouts } });
    const both = [client(made.port), client(made.port)];
    for (const one of both) {
      await one.is("end");
      expect(one.text()).toBe("ok");
      one.socket.destroy();
    }
    expect(made.counters()["upstream_connect_failures"]).toBe(1);
    await made.settled();
  });

  test("checks of type tcp shake hands, and say what is wrong", async () => {
    const untrusted = await tlsServer(theirs, open, (socket) => socket.end("stranger"));
    const by = { intervalMs: 100, timeoutMs: 1000, unhealthyThreshold: 1, healthyThreshold: 1 };
    const healthCheck = { type: "tcp" as const, path: "/", host: "", statusMin: 200, statusMax: 299, ...by };
    const made = await plane({ io, endpoints: [untrusted], upstream: { healthCheck } });
    const checkError = () => made.plane.engine?.upstreams[0]?.members[0]?.checkError ?? "";
    await until(() => checkError() !== "", "a check");
    expect(checkError()).toBe("connect: its certificate is not trusted");
    await client(made.port).is("ECONNRESET");
    expect(outcome(made, "no-endpoint")).toBe(1);
  });
});
