/** The contract's `secure` listener through the whole gateway: files, sealed keys, workers, reload, and a start without control. */
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";

const run = promisify(execFile);
const authority = new TestAuthority();
let upstream: Server;
let gateway: Gateway;

/** No response of an authority: what is stapled is not looked into. */
const OCSP = Buffer.from([0x30, 0x03, 0x0a, 0x01, 0x03, 0xff, 0x00]);

/** Where the declaration is, and the files it names. */
const folder = join(authority.folder, "declared");

function config(more: object = {}): object {
  return {
    listeners: [
      { name: "secure", address: "127.0.0.1:0", protocol: "http", tls: { certificates: ["site"], clientAuth: "none" } },
    ],
    certificates: [
      {
        name: "site",
        certFile: join(folder, "site.pem"),
        keyFile: join(folder, "site.key"),
        ocspFile: join(folder, "site.ocsp"),
      },
    ],
    upstreams: [{ name: "api", endpoints: [{ address: `127.0.0.1:${(upstream.address() as AddressInfo).port}` }] }],
    tenants: [{ name: "acme", hosts: ["*"] }],
    routes: [{ name: "all", tenant: "acme", match: { path: { prefix: "/" } }, upstream: "api" }],
    ...more,
  };
}

function place(subject: string): void {
  const issued = authority.issue({ names: ["DNS:localhost"], subject });
  copyFileSync(issued.certificateFile, join(folder, "site.pem"));
  copyFileSync(issued.keyFile, join(folder, "site.key"));
}

async function connected(session?: Buffer): Promise<tls.TLSSocket> {
  const options = {
    host: "127.0.0.1",
    port: gateway.port("secure"),
    servername: "localhost",
    ca: authority.certificate,
  };
  const socket = tls.connect(session === undefined ? options : { ...options, session });
  await once(socket, "secureConnect");
  return socket;
}

async function subject(): Promise<unknown> {
  const socket = await connected();
  const name = socket.getPeerCertificate().subject?.CN;
  socket.destroy();
  return name;
}

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  place("/CN=first");
  writeFileSync(join(folder, "site.ocsp"), OCSP);
  upstream = createServer((request, response) =>
    response.end(`proto ${String(request.headers["x-forwarded-proto"])}\n`),
  );
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  gateway = await startGateway({ config: config(), workers: 2 });
});

afterAll(async () => {
  await gateway?.stop();
  upstream?.close();
  authority.dispose();
});

test("curl is served over TLS", async () => {
  const { stdout } = await run("curl", [
    "-sS",
    "--cacert",
    authority.certificateFile,
    `https://localhost:${gateway.port("secure")}/`,
  ]);
  expect(stdout).toBe("proto https\n");
});

test("the OCSP response of a file is stapled, by either worker", async () => {
  for (let i = 0; i < 4; i++) {
    const options = { host: "127.0.0.1", port: gateway.port("secure"), servername: "localhost", requestOCSP: true };
    const client = tls.connect({ ...options, ca: authority.certificate });
    const [response] = (await once(client, "OCSPResponse")) as [Buffer | null];
    expect(response).toEqual(OCSP);
    client.destroy();
  }
});

test("sessions are resumed, whichever worker it is", async () => {
  const options = {
    host: "127.0.0.1",
    port: gateway.port("secure"),
    servername: "localhost",
    ca: authority.certificate,
  };
  const first = tls.connect(options);
  const [session] = (await once(first, "session")) as [Buffer];
  first.destroy();
  for (let i = 0; i < 8; i++) {
    const again = await connected(session);
    expect(again.isSessionReused()).toBe(true);
    again.destroy();
  }
});

test("a certificate that was replaced is served after `apply`, without a connection lost", async () => {
  const before = await connected();
  place("/CN=second");
  const current = await gateway.admin("GET", "/v1/config");
  const certificates = [
    {
      name: "site",
      certificate: readFileSync(join(folder, "site.pem"), "utf8"),
      privateKey: readFileSync(join(folder, "site.key"), "utf8"),
    },
  ];
  const body = { ...(JSON.parse(current.body) as object), certificates };
  const changed = await gateway.admin("PUT", "/v1/config", body, { "if-match": String(current.headers["etag"]) });
  expect(changed.status).toBe(200);
  expect(await subject()).toBe("second");
  before.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
  expect(String((await once(before, "data"))[0])).toContain("200 OK");
  before.destroy();
});

test("a start on the same data serves with the sealed key", async () => {
  const data = join(authority.folder, "data");
  const first = await startGateway({ config: config(), workers: 1, data });
  await first.stop();
  const second = await startGateway({ workers: 1, data });
  const url = `https://localhost:${second.port("secure")}/`;
  expect((await run("curl", ["-sS", "--cacert", authority.certificateFile, url])).stdout).toBe("proto https\n");
  await second.stop();
});

test("a private key is nowhere to be read: not in the API, the files or the log", async () => {
  const key = readFileSync(join(folder, "site.key"), "utf8").split("\n")[1] as string;
  for (const path of ["/v1/config", "/v1/certificates", "/v1/certificates/site", "/v1/revisions", "/v1/audit"]) {
    const { body, status } = await gateway.admin("GET", path);
    expect(status).toBe(200);
    expect(body).not.toContain(key);
    expect(body).not.toContain("privateKey");
  }
  for (const name of readdirSync(gateway.data)) {
    const path = join(gateway.data, name);
    if (statSync(path).isFile()) expect(readFileSync(path).includes(key), name).toBe(false);
  }
  expect(gateway.logs.join("\n")).not.toContain(key);
});

test("what does not fit is refused with its place, and counted in the metrics otherwise", async () => {
  const other = authority.issue({ names: ["DNS:localhost"] });
  const put = (certificate: object) =>
    gateway.admin("PUT", "/v1/certificates/other", certificate, { "if-none-match": "*" });
  const mismatched = await put({ name: "other", certificate: other.certificate, privateKey: authority.issue().key });
  expect(mismatched.status).toBe(422);
  expect(mismatched.body).toContain("belongs to another certificate");
  const expired = authority.issue({ notBefore: -9, notAfter: -2 });
  expect((await put({ name: "other", certificate: expired.certificate, privateKey: expired.key })).body).toContain(
    "expired",
  );
  expect((await put({ name: "other", certificate: other.certificate })).body).toContain("no key was given");
  const metrics = (await gateway.admin("GET", "/metrics")).body;
  expect(metrics).toMatch(/penstock_certificate_not_after_seconds\{certificate="site"\} \d{10}/);
  expect(metrics).toMatch(/penstock_tls_refused_total\{reason="plain-http",worker="0"\} 0/);
});
