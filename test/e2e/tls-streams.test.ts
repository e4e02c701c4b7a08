/** TLS of TCP listeners and to their upstreams, PROXY headers in front of it, and streams that wait, declared in YAML and served by the started gateway. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildToFile } from "#sdk/tooling/build-all.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";
import { seen, until, type Closing } from "#test/support/tls-peers.ts";

/** Says who has come. */
const WHO = `import { Stream, Action, facts, log } from "penstock/assembly"
export function onConnection(stream: Stream): Action {
  log.info("device " + facts.clientCertificate + " by " + stream.protocol + " for " + stream.serverName)
  return Action.Continue
}
`;

const folder = mkdtempSync(join(tmpdir(), "penstock-tls-streams-"));
const authority = new TestAuthority();
const site = authority.issue({ names: ["DNS:mqtt.t.example"] });
const broker = authority.issue({ names: ["IP:127.0.0.1"] });
const device = authority.issue({ subject: "/CN=device 7" });
const closing: { close(): unknown }[] = [{ close: () => authority.dispose() }];
const here: Closing = closing;

/** Its address; it listens from the first call on. */
async function listening(server: net.Server): Promise<string> {
  if (!server.listening) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push({ close: () => server.close() });
  }
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** What the plain broker has got of its latest client, in the clear. */
let received = Buffer.alloc(0);
const acknowledging = net.createServer((socket) => {
  received = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    socket.write(Buffer.from([0x20, 2, 0, 0]));
  });
});

/** Takes a PROXY header of version 1, shakes hands behind it, and tells what it was. */
const introduced = net.createServer((raw) => {
  let text = "";
  const read = (chunk: Buffer): void => {
    text += chunk.toString("latin1");
    const end = text.indexOf("\r\n") + 2;
    if (end < 2) return;
    raw.off("data", read);
    raw.pause();
    raw.unshift(Buffer.from(text.slice(end), "latin1"));
    const secure = new tls.TLSSocket(raw, { isServer: true, cert: broker.certificate, key: broker.key });
    secure.on("error", () => {});
    secure.once("secure", () => secure.end(text.slice(0, end)));
  };
  raw.on("data", read);
  raw.on("error", () => {});
});

/** `openssl s_client`, until the server ends. */
async function openssl(port: number, input: string, args: readonly string[] = []): Promise<string> {
  const options = ["-quiet", "-verify_return_error", "-CAfile", authority.certificateFile];
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...options, ...args]);
  closing.push({ close: () => child.kill() });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString("latin1")));
  child.stdin.on("error", () => {});
  child.stdin.write(input);
  await new Promise((resolve) => child.on("close", resolve));
  return output;
}

function fromDevice(gateway: Gateway, listener: string): ReturnType<typeof seen<tls.TLSSocket>> {
  const socket = tls.connect({
    port: gateway.port(listener),
    host: "127.0.0.1",
    servername: "mqtt.t.example",
    ca: authority.certificate,
    cert: device.certificate,
    key: device.key,
    ALPNProtocols: ["mqtt"],
  });
  here.push({ close: () => socket.destroy() });
  return seen(socket);
}

function sum(metrics: string, prefix: string): number {
  return metrics
    .split("\n")
    .filter((line) => line.startsWith(prefix))
    .reduce((all, line) => all + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

describe.each(["io_uring", "epoll"])("over %s", (io) => {
  let gateway: Gateway;

  beforeAll(async () => {
    mkdirSync(join(folder, "who", "assembly"), { recursive: true });
    writeFileSync(join(folder, "who", "assembly", "index.ts"), WHO);
    const secure = tls.createServer({ cert: broker.certificate, key: broker.key }, (socket) => {
      socket.on("error", () => {});
      socket.once("data", (chunk: Buffer) => socket.end(`secured ${chunk.toString()}`));
    });
    const slow = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => setTimeout(() => socket.end("served"), 300));
    });
    const at = async () => `127.0.0.1:${await freePort()}`;
    const TRUSTED = { trusted: ["127.0.0.0/8"] };
    gateway = await startGateway({
      env: { PENSTOCK_IO: io },
      workers: 1,
      timeoutMs: 120_000,
      config: {
        listeners: [
          {
            name: "mqtts",
            address: await at(),
            protocol: "tcp",
            tls: {
              certificates: ["site"],
              alpn: ["mqtt"],
              clientAuth: { mode: "optional", caFile: authority.certificateFile },
            },
          },
          { name: "onward", address: await at(), protocol: "tcp" },
          {
            name: "both",
            address: await at(),
            protocol: "tcp",
            tls: { certificates: ["site"] },
            proxyProtocol: TRUSTED,
          },
          { name: "web", address: await at(), protocol: "http", proxyProtocol: TRUSTED },
          { name: "queued", address: await at(), protocol: "tcp" },
        ],
        certificates: [{ name: "site", certFile: site.certificateFile, keyFile: site.keyFile }],
        upstreams: [
          { name: "broker", endpoints: [{ address: await listening(acknowledging) }] },
          {
            name: "secure",
            endpoints: [{ address: await listening(secure) }],
            tls: { caFile: authority.certificateFile },
          },
          {
            name: "strangers",
            endpoints: [{ address: await listening(secure) }],
            tls: { caFile: device.certificateFile },
          },
          {
            name: "introduced",
            endpoints: [{ address: await listening(introduced) }],
            tls: { caFile: authority.certificateFile },
            proxyProtocol: "v1",
          },
          {
            name: "slow",
            endpoints: [{ address: await listening(slow) }],
            limits: { connections: 1, queue: 2, queueMs: 10_000 },
          },
        ],
        tenants: [{ name: "t", hosts: ["*.t.example"] }],
        plugins: [
          { name: "mqtt-guard", tenant: "t", version: "1", file: await sampleModule("mqtt-guard") },
          { name: "who", tenant: "t", version: "1", file: await buildToFile(join(folder, "who")) },
        ],
        routes: [
          {
            name: "mqtt",
            tenant: "t",
            listeners: ["mqtts"],
            match: { hosts: ["mqtt.t.example"] },
            filters: [{ plugin: "who@1" }, { plugin: "mqtt-guard@1", config: { publish: "sensors/+" } }],
            upstream: "broker",
          },
          { name: "unnamed", tenant: "t", listeners: ["mqtts"], upstream: "secure" },
          { name: "onward", tenant: "t", listeners: ["onward"], upstream: "secure" },
          { name: "both", tenant: "t", listeners: ["both"], upstream: "introduced" },
          { name: "queued", tenant: "t", listeners: ["queued"], upstream: "slow" },
        ],
        settings: { accessLog: "json", drainMs: 500 },
      },
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    if (io !== "epoll") return;
    for (const { close } of closing.splice(0).toReversed()) close();
    rmSync(folder, { recursive: true });
  });

  test("MQTT over TLS: plugins see the plaintext and whose certificate it is", async () => {
    const publish = (topic: string): Buffer =>
      Buffer.concat([Buffer.from([0x30, topic.length + 3, 0, topic.length]), Buffer.from(`${topic}1`)]);
    const one = fromDevice(gateway, "mqtts");
    one.socket.write(publish("sensors/7"));
    await until(() => one.text().length === 4, "an acknowledgement", one.events);
    expect(one.socket.alpnProtocol).toBe("mqtt");
    expect(received).toEqual(publish("sensors/7"));
    one.socket.write(publish("doors/1"));
    await one.is("close");
    expect(received, "nothing of what is not allowed has passed").toEqual(publish("sensors/7"));
    const told = () =>
      gateway.logs.some((line) => line.includes(`device ${device.fingerprint} by tcp for mqtt.t.example`));
    await expect.poll(told).toBe(true);
    const logged = (part: string) =>
      gateway.logs.some(
        (line) => line.includes('"route":"mqtt"') && line.includes(part) && line.includes('"method":"TCP"'),
      );
    await expect.poll(() => logged('"host":"mqtt.t.example"')).toBe(true);
  });

  test("openssl is verified by name, and without one takes the route that asks for none: TLS in, TLS out", async () => {
    const port = gateway.port("mqtts");
    const verified = ["-servername", "x.t.example", "-verify_hostname", "mqtt.t.example"];
    expect(await openssl(port, "hello", verified)).toBe("secured hello");
    expect(await openssl(port, "hello", ["-noservername"])).toBe("secured hello");
    expect(await openssl(port, "hello", ["-verify_hostname", "other.example"])).toBe("");
  });

  test("from plaintext to an upstream that is verified, and not to one that is not", async () => {
    const ask = async (): Promise<string> => {
      const socket = net.connect({ port: gateway.port("onward"), host: "127.0.0.1" });
      const client = seen(socket);
      socket.write("hello");
      await client.is("close");
      return client.events.includes("ECONNRESET") ? "ECONNRESET" : client.text();
    };
    expect(await ask()).toBe("secured hello");
    const route = { name: "onward", tenant: "t", listeners: ["onward"], upstream: "strangers" };
    expect((await gateway.admin("PUT", "/v1/tenants/t/routes/onward", route, { "if-match": "*" })).status).toBe(200);
    expect(await ask()).toBe("ECONNRESET");
    const { body } = await gateway.admin("GET", "/metrics");
    expect(sum(body, 'penstock_stream_outcomes_total{outcome="upstream-untrusted"')).toBe(1);
  });

  test("a PROXY header in front of TLS, on the way in and on the way out", async () => {
    const header = "PROXY TCP4 192.0.2.7 198.51.100.9 1000 8883\r\n";
    const raw = net.connect({ port: gateway.port("both"), host: "127.0.0.1" });
    raw.write(header);
    const client = seen(tls.connect({ socket: raw, servername: "mqtt.t.example", ca: authority.certificate }));
    await client.is("end");
    expect(client.text()).toBe(header);
  });

  test("streams wait for a place, and each is served in its turn", async () => {
    const clients = Array.from({ length: 3 }, () => {
      const client = seen(net.connect({ port: gateway.port("queued"), host: "127.0.0.1" }));
      client.socket.write("please");
      return client;
    });
    for (const client of clients) await client.is("end");
    expect(clients.map((client) => client.text())).toEqual(["served", "served", "served"]);
  });

  test("explain tells a route by its server name", async () => {
    const explained = await gateway.admin("GET", "/v1/explain?url=tcp://mqtt.t.example&listener=mqtts");
    expect(JSON.parse(explained.body)).toMatchObject({ route: { name: "mqtt" }, action: "upstream broker (1)" });
    const other = await gateway.admin("GET", "/v1/explain?url=tcp://else.example&listener=mqtts");
    expect(JSON.parse(other.body)).toMatchObject({ route: { name: "unnamed" } });
  });

  test("a certificate that was replaced is for new connections", async () => {
    const before = fromDevice(gateway, "mqtts");
    await before.is("secureConnect");
    const fresh = authority.issue({ names: ["DNS:mqtt.t.example"], subject: "/CN=second" });
    const change = { name: "site", certificate: fresh.certificate, privateKey: fresh.key };
    expect((await gateway.admin("PUT", "/v1/certificates/site", change, { "if-match": "*" })).status).toBe(200);
    const after = fromDevice(gateway, "mqtts");
    await after.is("secureConnect");
    expect(after.socket.getPeerCertificate().subject.CN).toBe("second");
    expect(before.events).toEqual(["secureConnect"]);
  });

  test("what does not fit is refused by its place", async () => {
    const put = async (listener: object): Promise<string> =>
      (await gateway.admin("PUT", "/v1/listeners/bad", { name: "bad", ...listener }, { "if-none-match": "*" })).body;
    const address = "127.0.0.1:0";
    const udp = await put({ address, protocol: "udp", tls: { certificates: ["site"] } });
    expect(udp).toContain("TLS ends on http and tcp listeners, and this one is udp");
    const h2 = await put({ address, protocol: "http", tls: { certificates: ["site"], alpn: ["h2"] } });
    expect(h2).toContain('protocol \\"h2\\" is not supported by this version');
  });
});
