/** The soaks of `npm run soak`, small: changes and deaths under load, large bodies, many connections, clients that are slow on purpose. */
import { expect, it } from "vitest";
import { reloads } from "#test/soak/reloads.ts";
import { shortConnections } from "#test/soak/short-connections.ts";
import { slowClients } from "#test/soak/slow-clients.ts";
import { swapsAndKills } from "#test/soak/swaps-and-kills.ts";
import { transfers } from "#test/soak/transfers.ts";
import { faults } from "#test/soak/verdicts.ts";

const MIB = 1 << 20;
const PATIENCE_MS = 180_000;

it(
  "changes and a killed worker cost nobody a request whose connection was not the worker's",
  async () => {
    const found = await swapsAndKills({ seconds: 3, swaps: 6, kills: 1 });
    expect(faults({ name: "swaps", found })).toEqual([]);
    expect(found).toMatchObject({ swaps: 6, kills: 1 });
  },
  PATIENCE_MS,
);

it(
  "128 MiB each way leave memory where it is",
  async () => {
    expect(faults({ name: "transfers", found: await transfers(128 * MIB) })).toEqual([]);
  },
  PATIENCE_MS,
);

it(
  "thousands of connections leave nothing",
  async () => {
    expect(faults({ name: "connections", found: await shortConnections(5000, 3000) })).toEqual([]);
  },
  PATIENCE_MS,
);

it(
  "plugins that are loaded and dropped leave nothing",
  async () => {
    expect(faults({ name: "reloads", found: await reloads(400) })).toEqual([]);
  },
  PATIENCE_MS,
);

it(
  "slow clients are ended, floods refused, and who behaves is served",
  async () => {
    expect(faults({ name: "slow", found: await slowClients(40) })).toEqual([]);
  },
  PATIENCE_MS,
);
