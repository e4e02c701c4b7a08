/**
 * What a plugin costs a request, without the gateway around it:
 *
 *     node test/bench/micro/wasm.ts
 *
 * Builds its plugins itself. Each figure is the best of many short rounds, which is what a busy machine leaves visible;
 * rounds of all rows take turns. A head must be parsed anew for each request, so parsing is measured alone and taken off;
 * so is the edit that a plugin asks the head for.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import type { BodyLink } from "#pipeline/body.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { internName } from "#http/names.ts";
import { buildPlugin } from "#sdk/tooling/build.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { createWasmFilter, loadModule, streamFilterOf, type WasmFilter } from "#wasm/create-filter.ts";
import { prepareModule } from "#wasm/prepare.ts";

const ROUNDS = 100;
const CALLS = 20_000;

const REQUEST =
  "GET /orders?a=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\nx-token: s3cret\r\n\r\n";

const EMPTY = `import { Request, Action } from "penstock/assembly"
export function onRequest(req: Request): Action { return Action.Continue }`;

const STRINGS = `import { Request, Action, config, respond } from "penstock/assembly"
export function onRequest(req: Request): Action {
  if (req.header("x-token") != config().get("token")) return respond(401, "no token\\n")
  req.setHeader("x-checked", "1")
  return Action.Continue
}`;

/** Looks at a chunk's size, reads a byte of it, and lets it go. */
const CHUNKS = `import { Request, Body, Action } from "penstock/assembly"
const byte = memory.data(1)
export function onRequestBody(req: Request, body: Body): Action {
  return body.size > 0 && body.read(0, byte, 1) == 1 && load<u8>(byte) == 0 ? Action.Continue : Action.Continue
}`;

/** Looks at what a client of a stream has sent. */
const STREAM = `import { Stream, Data, Action, refuse } from "penstock/assembly"
export function onData(stream: Stream, data: Data): Action { return data.size > 100000 ? refuse() : Action.Continue }`;

/** Where chunks go: nowhere. */
const LINK: BodyLink = {
  memory: new Uint8Array(65_536),
  full: false,
  trailers: null,
  makeTrailers: () => null,
  data: () => {},
  write: () => {},
  end: () => {},
  pause: () => {},
  resume: () => {},
  retain: () => {},
  release: () => {},
  fail: (status, code) => {
    throw new Error(`${status} ${code}`);
  },
};

async function filterOf(wasm: Uint8Array): Promise<WasmFilter> {
  const module = await loadModule(prepareModule(wasm).bytes);
  const spec = filterSpec({ config: { token: "s3cret" } });
  return createWasmFilter(spec, PLUGIN, module, new TestServices(), RESOURCES);
}

async function built(directory: string): Promise<WasmFilter> {
  const { wasm, diagnostics } = await buildPlugin(directory);
  if (wasm.length === 0) throw new Error(diagnostics.map((diagnostic) => diagnostic.message).join("\n"));
  return filterOf(wasm);
}

async function fromSource(source: string): Promise<WasmFilter> {
  const directory = await mkdtemp(join(tmpdir(), "penstock-bench-"));
  try {
    await mkdir(join(directory, "assembly"));
    await writeFile(join(directory, "assembly/index.ts"), source);
    return await built(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const exchange = new TestExchange(REQUEST);
const head = exchange.request;
const parse = () => parseRequestHead(head, 0, REQUEST.length, DEFAULT_HEAD_LIMITS);
const one = new TextEncoder().encode("1");
const xChecked = internName("x-checked");

const tokenCheck = await built(join(import.meta.dirname, "../../../wasm-plugins/token-check"));
const strings = await fromSource(STRINGS);
const empty = await fromSource(EMPTY);
const chunks = await fromSource(CHUNKS);
const upload = new TestExchange("POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 9\r\n\r\n");
chunks.requestHead(upload, 0);
const [stage] = upload.requestStages;
stage?.attach(LINK);
const stream = streamFilterOf(await fromSource(STREAM));
const opening = {
  protocol: "tcp",
  clientIp: new Uint8Array(16),
  clientPort: 0,
  serverName: "",
  tls: null,
  originalDestination: "",
  routeName: "",
  routeTo: () => false,
} as const;
stream.admits(opening);
const tap = stream.tap?.(opening) ?? null;

const rows = {
  parse: () => void parse(),
  edit: () => {
    parse();
    head.set(xChecked, one, 0, 1);
  },
  empty: () => {
    parse();
    empty.requestHead(exchange, 0);
  },
  tokenCheck: () => {
    parse();
    tokenCheck.requestHead(exchange, 0);
  },
  chunk: () => stage?.data(0, 0, 16_384),
  data: () => void tap?.data(0, LINK.memory, 0, 1024, false),
  strings: () => {
    parse();
    strings.requestHead(exchange, 0);
  },
};

const best = new Map<string, number>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(rows)) {
    const start = process.hrtime.bigint();
    for (let call = 0; call < CALLS; call++) run();
    const each = Number(process.hrtime.bigint() - start) / CALLS;
    best.set(name, Math.min(best.get(name) ?? Infinity, each));
  }
}

const of = (name: keyof typeof rows) => best.get(name) ?? Number.NaN;
const line = (what: string, value: number) =>
  process.stdout.write(`${what.padEnd(58)}${value.toFixed(0).padStart(6)} ns\n`);
line("parse a head with four fields (for scale)", of("parse"));
line("add a field to it, without a plugin (for scale)", of("edit") - of("parse"));
line("a plugin that does nothing", of("empty") - of("parse"));
line("token-check, its edit included", of("tokenCheck") - of("parse"));
line("token-check, its edit taken off", of("tokenCheck") - of("edit"));
line("the same written with strings, its edit taken off", of("strings") - of("edit"));
line("a chunk of a body through a plugin that looks at it", of("chunk"));
line("bytes of a stream through a plugin that looks at them", of("data"));
const { fuel, calls } = tokenCheck.stats;
process.stdout.write(`token-check takes ${(fuel / calls).toFixed(0)} units of fuel a request\n`);
