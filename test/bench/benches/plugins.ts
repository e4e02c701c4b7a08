/**
 * Tenants' plugins: what one of each interface adds, a chain of five, a megabyte from upload to the first request, two thousand in one
 * worker, a neighbour whose hook never ends, and the same filter in njs and in HAProxy's Lua.
 */
import { join } from "node:path";
import type { Bench } from "#test/bench/bench.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { absolute, comparison, median, type Figure } from "#test/bench/figures.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { requireWrk } from "#test/bench/host/wrk.ts";
import { noisyNeighbour, uploadMs } from "#test/bench/plugins/in-gateway.ts";
import { measureKinds } from "#test/bench/plugins/kinds.ts";
import { runRounds } from "#test/bench/rounds.ts";
import { startHaproxyLua } from "#test/bench/sides/haproxy.ts";
import { startNginx } from "#test/bench/sides/nginx.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";

const TOKEN = "s3cret";
const CONNECTIONS = 64;
const WARM_UP_SECONDS = 2;

/** Of one plugin, and of the chain. Of the others there is no bound. */
const ADDED_US_MAX: Readonly<Record<string, number>> = { "core, AssemblyScript": 0.6, "five, core": 3 };
const UPLOAD_MS_MAX = 1000;
const MANY_BYTES_MAX = 400 * 2 ** 20;
const MANY_MS_MAX = 5000;
const P99_RATIO_MAX = 1.2;

interface Many {
  readonly plugins: number;
  readonly ms: number;
  readonly bytes: number;
}

/** As the supervisor starts a worker. */
async function many(scope: Scope, cpu: number): Promise<Many> {
  const flags = ["--no-warnings", "--disable-wasm-trap-handler", "--max-semi-space-size=2"];
  const script = join(import.meta.dirname, "../plugins/many.ts");
  const child = scope.spawn(process.execPath, [...flags, script], { cpu });
  if ((await child.exit()) !== 0) throw new Error(child.lastWords);
  return JSON.parse(child.output) as Many;
}

export const plugins: Bench = async (scope, options) => {
  requireWrk();
  const { progress } = options;
  progress("what each interface adds");
  const figures: Figure[] = (await measureKinds()).map(({ kind, us }) =>
    absolute("plugins", `added_us ${kind}`, us, ADDED_US_MAX[kind] ?? null),
  );
  const cpus = assignCpus();
  progress("two thousand plugins");
  const { ms, bytes } = await many(scope, cpus.proxy);
  figures.push(absolute("plugins", "2000_plugins_bytes", bytes, MANY_BYTES_MAX));
  figures.push(absolute("plugins", "2000_plugins_start_ms", ms, MANY_MS_MAX));

  const { address } = await startUpstream(scope, cpus.upstream);
  const at = { upstream: address, cpu: cpus.proxy };
  progress("an upload of a megabyte");
  const uploading = await startPenstock(scope, { ...at, token: null });
  figures.push(
    absolute("plugins", "upload_1mb_to_first_request_ms", await uploadMs(uploading, address), UPLOAD_MS_MAX),
  );
  progress("a noisy neighbour");
  const noisy = await noisyNeighbour(scope, cpus, address, options);
  const beside = (key: "besideEndlessUs" | "besideHarmlessUs") => median(noisy.map((round) => round[key]));
  const [endless, harmless] = [beside("besideEndlessUs"), beside("besideHarmlessUs")];
  figures.push(comparison("plugins", "neighbour_p99_us", endless, "a harmless plugin", harmless, P99_RATIO_MAX));

  progress("the same filter elsewhere");
  const ours = await startPenstock(scope, { ...at, token: TOKEN });
  const njs = await startNginx(scope, { ...at, token: TOKEN });
  const lua = await startHaproxyLua(scope, { ...at, token: TOKEN });
  const [oursRounds = [], njsRounds = [], luaRounds = []] = await runRounds(scope, [ours, njs, lua], {
    ...options,
    warmUpSeconds: WARM_UP_SECONDS,
    connections: CONNECTIONS,
    headers: [`x-token: ${TOKEN}`],
    cpus,
  });
  const compared = compareReport("plugins", { name: "penstock with token-check", rounds: oursRounds, bound: null }, [
    { name: njs.name, rounds: njsRounds, bound: 0.7 },
    { name: lua.name, rounds: luaRounds, bound: 1 },
  ]);
  const lines = figures.map(({ figure, ours: value, ratio, bound, ok }) => {
    const verdict = bound === null ? "    " : ok ? "ok  " : "MISS";
    return `${verdict}  ${figure} ${value}${ratio === null ? "" : ` (${ratio} ×)`}${bound === null ? "" : `, bound ${bound}`}`;
  });
  return { figures: [...figures, ...compared.figures], text: [...lines, compared.text].join("\n") };
};
