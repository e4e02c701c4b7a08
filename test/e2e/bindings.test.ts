/**
 * Ports that nobody bound reach a listener of the gateway, by declaration alone. On the loopback of a namespace, where no other
 * gateway's bindings are in the way.
 */
import { once } from "node:events";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";

const ASK_AGAIN = path.join(import.meta.dirname, "../support/ask-again.ts");

describeKernel("bindings, end to end", () => {
  let namespace: Namespace;
  let gateway: Gateway;

  beforeAll(async () => {
    removeLeftovers();
    namespace = new Namespace("bound");
    gateway = await startGateway({
      workers: 2,
      netns: namespace.path,
      config: {
        listeners: [{ name: "web", address: "127.0.0.1:8080", protocol: "http" }],
        tenants: [{ name: "ops", hosts: ["*"] }],
        routes: [
          {
            name: "all",
            tenant: "ops",
            match: { path: { prefix: "/" } },
            filters: [{ builtin: "static-response", config: { status: 200, body: "bound\n" } }],
            upstream: "none",
          },
        ],
        upstreams: [{ name: "none", endpoints: [{ address: "127.0.0.1:1" }] }],
        settings: { accessLog: "off" },
        kernel: {
          traces: [{ listener: "web" }],
          bindings: [
            {
              name: "range",
              listener: "web",
              match: [{ prefix: "127.78.0.0/16", ports: ["20000-20999", 80] }],
              deny: [{ prefix: "127.78.6.6", ports: [20_666] }],
            },
          ],
        },
      },
    });
  });
  afterAll(async () => {
    await gateway.kill();
    namespace.destroy();
  });

  const ask = (place: string): string => {
    try {
      return namespace.run("curl", "-sS", "-m", "5", `http://${place}/`);
    } catch (error) {
      return /Failed to connect|Couldn't connect/.test(String(error)) ? "refused" : String(error);
    }
  };

  it("serve any address and port of theirs, and refuse what is denied", async () => {
    expect(["127.78.1.2:20000", "127.78.255.254:20999", "127.78.0.1"].map(ask)).toEqual([
      "bound\n",
      "bound\n",
      "bound\n",
    ]);
    expect(["127.78.6.6:20666", "127.78.1.2:21000", "127.79.0.1:20000"].map(ask)).toEqual([
      "refused",
      "refused",
      "refused",
    ]);
    const { body: metrics } = await gateway.admin("GET", "/metrics");
    expect(metrics).toContain('penstock_kernel_bindings_lookups_total{binding="range",outcome="bound"} 3');
    expect(metrics).toContain('penstock_kernel_bindings_lookups_total{binding="range",outcome="denied"} 1');
    // Whatever port they came to, and whichever worker took them.
    expect(metrics).toContain('penstock_kernel_trace_connections_opened_total{listener="web"} 3');
    expect(metrics).toContain('penstock_kernel_trace_response_seconds_count{listener="web"} 3');
  });

  it("refuse nobody while the running program is replaced", async () => {
    const places = ["127.78.1.2:20000", "127.78.3.4:20500", "127.78.5.6:80"].map((place) => `http://${place}/`);
    const client = namespace.spawnWithInput(process.execPath, ASK_AGAIN, ...places);
    let text = "";
    client.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    try {
      await gateway.upgrade();
      client.stdin?.end();
      await once(client, "close");
      expect(Object.keys(JSON.parse(text) as object)).toEqual(["bound\n"]);
      expect(ask("127.78.6.6:20666")).toBe("refused");
    } finally {
      client.kill("SIGKILL");
    }
  }, 60_000);

  it("are gone with the gateway", async () => {
    await gateway.kill();
    // Processes of an upgrade are none of our children: the last of them may still be ending.
    await expect.poll(() => ask("127.78.1.2:20000")).toBe("refused");
  });
});
