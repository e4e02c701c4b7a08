/**
 * What one plugin adds to a request, for each interface, and five of them: hooks over a parsed head, as the data plane calls them,
 * without sockets, where a tenth of a microsecond can be seen. The best of many short rounds, all rows taking turns; parsing the
 * head, which each call needs anew, is taken off.
 */
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { CONTINUE, type Filter, HOOK_END } from "#pipeline/filter.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { createWasmFilter, loadModule } from "#wasm/create-filter.ts";
import { meterModule } from "#worker/meter.ts";
import { assemblyScript, componentC, componentTypeScript, core, httpWasm, proxyWasm } from "./modules.ts";

const ROUNDS = 60;
const CALLS = 5000;
/** As a route grants them to components. */
const LIMITS = { fuel: 1_000_000, memoryBytes: 16 << 20, deadlineMs: 1000 };
const HEAD =
  "GET /orders?a=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\nx-token: s3cret\r\n\r\n";

export interface Added {
  readonly kind: string;
  readonly us: number;
}

async function filterOf(wasm: Uint8Array, isolation?: "request"): Promise<Filter> {
  const loaded = await loadModule(meterModule(wasm));
  const isolated = isolation === undefined ? {} : { isolation };
  const spec = filterSpec({ config: { token: "s3cret" }, limits: LIMITS, ...isolated });
  return createWasmFilter(spec, PLUGIN, loaded, new TestServices(), RESOURCES);
}

export async function measureKinds(): Promise<Added[]> {
  const byHand = core(0);
  const five = await Promise.all([0, 1, 2, 3, 4].map((salt) => filterOf(core(salt))));
  const chains = new Map<string, readonly Filter[]>([
    ["core, by hand", [await filterOf(byHand)]],
    ["core, AssemblyScript", [await filterOf(assemblyScript())]],
    ["core, isolated", [await filterOf(byHand, "request")]],
    ["proxy-wasm", [await filterOf(proxyWasm())]],
    ["http-wasm", [await filterOf(httpWasm())]],
    ["component, C", [await filterOf(componentC())]],
    ["component, TypeScript", [await filterOf(await componentTypeScript())]],
    ["five, core", five],
  ]);
  const exchange = new TestExchange(HEAD);
  const parse = () => parseRequestHead(exchange.request, 0, HEAD.length, DEFAULT_HEAD_LIMITS);
  const best = new Map<string, number>();
  const time = (name: string, run: () => void) => {
    const started = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) run();
    const each = Number(process.hrtime.bigint() - started) / CALLS / 1000;
    best.set(name, Math.min(best.get(name) ?? Infinity, each));
  };
  for (let round = 0; round < ROUNDS; round++) {
    time("", () => void parse());
    for (const [name, chain] of chains) time(name, () => runChain(chain, exchange, parse));
  }
  const parsing = best.get("") ?? 0;
  return [...chains.keys()].map((kind) => ({ kind, us: (best.get(kind) ?? Number.NaN) - parsing }));
}

function runChain(chain: readonly Filter[], exchange: TestExchange, parse: () => void): void {
  parse();
  for (let at = 0; at < chain.length; at++) {
    const verdict = chain[at]?.requestHead(exchange, at);
    if (verdict !== CONTINUE) throw new Error(`${chain[at]?.name} answered ${verdict}`);
  }
  for (let at = 0; at < chain.length; at++) {
    const filter = chain[at];
    if (filter !== undefined && (filter.hooks & HOOK_END) !== 0) filter.end(exchange, at);
    exchange.state[at] = null;
  }
}
