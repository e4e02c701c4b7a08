/**
 * A filter that reads one header, checks a token and adds one header: ours as a Wasm plugin, against nginx without any
 * filter and against nginx with njs doing the same. Load as in http1.
 */
import type { Bench } from "#test/bench/bench.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { get } from "#test/bench/host/probe.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { requireWrk } from "#test/bench/host/wrk.ts";
import { runRounds } from "#test/bench/rounds.ts";
import { startNginx } from "#test/bench/sides/nginx.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";
import type { Side } from "#test/bench/sides/side.ts";

const TOKEN = "s3cret";
const BOUND_PLAIN = 1.0;
const BOUND_NJS = 0.7;
const CONNECTIONS = 64;
const WARM_UP_SECONDS = 3;

/** Sees in the head that reaches the upstream that the filter works; without it there is nothing to compare. */
async function checkFilter({ name, origin }: Side): Promise<void> {
  const passed = await get(origin, "/head", { "x-token": TOKEN });
  if (passed.status !== 200 || !/^x-checked: 1\r$/im.test(passed.body)) {
    throw new Error(`${name} with the right token: status ${passed.status}, and the upstream saw\n${passed.body}`);
  }
  for (const headers of [{}, { "x-token": "wrong" }]) {
    const { status } = await get(origin, "/head", headers);
    if (status !== 401) throw new Error(`${name} answered ${status}, not 401, to ${JSON.stringify(headers)}`);
  }
}

export const filter: Bench = async (scope, options) => {
  requireWrk();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const at = { upstream: address, cpu: cpus.proxy };
  const plain = await startNginx(scope, { ...at, token: null });
  const njs = await startNginx(scope, { ...at, token: TOKEN });
  const ours = await startPenstock(scope, { ...at, token: TOKEN });
  await checkFilter(njs);
  await checkFilter(ours);
  const [oursRounds = [], plainRounds = [], njsRounds = []] = await runRounds(scope, [ours, plain, njs], {
    ...options,
    warmUpSeconds: WARM_UP_SECONDS,
    connections: CONNECTIONS,
    headers: [`x-token: ${TOKEN}`],
    cpus,
  });
  return compareReport("filter", { name: "penstock with token-check", rounds: oursRounds, bound: null }, [
    { name: plain.name, rounds: plainRounds, bound: BOUND_PLAIN },
    { name: njs.name, rounds: njsRounds, bound: BOUND_NJS },
  ]);
};
