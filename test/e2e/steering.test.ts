/**
 * Steered traffic end to end: an unmodified client in a cgroup connects to its server, passes the gateway and a plugin
 * without knowing, and reaches that server; when the gateway is dead it reaches it all the same.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { sleep } from "#test/support/data-plane.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";

const LEASE_MS = 1500;
const SEQUENTIAL = 25_000;
const CLIENT = join(import.meta.dirname, "../support/connect-many.ts");
const REQUEST = "GET / HTTP/1.1\r\nHost: whoever\r\nConnection: close\r\n\r\n";

interface Origin {
  readonly port: number;
  stop(): Promise<void>;
}

/** A server on both loopbacks that says its port, and whether the request came through the plugin. */
async function origin(): Promise<Origin> {
  const answer: http.RequestListener = (request, response) => {
    const { port } = request.socket.address() as AddressInfo;
    response.end(`origin ${port} ${request.headers["x-steered"] ?? "direct"}\n`);
  };
  const [four, six] = [http.createServer(answer), http.createServer(answer)];
  await new Promise<void>((resolve) => four.listen(0, "127.0.0.1", resolve));
  const { port } = four.address() as AddressInfo;
  await new Promise<void>((resolve) => six.listen(port, "::1", resolve));
  const close = (server: http.Server): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    port,
    stop: async () => {
      await close(four);
      await close(six);
    },
  };
}

describeKernel("steering, end to end", () => {
  let origins: Origin[] = [];
  let cgroup: TestCgroup;
  let gateway: Gateway;

  const start = async (): Promise<Gateway> => {
    const web = await freePort();
    return startGateway({
      workers: 2,
      config: {
        listeners: [{ name: "steered", address: `127.0.0.1:${web}`, protocol: "http", transparent: true }],
        tenants: [{ name: "ops", hosts: ["*"] }],
        plugins: [{ name: "header-rewrite", tenant: "ops", version: "1", file: await sampleModule("header-rewrite") }],
        routes: [
          {
            name: "through",
            tenant: "ops",
            listeners: ["steered"],
            match: { path: { prefix: "/" } },
            filters: [{ plugin: "header-rewrite@1", config: { request: "set x-steered: by penstock" } }],
            upstream: "original",
          },
        ],
        settings: { accessLog: "off" },
        kernel: {
          steering: [
            {
              cgroup: cgroup.directory,
              ports: origins.map(({ port }) => port),
              listener: "steered",
              leaseMs: LEASE_MS,
            },
          ],
        },
      },
    });
  };

  beforeAll(async () => {
    removeLeftoverCgroups();
    cgroup = new TestCgroup("steered");
    origins = [await origin(), await origin()];
    gateway = await start();
  });

  afterAll(async () => {
    await gateway.kill();
    await cgroup.destroy();
    for (const one of origins) await one.stop();
  });

  const curl = async (host: string, port: number): Promise<string> =>
    (await cgroup.run("curl", "-s", "--max-time", "5", `http://${host}:${port}/`)).stdout.trim();

  it("takes curl through the plugin to its own server, over IPv4 and IPv6", async () => {
    for (const { port } of origins) {
      expect(await curl("127.0.0.1", port)).toBe(`origin ${port} by penstock`);
      expect(await curl("[::1]", port)).toBe(`origin ${port} by penstock`);
    }
    const outside = await fetch(`http://127.0.0.1:${origins[0]?.port}/`);
    expect((await outside.text()).trim()).toBe(`origin ${origins[0]?.port} direct`);
  });

  /** So many connections, one after the other; answers what came back that is not from the right place, by the gateway. */
  const wrongOf = async (count: number): Promise<string[]> => {
    const destinations = Array.from({ length: count }, (_, i) => {
      const port = origins[(i >> 1) & 1]?.port ?? 0;
      return { host: i % 2 === 0 ? "127.0.0.1" : "::1", port };
    });
    const client = cgroup.spawn(process.execPath, ["--no-warnings", CLIENT, "1", REQUEST], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    client.stdin?.end(destinations.map(({ host, port }) => `${host} ${port}`).join("\n"));
    let printed = "";
    client.stdout?.setEncoding("utf8").on("data", (text: string) => (printed += text));
    await new Promise((resolve) => client.on("close", resolve));
    const replies = printed.trim().split("\n");
    expect(replies).toHaveLength(count);
    return replies.filter((reply, i) => !reply.includes(`origin ${destinations[i]?.port} by penstock`));
  };

  it(`takes ${SEQUENTIAL} connections, one after the other, each to the right place`, async () => {
    expect((await wrongOf(SEQUENTIAL)).slice(0, 3)).toEqual([]);
  }, 240_000);

  it("goes on steering through an upgrade: each connection by the gateway, and to the right place", async () => {
    let upgraded = false;
    const upgrading = gateway.upgrade().then(() => (upgraded = true));
    const wrong: string[] = [];
    while (!upgraded && wrong.length === 0) wrong.push(...(await wrongOf(200)));
    await upgrading;
    wrong.push(...(await wrongOf(200)));
    expect(wrong.slice(0, 3)).toEqual([]);
  }, 150_000);

  it("lets clients go straight to their server when the lease is not renewed", async () => {
    const { port } = origins[0] as Origin;
    process.kill(gateway.pid, "SIGSTOP");
    try {
      await sleep(LEASE_MS + 300);
      expect(await curl("127.0.0.1", port)).toBe(`origin ${port} direct`);
      expect(await curl("[::1]", port)).toBe(`origin ${port} direct`);
    } finally {
      process.kill(gateway.pid, "SIGCONT");
    }
    await sleep(LEASE_MS);
    expect(await curl("127.0.0.1", port)).toBe(`origin ${port} by penstock`);
  });

  it("undoes steering on trial that nobody confirms, and keeps what was confirmed", async () => {
    const trial = new TestCgroup("trial");
    const { port } = origins[0] as Origin;
    const place = "/v1/kernel/steering/trial";
    const declare = async (): Promise<number> => {
      const entry = { cgroup: trial.directory, ports: [port], listener: "steered", leaseMs: LEASE_MS, confirmMs: 2000 };
      return (await gateway.admin("PUT", place, entry, { "if-none-match": "*" })).status;
    };
    const ask = async (): Promise<string> =>
      (await trial.run("curl", "-s", "--max-time", "5", `http://127.0.0.1:${port}/`)).stdout.trim();
    const there = async (): Promise<number> => (await gateway.admin("GET", place)).status;
    try {
      expect(await declare()).toBe(201);
      expect(await ask()).toBe(`origin ${port} by penstock`);
      await expect.poll(ask).toBe(`origin ${port} direct`);
      await expect.poll(there).toBe(404);
      expect(await declare()).toBe(201);
      expect((await gateway.admin("POST", `${place}/confirm`)).status).toBe(200);
      await sleep(2500);
      expect(await ask()).toBe(`origin ${port} by penstock`);
      expect((await gateway.admin("DELETE", place, undefined, { "if-match": "*" })).status).toBe(200);
      expect(await ask()).toBe(`origin ${port} direct`);
    } finally {
      await trial.destroy();
    }
  });

  it("lets clients go straight to their server within the lease when every process was killed under load", async () => {
    const { port } = origins[1] as Origin;
    let lapsed = false;
    const load = (async () => {
      while (!lapsed) await wrongOf(200);
    })();
    await sleep(200);
    await gateway.kill();
    await sleep(LEASE_MS);
    lapsed = true;
    expect(await curl("127.0.0.1", port)).toBe(`origin ${port} direct`);
    expect(await curl("[::1]", port)).toBe(`origin ${port} direct`);
    await load;
    const straight = await wrongOf(200);
    expect(straight).toHaveLength(200);
    expect(straight.filter((reply) => !reply.includes(" direct"))).toEqual([]);
    gateway = await start();
    expect(await curl("127.0.0.1", port)).toBe(`origin ${port} by penstock`);
  });
});
