/** Ports that nobody bound reach a listener of the gateway, by declaration alone. On loopback, all of which is this host's. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { run } from "#test/support/netns.ts";
import { freePort } from "#test/support/ports.ts";

describeKernel("bindings, end to end", () => {
  let gateway: Gateway;

  beforeAll(async () => {
    gateway = await startGateway({
      workers: 2,
      config: {
        listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
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
  afterAll(() => gateway.kill());

  const ask = (place: string): string => {
    try {
      return run("curl", "-sS", "-m", "5", `http://${place}/`);
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

  it("are gone with the gateway", async () => {
    await gateway.kill();
    expect(ask("127.78.1.2:20000")).toBe("refused");
  });
});
