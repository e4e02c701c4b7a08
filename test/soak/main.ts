/**
 * `npm run soak -- [NAME...] [--small]`: what takes minutes to show. Each says what it found; exit code 1 when any of it is
 * not as it must be. `npm test` runs small ones (`test/e2e/soak.test.ts`).
 */
import { parseArgs } from "node:util";
import { controlAway } from "./control-away.ts";
import { scriptReloads } from "./script-reloads.ts";
import { reloads } from "./reloads.ts";
import { shortConnections } from "./short-connections.ts";
import { slowClients } from "./slow-clients.ts";
import { swapsAndKills } from "./swaps-and-kills.ts";
import { steering } from "./steering.ts";
import { storeKills } from "./store-kills.ts";
import { transfers } from "./transfers.ts";
import { endAllWork } from "./gateway-at-work.ts";
import { faults, type Soak } from "./verdicts.ts";

const GIB = 1 << 30;
const MIB = 1 << 20;

const SOAKS: Readonly<Record<string, (small: boolean) => Promise<Soak>>> = {
  swaps: async (small) => ({
    name: "swaps",
    found: await swapsAndKills(small ? { seconds: 10, swaps: 16, kills: 2 } : { seconds: 60, swaps: 100, kills: 10 }),
  }),
  scripts: async (small) => ({ name: "scripts", found: await scriptReloads(small ? 10 : 100) }),
  transfers: async (small) => ({ name: "transfers", found: await transfers(small ? 128 * MIB : GIB) }),
  connections: async (small) => ({
    name: "connections",
    found: await shortConnections(small ? 20_000 : 1_000_000, 20_000, (done) =>
      process.stderr.write(`connections: ${done}\n`),
    ),
  }),
  store: async (small) => ({ name: "store", found: await storeKills(small ? 10 : 200) }),
  control: async (small) => ({ name: "control", found: await controlAway(small ? 5 : 60) }),
  reloads: async (small) => ({ name: "reloads", found: await reloads(small ? 1000 : 10_000) }),
  steering: async (small) => ({
    name: "steering",
    found: await (small ? steering(1000, 500) : steering(25_000, 5000)),
  }),
  slow: async (small) => ({ name: "slow", found: await slowClients(small ? 50 : 500) }),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { small: { type: "boolean", default: false } },
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void endAllWork().finally(() => process.exit(1)));
}
const names = positionals.length > 0 ? positionals : Object.keys(SOAKS);
if (names.some((name) => !(name in SOAKS))) {
  process.stderr.write(`npm run soak -- [NAME...] [--small]\n\n  ${Object.keys(SOAKS).join("  ")}\n`);
  process.exitCode = 2;
} else {
  for (const name of names) {
    const soak = await SOAKS[name]?.(values.small);
    if (soak === undefined) continue;
    const wrong = faults(soak);
    process.stdout.write(`${name}: ${JSON.stringify(soak.found)}\n`);
    process.stdout.write(wrong.length === 0 ? `${name}: ok\n` : `${name}: FAILED: ${wrong.join("; ")}\n`);
    if (wrong.length > 0) process.exitCode = 1;
  }
}
