/** HTTP/1.1 answers of 64 KiB and 1 MiB, against nginx and HAProxy. */
import { startHaproxyHttp } from "#test/bench/sides/haproxy.ts";
import { startNginx } from "#test/bench/sides/nginx.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";
import { sizesBench } from "./sizes.ts";

export const bodies = sizesBench({
  bench: "bodies",
  bound: 1,
  sizes: [
    { label: "64k", bytes: 64 << 10, connections: 64 },
    { label: "1m", bytes: 1 << 20, connections: 16 },
  ],
  start: async (scope, upstream, cpu) => [
    await startPenstock(scope, { upstream, cpu, token: null }),
    await startNginx(scope, { upstream, cpu, token: null }),
    await startHaproxyHttp(scope, { upstream, cpu }),
  ],
});
