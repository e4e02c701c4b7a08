/** plugins/scripts/l4-balancer between a client and two endpoints, each in a namespace of its own. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BalancedNetwork, VIP4, type Clients } from "#test/support/balanced-network.ts";
import { PORT } from "#test/support/balancer-rig.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

describeKernel("the L4 balancer's script", () =>
  describe("between namespaces", () => {
    const folder = mkdtempSync(join(tmpdir(), "penstock-l4-"));
    const config = join(folder, "config.yaml");
    let network: BalancedNetwork;
    let clients: Clients;
    let script: ChildProcess;
    let two: ChildProcess;
    let said = "";
    let keys = 0;

    beforeAll(async () => {
      removeLeftovers();
      network = new BalancedNetwork();
      [, two] = await Promise.all([network.serve("one", PORT), network.serve("two", PORT)]);
      clients = network.clients();
      writeFileSync(
        config,
        readFileSync("plugins/scripts/l4-balancer/config.yaml", "utf8").replaceAll("7000", `${PORT}`),
      );
      script = network.balancer.spawn(process.execPath, "--no-warnings", "plugins/scripts/l4-balancer/main.ts", config);
      for (const stream of [script.stdout, script.stderr])
        stream?.setEncoding("utf8").on("data", (text: string) => (said += text));
    });

    afterAll(async () => {
      const ended = once(script, "exit");
      script.kill("SIGTERM");
      await ended;
      network.destroy();
      rmSync(folder, { recursive: true, force: true });
    });

    /** Who has answered how many new connections. */
    async function shares(connections: number): Promise<Map<string, number>> {
      const found = new Map<string, number>();
      for (let i = 0; i < connections; i++) {
        const answer = await clients.ask({ op: "open", key: `k${++keys}`, host: VIP4, port: PORT, text: "x" });
        const [who = ""] = answer.split(" ");
        found.set(who, (found.get(who) ?? 0) + 1);
        await clients.ask({ op: "close", key: `k${keys}`, host: VIP4, port: PORT, text: "" });
      }
      return found;
    }

    it("spreads connections by weight, and leaves out who does not answer", async () => {
      await expect.poll(() => said, { timeout: 40_000 }).toContain("in force: echo (2 endpoints)");
      const both = await shares(60);
      expect(both.get("one") ?? 0).toBeGreaterThan(both.get("two") ?? 0);
      expect(both.get("two") ?? 0).toBeGreaterThan(5);
      two.kill("SIGKILL");
      await expect.poll(() => said, { timeout: 30_000 }).toContain("is down");
      expect(await shares(20)).toEqual(new Map([["one", 20]]));
    });

    it("follows its file; a mistake in it changes nothing", async () => {
      const text = readFileSync(config, "utf8");
      writeFileSync(config, text.replace("mode: dsr", "mode: sideways"));
      await expect.poll(() => said, { timeout: 30_000 }).toContain(`${config}: `);
      expect(await shares(5)).toEqual(new Map([["one", 5]]));
      writeFileSync(config, text.replace(/ +- \{ address: 10\.77\.3\.2.*\n/, ""));
      await expect.poll(() => said, { timeout: 30_000 }).toContain("in force: echo (1 endpoints)");
      expect(await shares(5)).toEqual(new Map([["one", 5]]));
    });
  }),
);
