/**
 * A plugin's verdict reaches the kernel: a client that fails the token check five times is dropped by XDP from its next
 * packet on, before the gateway sees it; others are not; and after its time it is let in again.
 *
 *     [ friend 10.91.1.2 ]──veth──┐
 *                                 ├── [ gateway: 10.91.1.1, 10.91.2.1, firewall on both devices ]── upstream on its loopback
 *     [ abuser 10.91.2.2 ]──veth──┘
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers, run } from "#test/support/netns.ts";
import { penstock } from "#test/support/penstock.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";
import { sleep } from "#test/support/data-plane.ts";

const BAN_SECONDS = 4;
const THRESHOLD = 5;
const WEB = 8080;
const TOKEN = "s3cret";
/** A datagram after the other. */
const INSIST = `
const socket = require("node:dgram").createSocket("udp4")
setInterval(() => socket.send("x", 9, process.argv[1]), 20)`;

describeKernel("the firewall, fed by a plugin", () => {
  let edge: Namespace;
  let friend: Namespace;
  let abuser: Namespace;
  let gateway: Gateway;
  let upstream: ReturnType<Namespace["spawn"]>;

  beforeAll(async () => {
    removeLeftovers();
    [edge, friend, abuser] = ["edge", "friend", "abuser"].map((label) => new Namespace(label)) as [
      Namespace,
      Namespace,
      Namespace,
    ];
    connect(edge, { device: "a0", addresses: ["10.91.1.1/24", "fd91:1::1/64"] }, friend, {
      device: "a1",
      addresses: ["10.91.1.2/24", "fd91:1::2/64"],
    });
    connect(edge, { device: "b0", addresses: ["10.91.2.1/24", "fd91:2::1/64"] }, abuser, {
      device: "b1",
      addresses: ["10.91.2.2/24", "fd91:2::2/64"],
    });
    const serve =
      'require("http").createServer((q,s)=>s.end("hello\\n")).listen(9000,"127.0.0.1",()=>console.log("up"))';
    upstream = edge.spawn(process.execPath, "-e", serve);
    await new Promise((resolve) => upstream.stdout?.once("data", resolve));
    gateway = await startGateway({
      workers: 2,
      netns: edge.path,
      config: {
        listeners: [{ name: "web", address: `[::]:${WEB}`, protocol: "http" }],
        upstreams: [{ name: "up", endpoints: [{ address: "127.0.0.1:9000" }] }],
        tenants: [{ name: "acme", hosts: ["*"] }],
        plugins: [
          { name: "abuse-banner", tenant: "acme", version: "1", file: await sampleModule("abuse-banner") },
          { name: "token-check", tenant: "acme", version: "1", file: await sampleModule("token-check") },
        ],
        routes: [
          {
            name: "guarded",
            tenant: "acme",
            listeners: ["web"],
            match: { path: { prefix: "/" } },
            filters: [
              {
                plugin: "abuse-banner@1",
                config: { threshold: String(THRESHOLD), seconds: String(BAN_SECONDS) },
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
          ],
          interfaces: [
            { device: "a0", mode: "auto", programs: ["blocklist"] },
            { device: "b0", mode: "auto", programs: ["blocklist"] },
          ],
        },
      },
    });
  });

  afterAll(async () => {
    await gateway?.kill();
    upstream?.kill("SIGKILL");
    for (const one of [edge, friend, abuser]) one?.destroy();
  });

  /** The status, or 000 when nothing answers within two seconds. */
  const status = (from: Namespace, host: string, token: string): string => {
    const args = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2", "-H", `x-token: ${token}`];
    try {
      return run("nsenter", `--net=${from.path}`, "curl", ...args, `http://${host}:${WEB}/`);
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  };

  const banAndRelease = async (mine: string, theirs: string): Promise<void> => {
    for (let i = 0; i < THRESHOLD; i++) expect(status(abuser, mine, "wrong")).toBe("401");
    const banned = Date.now();
    expect(status(abuser, mine, TOKEN)).toBe("000");
    expect(status(friend, theirs, TOKEN)).toBe("200");
    expect(status(friend, theirs, "wrong")).toBe("401");
    while (Date.now() - banned < BAN_SECONDS * 1000 + 300) await sleep(100);
    expect(status(abuser, mine, TOKEN)).toBe("200");
  };

  it("drops a banned client's packets over IPv4, nobody else's, until its time is over", () =>
    banAndRelease("10.91.2.1", "10.91.1.1"));

  it("and over IPv6", () => banAndRelease("[fd91:2::1]", "[fd91:1::1]"));

  /** By the command line. */
  const told = async <T>(...words: readonly string[]): Promise<T> => {
    const { out, err } = await penstock({ cwd: "/" }, ...words, "--json", "--data", gateway.data);
    expect(err).toBe("");
    return JSON.parse(out) as T;
  };

  it("is named by explain, in front of the filters", async () => {
    const { kernel, filters } = await told<{ kernel: string[]; filters: { runs: string }[] }>(
      "explain",
      "GET",
      `http://10.91.1.1:${WEB}/`,
    );
    expect(kernel).toEqual(["a0", "b0"].map((device) => `on ${device}: firewall (denies what is in "blocklist")`));
    expect(filters.map(({ runs }) => runs)).toEqual(["wasm", "wasm"]);
  });

  it("bans and pardons by the admin API", async () => {
    const entry = "/v1/kernel/maps/blocklist/entries/10.91.2.0%2F24";
    expect((await gateway.admin("PUT", entry, { ttlSeconds: 60 })).status).toBeLessThan(300);
    expect(status(abuser, "10.91.2.1", TOKEN)).toBe("000");
    const insisting = abuser.spawn(process.execPath, "-e", INSIST, "10.91.2.1");
    try {
      const { kernel } = await told<{ kernel: { name: string; perSecond: number }[] }>("top", "--interval", "1");
      expect(kernel.filter(({ name }) => /b0.*drop|drop.*b0/.test(name)).some(({ perSecond }) => perSecond > 0)).toBe(
        true,
      );
    } finally {
      insisting.kill("SIGKILL");
    }
    expect((await gateway.admin("DELETE", entry)).status).toBeLessThan(300);
    expect(status(abuser, "10.91.2.1", TOKEN)).toBe("200");
  });
});
