/**
 * Scripts: the talk's router against the same as a declarative route, and a token check in a script against nginx with njs
 * doing the same. Load as in http1.
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
import { startScript } from "#test/bench/sides/script.ts";
import type { Side } from "#test/bench/sides/side.ts";

const TOKEN = "s3cret";
const BOUND_ROUTE = 1.3;
const BOUND_NJS = 0.8;
const CONNECTIONS = 64;
const WARM_UP_SECONDS = 3;

const router = (upstream: string) => (port: number) =>
  `import { listen, LoadBalancer, URLRouter } from "penstock"

const router = new URLRouter({ "/*": new LoadBalancer(["${upstream}"], { algorithm: "round-robin" }) })

listen<{ target?: string | undefined }>("127.0.0.1:${port}", $ => $
  .demuxHTTP().to($ => $
    .handleMessageStart((msg, ctx) => { ctx.target = router.find(msg.head.headers.host, msg.head.path)?.allocate().target })
    .muxHTTP(ctx => ctx.target).to($ => $.connect(ctx => ctx.target))))
`;

const tokenCheck = (upstream: string) => (port: number) =>
  `import { listen, Message } from "penstock"

const refusal = new Message({ status: 401 }, "no token\\n")

listen<{ denied?: boolean }>("127.0.0.1:${port}", $ => $
  .demuxHTTP().to($ => $
    .handleMessageStart((msg, ctx) => {
      const { headers } = msg.head
      ctx.denied = headers["x-token"] !== "${TOKEN}"
      if (!ctx.denied) headers["x-checked"] = "1"
    })
    .branch(ctx => ctx.denied === true, $ => $.replaceMessage(refusal),
      $ => $.muxHTTP(() => "up").to($ => $.connect("${upstream}")))))
`;

/** As in the bench \`filter\`: it is seen to work first. */
async function checkFilter({ name, origin }: Side): Promise<void> {
  const passed = await get(origin, "/head", { "x-token": TOKEN });
  if (passed.status !== 200 || !/^x-checked: 1\r$/im.test(passed.body)) {
    throw new Error(`${name} with the right token: status ${passed.status}, and the upstream saw\n${passed.body}`);
  }
  const { status } = await get(origin, "/head", {});
  if (status !== 401) throw new Error(`${name} answered ${status}, not 401, to a request without a token`);
}

export const pipeline: Bench = async (scope, options) => {
  requireWrk();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const at = { upstream: address, cpu: cpus.proxy };
  const route = await startPenstock(scope, { ...at, token: null });
  const njs = await startNginx(scope, { ...at, token: TOKEN });
  const script = await startScript(scope, "penstock, the talk's router", cpus.proxy, router(address));
  const filter = await startScript(scope, "penstock, token check in a script", cpus.proxy, tokenCheck(address), {
    "x-token": TOKEN,
  });
  await checkFilter(njs);
  await checkFilter(filter);
  const load = { ...options, warmUpSeconds: WARM_UP_SECONDS, connections: CONNECTIONS, cpus };
  const [scripted = [], declared = []] = await runRounds(scope, [script, route], { ...load, headers: [] });
  const tokens = { ...load, headers: [`x-token: ${TOKEN}`] };
  const [ours = [], theirs = []] = await runRounds(scope, [filter, njs], tokens);
  const reports = [
    compareReport("pipeline router", { name: script.name, rounds: scripted, bound: null }, [
      { name: "penstock, a declared route", rounds: declared, bound: BOUND_ROUTE },
    ]),
    compareReport("pipeline filter", { name: filter.name, rounds: ours, bound: null }, [
      { name: njs.name, rounds: theirs, bound: BOUND_NJS },
    ]),
  ];
  return {
    figures: reports.flatMap(({ figures }) => figures),
    text: reports.map(({ text }) => text).join("\n\n"),
  };
};
