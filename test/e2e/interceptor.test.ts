/**
 * An intercepted port end to end: a client in another namespace asks for a server on this host, passes the gateway and a
 * plugin without knowing, and reaches that server; when the gateway is killed it reaches it all the same.
 */
import http from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sleep } from "#test/support/data-plane.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers, run } from "#test/support/netns.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";

/** Of a veth pair, one end in the gateway's own namespace; nothing else of that is touched. */
const DEVICE = `pst${process.pid}`.slice(0, 15);
const ADDRESSES = { "10.74.1.1": "10.74.1.1", "fd00:74:1::1": "[fd00:74:1::1]" } as const;

describeKernel("port interceptor, end to end", () => {
  const servers: http.Server[] = [];
  let client: Namespace;
  let gateway: Gateway;
  let port = 0;

  beforeAll(async () => {
    removeLeftovers();
    client = new Namespace("icpt-e2e");
    run("ip", "link", "add", DEVICE, "type", "veth", "peer", "name", "cl0", "netns", client.name);
    run("ip", "address", "add", "10.74.1.1/24", "dev", DEVICE);
    run("ip", "address", "add", "fd00:74:1::1/64", "dev", DEVICE, "nodad");
    run("ip", "link", "set", DEVICE, "up");
    run("ethtool", "-K", DEVICE, "tx", "off");
    client.ip("address", "add", "10.74.1.2/24", "dev", "cl0");
    client.ip("address", "add", "fd00:74:1::2/64", "dev", "cl0", "nodad");
    client.ip("link", "set", "cl0", "up");
    client.run("ethtool", "-K", "cl0", "tx", "off");
    for (const address of Object.keys(ADDRESSES)) {
      const server = http.createServer((request, response) => {
        response.end(`origin ${request.headers["x-steered"] ?? "direct"}\n`);
      });
      server.listen(port, address);
      await once(server, "listening");
      ({ port } = server.address() as AddressInfo);
      servers.push(server);
    }
    gateway = await startGateway({
      workers: 2,
      config: {
        listeners: [{ name: "steered", address: `127.0.0.1:${await freePort()}`, protocol: "http", transparent: true }],
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
          interceptors: [{ name: "web", devices: [DEVICE], ports: [port], listener: "steered", leaseMs: 1000 }],
        },
      },
    });
  });

  afterAll(async () => {
    await gateway.kill();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    run("ip", "link", "delete", DEVICE);
    client.destroy();
  });

  async function ask(host: string): Promise<string> {
    const child = client.spawn("curl", "-gsS", "-m", "5", `http://${host}:${port}/`);
    let printed = "";
    child.stdout?.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    await once(child, "close");
    return printed;
  }

  it("passes the gateway over IPv4 and IPv6, which finds where the client wanted to go", async () => {
    for (const host of Object.values(ADDRESSES)) expect(await ask(host)).toBe("origin by penstock\n");
  });

  it("reaches the server itself once the gateway is gone", async () => {
    await gateway.kill();
    await sleep(100);
    for (const host of Object.values(ADDRESSES)) expect(await ask(host)).toBe("origin direct\n");
  });
});
