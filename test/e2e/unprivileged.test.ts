/**
 * Without root, on either driver: the gateway runs, says what is off, and a plugin's bans hold in user space over all
 * workers: who is banned gets no connection from any of them until the time is over.
 */
import { chownSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { penstock } from "#test/support/penstock.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";

const UID = 54321;
const WORKERS = 2;
const THRESHOLD = 5;
const BAN_SECONDS = 3;
const TOKEN = "s3cret";
const FRIEND = "127.0.0.1";
const ABUSER = "127.0.0.7";

const upstream = http.createServer((_, response) => response.end("ok\n"));

beforeAll(() => new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
});

describe.runIf(process.getuid?.() === 0).each(["io_uring", "epoll"])("as a plain user, over %s", (io) => {
  let folder: string;
  let gateway: Gateway;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "penstock-plain-user-"));
    chownSync(folder, UID, UID);
    const plugin = async (name: string): Promise<object> => {
      const file = join(folder, `${name}.wasm`);
      copyFileSync(await sampleModule(name), file);
      return { name, tenant: "acme", version: "1", file };
    };
    gateway = await startGateway({
      uid: UID,
      workers: WORKERS,
      env: { PENSTOCK_IO: io },
      config: {
        listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
        upstreams: [{ name: "up", endpoints: [{ address: `127.0.0.1:${(upstream.address() as AddressInfo).port}` }] }],
        tenants: [{ name: "acme", hosts: ["*"] }],
        plugins: [await plugin("abuse-banner"), await plugin("token-check")],
        routes: [
          {
            name: "guarded",
            tenant: "acme",
            match: { path: { prefix: "/" } },
            filters: [
              {
                plugin: "abuse-banner@1",
                config: { threshold: THRESHOLD, seconds: BAN_SECONDS },
                allow: { maps: ["failures", "blocklist"] },
              },
              { plugin: "token-check@1", config: { token: TOKEN } },
            ],
            upstream: "up",
          },
        ],
        kernel: {
          maps: [
            { name: "blocklist", type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 1024 },
            { name: "failures", type: "lru-hash", key: "ip", value: "counter", maxEntries: 1024 },
            { name: "allowlist", type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 16 },
          ],
          interfaces: [{ device: "lo", programs: ["blocklist"], allowlist: "allowlist" }],
        },
        settings: { accessLog: "off" },
      },
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("runs on the driver it was told to, and says what is off", async () => {
    expect(await visit(FRIEND, TOKEN)).toBe("200");
    const { body } = await gateway.admin("GET", "/v1/status");
    const status = JSON.parse(body) as { workers: { driver: string }[]; kernel: { active: boolean; notes: string[] } };
    expect(status.workers.map(({ driver }) => driver)).toEqual(Array(WORKERS).fill(io));
    expect(status.kernel.active).toBe(false);
    expect(status.kernel.notes.join("\n")).toMatch(/CAP_BPF|not permitted|EPERM|privilege/i);
    const said = gateway.logs.join("\n");
    expect(said).toMatch(/not root/);
    expect(said).toMatch(/maps live in user space/);
    expect(said).toMatch(/interface lo: no program attached/);
    const where = { cwd: folder, uid: UID, env: { PENSTOCK_SERVER: gateway.adminSocket } };
    const [doctor, maps] = await Promise.all([penstock(where, "doctor"), penstock(where, "kernel", "maps")]);
    expect(doctor).toMatchObject({ code: 0, err: "" });
    expect(doctor.out).toMatch(/^Kernel part\n(.*\n)*  no .*\n +instead: /m);
    expect(maps).toMatchObject({ code: 0, err: "" });
    expect(maps.out).toMatch(/^blocklist .*user space$/m);
  });

  /** Of a request on a connection of its own from `address`; or why there is none. */
  const visit = (address: string, token: string): Promise<string> =>
    new Promise((resolve) => {
      const headers = { "x-token": token };
      http
        .get(
          { agent: false, host: "127.0.0.1", port: gateway.port("web"), localAddress: address, headers },
          (answer) => {
            answer.resume();
            answer.on("end", () => resolve(String(answer.statusCode)));
          },
        )
        .on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });

  /**
   * Workers are told at once, and answer nobody: what they make of a client comes to be the same in all of them. Which
   * worker a connection comes to is the kernel's choice: 24 all to one of two would be one in 2^23.
   */
  const everywhere = (address: string, outcome: string): Promise<void> =>
    expect
      .poll(async () => new Set(await Promise.all(Array.from({ length: 24 }, () => visit(address, TOKEN)))))
      .toEqual(new Set([outcome]));

  it("lets in whom the allow list holds, denied or not", async () => {
    const client = "127.0.0.77";
    const put = async (map: string): Promise<void> => {
      const path = `/v1/kernel/maps/${map}/entries/${encodeURIComponent(`${client}/32`)}`;
      expect((await gateway.admin("PUT", path, { ttlSeconds: null })).status).toBe(200);
    };
    await put("blocklist");
    await everywhere(client, "ECONNRESET");
    await put("allowlist");
    await everywhere(client, "200");
  });

  /** A connection from `address` that asks for something with the token, and stays. */
  const stay = async (address: string): Promise<{ readonly answered: () => string; readonly gone: () => boolean }> => {
    let [answered, gone] = ["", false];
    const socket = connect({ host: "127.0.0.1", port: gateway.port("web"), localAddress: address });
    socket.on("data", (bytes: Buffer) => (answered += bytes.toString("latin1")));
    socket.on("error", () => {});
    socket.on("close", () => (gone = true));
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nx-token: ${TOKEN}\r\n\r\n`);
    await expect.poll(() => answered, { timeout: 10_000 }).toMatch(/^HTTP\/1.1 200/);
    return { answered: () => answered, gone: () => gone };
  };

  it("shuts a client out at every worker, ends what it has open, no one else's, and lets it in again", async () => {
    const kept = await Promise.all(Array.from({ length: 8 }, () => stay(ABUSER)));
    const other = await stay(FRIEND);
    for (let i = 0; i < THRESHOLD; i++) expect(await visit(ABUSER, "wrong")).toBe("401");
    await expect.poll(() => kept.every(({ gone }) => gone()), { timeout: 10_000 }).toBe(true);
    expect(other.gone()).toBe(false);
    // A worker that had not heard of the last failures yet counts one more.
    await expect.poll(() => visit(ABUSER, "wrong")).toBe("ECONNRESET");
    await everywhere(ABUSER, "ECONNRESET");
    expect(await visit(FRIEND, TOKEN)).toBe("200");
    const { body } = await gateway.admin("GET", "/v1/kernel/maps/blocklist/entries");
    expect(body).toContain(ABUSER);
    await everywhere(ABUSER, "200");
  });

  it("counts failures over both workers when they come at once, and pardons by the admin API", async () => {
    const first = await Promise.all(Array.from({ length: THRESHOLD }, () => visit(ABUSER, "wrong")));
    expect(first).not.toContain("200");
    // Each worker may have counted its own before it heard of the other's: then the next failure is the one too many.
    await expect.poll(() => visit(ABUSER, "wrong")).toBe("ECONNRESET");
    const entry = `/v1/kernel/maps/blocklist/entries/${ABUSER}%2F32`;
    expect((await gateway.admin("DELETE", entry)).status).toBeLessThan(300);
    await everywhere(ABUSER, "200");
  });
});
