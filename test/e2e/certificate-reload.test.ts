/**
 * Certificate files that change under a running gateway, as a user renews them: `penstock apply` reads them again, and so does
 * `run --watch`. Connections stay, an answer under way arrives whole, and who comes next sees the new certificate.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { stringify } from "yaml";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { penstock } from "#test/support/penstock.ts";

const WORKERS = 2;
/** So many that each worker has some. */
const CONNECTIONS = 16;

const authority = new TestAuthority();
const folder = join(authority.folder, "declared");
const declaration = join(folder, "penstock.yaml");
let upstream: Server;
/** Answers that have begun and are held. */
const held: ServerResponse[] = [];
let gateway: Gateway | null = null;

beforeAll(async () => {
  mkdirSync(folder);
  upstream = createServer((request, response) => {
    if (request.url !== "/held") return void response.end("whole");
    response.writeHead(200, { "content-length": 10 });
    response.write("begun");
    held.push(response);
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
});

afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
  authority.dispose();
});

beforeEach(() => {
  place("certificate and key", "first");
  const { port } = upstream.address() as AddressInfo;
  const config = {
    listeners: [{ name: "secure", address: "127.0.0.1:0", protocol: "http", tls: { certificates: ["site"] } }],
    // Relative, as people write it: to where the declaration is.
    certificates: [{ name: "site", certFile: "site.pem", keyFile: "site.key" }],
    upstreams: [{ name: "api", endpoints: [{ address: `127.0.0.1:${port}` }] }],
    tenants: [{ name: "acme", hosts: ["*"] }],
    routes: [{ name: "all", tenant: "acme", upstream: "api" }],
  };
  writeFileSync(declaration, stringify(config));
});

afterEach(async () => {
  for (const answer of held.splice(0)) answer.destroy();
  await gateway?.stop();
  gateway = null;
});

function place(what: "certificate and key" | "certificate alone", subject: string): void {
  const issued = authority.issue({ names: ["DNS:localhost"], subject: `/CN=${subject}` });
  if (what === "certificate and key") copyFileSync(issued.keyFile, join(folder, "site.key"));
  copyFileSync(issued.certificateFile, join(folder, "site.pem"));
}

interface Client {
  readonly socket: tls.TLSSocket;
  readonly subject: string;
  /** All that came since it was last asked. */
  readonly received: () => string;
  ask(path: string): void;
}

async function connect(port: number): Promise<Client> {
  const socket = tls.connect({ host: "127.0.0.1", port, servername: "localhost", ca: authority.certificate });
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => (received += text));
  await once(socket, "secureConnect");
  return {
    socket,
    subject: String(socket.getPeerCertificate().subject.CN),
    received: () => received,
    ask: (path) => {
      received = "";
      socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    },
  };
}

async function answered(client: Client, text: string): Promise<void> {
  await expect.poll(client.received, { timeout: 30_000 }).toMatch(new RegExp(`${text}$`));
}

/** As many handshakes as meet every worker, whichever accepts. */
async function subjects(port: number): Promise<Set<string>> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(port)));
  for (const { socket } of clients) socket.destroy();
  return new Set(clients.map(({ subject }) => subject));
}

interface Running {
  readonly port: number;
  /** What the certificate files say now is in force; a refusal is not waited for. */
  readonly renewed: () => Promise<void>;
  /** They were refused, for this reason. */
  readonly refused: (why: RegExp) => Promise<void>;
}

async function watching(): Promise<Running> {
  const started = await startGateway({ workers: WORKERS, args: ["-f", declaration, "--watch"] });
  gateway = started;
  const port = started.port("secure");
  return {
    port,
    renewed: () => expect.poll(() => subjects(port), { timeout: 30_000 }).toEqual(new Set(["second"])),
    refused: (why) => expect.poll(() => started.logs.some((line) => why.test(line)), { timeout: 30_000 }).toBe(true),
  };
}

async function applying(): Promise<Running> {
  const started = await startGateway({ workers: WORKERS, args: ["-f", declaration] });
  gateway = started;
  const apply = (): ReturnType<typeof penstock> =>
    penstock({ cwd: folder, env: { PENSTOCK_SERVER: `unix:${started.adminSocket}` } }, "apply", "-f", "penstock.yaml");
  return {
    port: started.port("secure"),
    renewed: async () => {
      const { code, out, err } = await apply();
      expect([code, err]).toEqual([0, ""]);
      expect(out).toMatch(/~ certificates site/);
      expect(out).not.toContain("PRIVATE KEY");
    },
    refused: async (why) => {
      const { code, err } = await apply();
      expect([code, err]).toEqual([1, expect.stringMatching(why)]);
    },
  };
}

test.each([
  ["penstock apply", applying],
  ["run --watch", watching],
])(
  "%s: new handshakes get the new certificate, and nobody is cut",
  async (_how, start) => {
    const { port, renewed, refused } = await start();
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(port)));
    const [waiting, ...idle] = clients as [Client, ...Client[]];
    expect(new Set(clients.map(({ subject }) => subject))).toEqual(new Set(["first"]));
    for (const client of idle) client.ask("/whole");
    for (const client of idle) await answered(client, "whole");
    waiting.ask("/held");
    await answered(waiting, "begun");

    // Half of a renewal: what does not fit together changes nothing.
    place("certificate alone", "stray");
    await refused(/penstock\.yaml:\d+:\d+.*belongs to another certificate/);
    expect(await subjects(port)).toEqual(new Set(["first"]));

    place("certificate and key", "second");
    await renewed();
    expect(await subjects(port)).toEqual(new Set(["second"]));

    held[0]?.end("ended");
    await answered(waiting, "begunended");
    for (const client of clients) client.ask("/whole");
    for (const client of clients) await answered(client, "whole");
    for (const { socket } of clients) socket.destroy();
  },
  120_000,
);
