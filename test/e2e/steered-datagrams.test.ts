/**
 * Datagrams end to end: a client in a cgroup that knows nothing of the gateway sends to its server, passes the gateway, and
 * is answered by that server, from the server's address; when the gateway is dead it reaches it all the same.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { freePort } from "#test/support/ports.ts";

const CLIENT = join(import.meta.dirname, "../support/datagram-many.ts");

describeKernel("steered datagrams, end to end", () => {
  const servers: dgram.Socket[] = [];
  let cgroup: TestCgroup;
  let gateway: Gateway;
  let port = 0;
  /** From where the servers were asked. */
  let asked: number[] = [];

  beforeAll(async () => {
    removeLeftoverCgroups();
    cgroup = new TestCgroup("datagrams-e2e");
    for (const [type, host] of [
      ["udp4", "127.0.0.1"],
      ["udp6", "::1"],
    ] as const) {
      const server = dgram.createSocket(type);
      server.on("message", (_, peer) => {
        asked.push(peer.port);
        server.send("origin", peer.port, peer.address);
      });
      server.bind(port, host);
      await once(server, "listening");
      ({ port } = server.address());
      servers.push(server);
    }
    gateway = await startGateway({
      workers: 2,
      config: {
        listeners: [{ name: "dns", address: `127.0.0.1:${await freePort()}`, protocol: "udp", transparent: true }],
        tenants: [{ name: "ops", hosts: ["*"] }],
        routes: [{ name: "through", tenant: "ops", listeners: ["dns"], upstream: "original" }],
        settings: { accessLog: "off" },
        kernel: { steering: [{ cgroup: cgroup.directory, ports: [port], listener: "dns", leaseMs: 1500 }] },
      },
    });
  });
  afterAll(async () => {
    await gateway.kill();
    for (const server of servers) server.close();
    await cgroup.destroy();
  });

  async function ask(how: "connected" | "unconnected"): Promise<string[]> {
    asked = [];
    const child = cgroup.spawn(process.execPath, [CLIENT, "1", how], { stdio: ["pipe", "pipe", "inherit"] });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    child.stdin?.end(`127.0.0.1 ${port}\n::1 ${port}\n`);
    await once(child, "close");
    return text.trimEnd().split("\n");
  }

  it("pass the gateway and come back as if they had not", async () => {
    expect(await ask("unconnected")).toEqual([`origin from 127.0.0.1 ${port}`, `origin from ::1 ${port}`]);
    expect(await ask("connected")).toEqual(
      ["127.0.0.1", "::1"].map((host) => `origin from ${host} ${port} peer ${host} ${port}`),
    );
    const { body } = await gateway.admin("GET", "/metrics");
    expect(body).toMatch(/penstock_kernel_steering_connects_total\{[^}]*outcome="redirected"\} 4/);
    expect(body).toMatch(/penstock_kernel_steering_originals_entries 0/);
  });

  it("go straight when the gateway is dead", async () => {
    await gateway.kill();
    expect(await ask("unconnected")).toEqual([`origin from 127.0.0.1 ${port}`, `origin from ::1 ${port}`]);
    expect(asked).toHaveLength(2);
  });
});
