/**
 * Streams whose bytes a program moves, between namespaces and not over a loopback: what goes out was received with checksums of its
 * own, since transmit offload is off on every device.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BalancedNetwork, ENDPOINTS, type Clients } from "#test/support/balanced-network.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

const PORT = 7000;
const BULK_BYTES = 1_000_000;
const [FOUR, SIX] = ENDPOINTS.one;
const HOSTS = { four: "10.77.1.1", six: "fd00:77:1::1" } as const;

describeKernel("spliced streams", () =>
  describe("between namespaces", () => {
    let network: BalancedNetwork;
    let clients: Clients;
    let gateway: Gateway;

    beforeAll(async () => {
      removeLeftovers();
      network = new BalancedNetwork();
      await network.serve("one", PORT);
      clients = network.clients();
      gateway = await startGateway({
        workers: 1,
        netns: network.balancer.path,
        config: {
          listeners: [
            { name: "four", address: `${HOSTS.four}:${PORT}`, protocol: "tcp", splice: "sockmap" },
            { name: "six", address: `[${HOSTS.six}]:${PORT}`, protocol: "tcp", splice: "sockmap" },
          ],
          upstreams: [
            { name: "four", endpoints: [{ address: `${FOUR}:${PORT}` }] },
            { name: "six", endpoints: [{ address: `[${SIX}]:${PORT}` }] },
          ],
          tenants: [{ name: "ops", hosts: ["*"] }],
          routes: ["four", "six"].map((name) => ({ name, tenant: "ops", listeners: [name], upstream: name })),
        },
      });
    }, 30_000);
    afterAll(async () => {
      await gateway?.stop();
      network.destroy();
    });

    async function moved(): Promise<number> {
      const { body } = await gateway.admin("GET", "/metrics");
      return Number(/^penstock_kernel_splice_bytes_total\{how="moved"\} (\d+)$/m.exec(body)?.[1]);
    }

    it.each(["four", "six"] as const)("messages and bulk come back as they were, over %s", async (key) => {
      const before = await moved();
      expect(await clients.ask({ op: "open", key, host: HOSTS[key], port: PORT })).toBe("one");
      for (let i = 0; i < 50; i++)
        expect(await clients.ask({ op: "say", key, text: `message ${i}` })).toBe(`message ${i}`);
      expect(await clients.ask({ op: "bulk", key, bytes: BULK_BYTES })).toBe("same");
      await clients.ask({ op: "close", key });
      expect((await moved()) - before).toBeGreaterThan(BULK_BYTES / 10);
    });
  }),
);
