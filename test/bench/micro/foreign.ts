/**
 * What plugins of other gateways cost a request, without the gateway around them:
 *
 *     node test/bench/micro/foreign.ts
 *
 * The token check of `wasm.ts`, in C++ for Proxy-Wasm and for http-wasm, built here; from the request's head to the end of the
 * exchange, contexts included. Each figure is the best of many short rounds; parsing the head is measured alone and taken off.
 */
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { buildCpp } from "#test/support/foreign/build.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import { prepareModule } from "#wasm/prepare.ts";

const ROUNDS = 100;
const CALLS = 5_000;

const REQUEST =
  "GET /orders?a=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\nx-token: s3cret\r\n\r\n";

async function filterOf(source: string): Promise<WasmFilter> {
  const module = await loadModule(prepareModule(buildCpp(source)).bytes);
  return createWasmFilter(filterSpec(), PLUGIN, module, new TestServices(), RESOURCES);
}

const exchange = new TestExchange(REQUEST);
const parse = () => parseRequestHead(exchange.request, 0, REQUEST.length, DEFAULT_HEAD_LIMITS);

const filters = { "Proxy-Wasm": await filterOf("token.cpp"), "http-wasm": await filterOf("token_handler.cpp") };

const rows: Record<string, () => void> = { parse: () => void parse() };
for (const [name, filter] of Object.entries(filters)) {
  rows[name] = () => {
    parse();
    filter.requestHead(exchange, 0);
    filter.end(exchange, 0);
  };
}

const best = new Map<string, number>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(rows)) {
    const start = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) run();
    const each = Number(process.hrtime.bigint() - start) / CALLS;
    best.set(name, Math.min(best.get(name) ?? Infinity, each));
  }
}

const parsing = best.get("parse") ?? Number.NaN;
for (const [name, { stats }] of Object.entries(filters)) {
  const each = (best.get(name) ?? Number.NaN) - parsing;
  const fuel = stats.fuel / (ROUNDS * CALLS);
  if (stats.faults > 0) throw new Error(`${name}: ${stats.lastFault?.detail}`);
  process.stdout.write(
    `token check, ${name.padEnd(12)}${each.toFixed(0).padStart(6)} ns, ${fuel.toFixed(0)} units of fuel\n`,
  );
}
