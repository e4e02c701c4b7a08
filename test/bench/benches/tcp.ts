/** TCP without a look inside: small messages, and bulk of 64 KiB and 1 MiB, against HAProxy with `option splice-auto`. */
import { startHaproxy } from "#test/bench/sides/haproxy.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";
import { sizesBench } from "./sizes.ts";

export const tcp = sizesBench({
  bench: "tcp",
  bound: 1,
  sizes: [
    { label: "100b", bytes: 100, connections: 64 },
    { label: "64k", bytes: 64 << 10, connections: 64 },
    { label: "1m", bytes: 1 << 20, connections: 16 },
  ],
  start: async (scope, upstream, cpu) => [
    await startPenstock(scope, { upstream, cpu, token: null, protocol: "tcp" }),
    await startHaproxy(scope, { upstream, cpu }),
  ],
});
