/** HTTP/1.1 through the proxy: keep-alive, 64 connections, GET, 100 bytes back. */
import type { Bench } from "#test/bench/bench.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { requireWrk } from "#test/bench/host/wrk.ts";
import { runRounds } from "#test/bench/rounds.ts";
import { startHaproxyHttp } from "#test/bench/sides/haproxy.ts";
import { startNginx } from "#test/bench/sides/nginx.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";

const BOUND = 0.92;
const CONNECTIONS = 64;
const WARM_UP_SECONDS = 3;

export const http1: Bench = async (scope, options) => {
  requireWrk();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const peer = await startNginx(scope, { upstream: address, cpu: cpus.proxy, token: null });
  const other = await startHaproxyHttp(scope, { upstream: address, cpu: cpus.proxy });
  const ours = await startPenstock(scope, { upstream: address, cpu: cpus.proxy, token: null });
  const [oursRounds = [], peerRounds = [], otherRounds = []] = await runRounds(scope, [ours, peer, other], {
    ...options,
    warmUpSeconds: WARM_UP_SECONDS,
    connections: CONNECTIONS,
    headers: [],
    cpus,
  });
  return compareReport("http1", { name: ours.name, rounds: oursRounds, bound: null }, [
    { name: peer.name, rounds: peerRounds, bound: BOUND },
    { name: other.name, rounds: otherRounds, bound: null },
  ]);
};
