/**
 * An L4 service of the real gateway: declared in YAML, balanced in XDP, its endpoints checked by the control process; one
 * dies under traffic and comes back, one is drained over REST.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BalancedNetwork, DEVICES, ENDPOINTS, VIP4, type Clients } from "#test/support/balanced-network.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

const PORT = 7000;
const [ONE] = ENDPOINTS.one;
const [TWO] = ENDPOINTS.two;
const CHECK = { type: "tcp", intervalMs: 150, timeoutMs: 100, healthyThreshold: 1, unhealthyThreshold: 2 };

const services = [
  {
    name: "echo",
    address: `${VIP4}:${PORT}/udp`,
    mode: "nat",
    devices: DEVICES,
    endpoints: [{ address: ONE }, { address: `${TWO}:${PORT}` }],
    healthCheck: CHECK,
  },
];

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let left = 100; !(await holds()); left--) {
    if (left === 0) throw new Error(`it never came to: ${what}`);
    await sleep(100);
  }
}

describeKernel("L4 services", () =>
  describe("of a gateway", () => {
    let network: BalancedNetwork;
    let clients: Clients;
    let gateway: Gateway;
    let server: Awaited<ReturnType<BalancedNetwork["serve"]>>;
    let keys = 0;

    beforeAll(async () => {
      removeLeftovers();
      network = new BalancedNetwork();
      [server] = await Promise.all([network.serve("one", PORT), network.serve("two", PORT)]);
      clients = network.clients();
      gateway = await startGateway({ workers: 1, netns: network.balancer.path, config: { kernel: { services } } });
    }, 30_000);
    afterAll(async () => {
      await gateway.stop();
      network.destroy();
    });

    const ask = (key = `c${++keys}`): Promise<string> =>
      clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" });

    async function labels(count = 16): Promise<string[]> {
      const found = new Set<string>();
      for (let i = 0; i < count; i++) found.add(await ask());
      return [...found].toSorted();
    }

    /** The whole of what the gateway says of itself. */
    const facts = async (): Promise<string> => (await gateway.admin("GET", "/v1/status")).body;

    it("answers from every endpoint, and tells so", async () => {
      expect(await labels()).toEqual(["one x", "two x"]);
      expect(await facts()).toContain(`service echo ${VIP4}:${PORT}/udp: nat on gw0, gw1, gw2; 2 of 2 endpoints`);
      const { body } = await gateway.admin("GET", "/metrics");
      const families = String(body);
      expect(families).toMatch(/penstock_kernel_service_packets_total\{service="echo"\} [1-9]/);
      expect(families).toMatch(/penstock_kernel_service_exceptions_total\{service="echo",reason="no_port"\} 0/);
      expect(families).toContain(`penstock_kernel_service_endpoint_active{service="echo",endpoint="${ONE}:${PORT}"} 1`);
    });

    it("leaves a dead endpoint, its flows too, and comes back to it", async () => {
      const flows = Array.from({ length: 12 }, () => `f${++keys}`);
      for (const key of flows) await ask(key);
      server.kill("SIGKILL");
      await until("the checks notice", async () => (await facts()).includes(`${ONE}:${PORT} is dead`));
      for (const key of flows) expect(await ask(key)).toBe("two x");
      server = await network.serve("one", PORT);
      await until("the checks notice", async () => (await facts()).includes("2 of 2 endpoints"));
      expect(await labels()).toEqual(["one x", "two x"]);
    });

    it("keep every flow with its endpoint while the running program is replaced", async () => {
      const flows = new Map<string, string>();
      for (let i = 0; i < 12; i++) {
        const key = `u${++keys}`;
        flows.set(key, await ask(key));
      }
      const moved: string[] = [];
      let upgrading = true;
      const talking = (async () => {
        while (upgrading)
          for (const [key, label] of flows) {
            const answer = await ask(key);
            if (answer !== label) moved.push(`${key}: ${label}, then ${answer}`);
          }
      })();
      await gateway.upgrade();
      upgrading = false;
      await talking;
      expect(moved).toEqual([]);
      expect(new Set(flows.values())).toEqual(new Set(["one x", "two x"]));
      expect(await facts()).toContain("2 of 2 endpoints");
    }, 60_000);

    it("drains by REST, refuses what can't be, and goes on with what was", async () => {
      const current = await gateway.admin("GET", "/v1/kernel/services/echo");
      const etag = String(current.headers["etag"]);
      const endpoints = [{ address: ONE, drain: true }, { address: TWO }];
      const body = { ...services[0], endpoints };
      const drained = await gateway.admin("PUT", "/v1/kernel/services/echo", body, { "if-match": etag });
      expect(drained.status).toBe(200);
      expect(await labels()).toEqual(["two x"]);
      const unreachable = { ...body, endpoints: [{ address: "fd00::1" }] };
      const refused = await gateway.admin("PUT", "/v1/kernel/services/echo", unreachable, {
        "if-match": String(drained.headers["etag"]),
      });
      expect(refused.status).toBe(422);
      expect(refused.body).toContain("/endpoints/0/address");
      expect(await labels(4)).toEqual(["two x"]);
    });
  }),
);
