/**
 * What a match costs with 10 and with 100 000 routes, and what compiling them costs.
 *
 *     node test/bench/micro/router.ts [rounds]
 *
 * The median of interleaved rounds. `hot` asks for one route again and again; `spread` asks
 * for every route in a shuffled order, so that with many routes nearly every look-up misses the caches.
 */
import { METHOD_GET } from "#http/head.ts";
import { internName } from "#http/names.ts";
import { compileRouter, type Router } from "#router/router.ts";
import type { RoutedHead } from "#router/routed-head.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { median } from "#test/bench/figures.ts";
import { textTable } from "#test/bench/text-table.ts";

const FEW = 10;
const MANY = 100_000;
/** Requests laid out at once, and such batches a round. */
const BATCH = 128;
const BATCHES = 400;
const REQUEST_BYTES_MAX = 128;
const FIELDS = ["host", "user-agent", "accept", "accept-encoding", "cookie", "x-request-id"];

interface Shape {
  readonly name: string;
  match(i: number): RouteSpec["match"];
  /** Host, path and the value of x-user of a request for route i. */
  request(i: number): readonly [string, string, string];
}

const shapes: readonly Shape[] = [
  {
    name: "one host each, prefix /",
    match: (i) => ({ hosts: [`tenant-${i}.example.com`], path: prefix("/"), methods: [], headers: [] }),
    request: (i) => [`tenant-${i}.example.com`, "/v1/orders/17", ""],
  },
  {
    name: "one host, one prefix each",
    match: (i) => ({ hosts: ["api.example.com"], path: prefix(`/service-${i}`), methods: [], headers: [] }),
    request: (i) => ["api.example.com", `/service-${i}/orders/17`, ""],
  },
  {
    name: "wildcards, prefix and method",
    match: (i) => ({ hosts: [`*.t${i}.example.com`], path: prefix("/v1/orders"), methods: ["GET"], headers: [] }),
    request: (i) => [`shop.t${i}.example.com`, "/v1/orders/17", ""],
  },
  {
    name: "one host and path, one header value each",
    match: (i) => ({
      hosts: ["api.example.com"],
      path: prefix("/v1"),
      methods: [],
      headers: [{ name: "x-user", value: `user-${i}` }],
    }),
    request: (i) => ["api.example.com", "/v1/orders/17", `user-${i}`],
  },
];

function prefix(value: string): RouteSpec["match"]["path"] {
  return { kind: "prefix", value };
}

/**
 * Requests as a worker sees them: their bytes have just been received and parsed, so they are in the caches, whatever
 * the router's tables are. A batch is laid out in one small memory before its matches are timed.
 */
class Batch implements RoutedHead {
  readonly memory = new Uint8Array(BATCH * REQUEST_BYTES_MAX);
  readonly methodStart = 0;
  readonly methodEnd = 3;
  readonly method = METHOD_GET;
  hostStart = 0;
  hostEnd = 0;
  pathStart = 0;
  pathEnd = 0;
  readonly #offsets = new Int32Array(BATCH * 3 + 1);
  readonly #ids = Int32Array.from([...FIELDS, "x-user"], internName);
  #at = 0;

  fill(texts: readonly (readonly [string, string, string])[]): void {
    let offset = Buffer.from(this.memory.buffer).write("GET", "latin1");
    let cell = 0;
    for (const text of texts.flat()) {
      this.#offsets[cell++] = offset;
      offset += Buffer.from(this.memory.buffer).write(text, offset, "latin1");
    }
    this.#offsets[cell] = offset;
  }

  moveTo(index: number): void {
    const offsets = this.#offsets;
    this.#at = index * 3;
    this.hostStart = offsets[this.#at] as number;
    this.hostEnd = this.pathStart = offsets[this.#at + 1] as number;
    this.pathEnd = offsets[this.#at + 2] as number;
  }

  find(nameId: number, from: number): number {
    for (let i = from; i < this.#ids.length; i++) if (this.#ids[i] === nameId) return i;
    return -1;
  }

  valueStart(): number {
    return this.#offsets[this.#at + 2] as number;
  }

  valueEnd(): number {
    return this.#offsets[this.#at + 3] as number;
  }
}

function routesOf(shape: Shape, count: number): RouteSpec[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `route-${i}`,
    tenant: "acme",
    listeners: [0],
    match: shape.match(i),
    filters: [],
    action: { kind: "original" },
    order: i,
  }));
}

/** CPU nanoseconds a match. Fails when a match is wrong: a fast wrong answer is no figure. */
function measure(router: Router, shape: Shape, indices: readonly number[][]): number {
  const batch = new Batch();
  let used = 0;
  let wrong = 0;
  for (const batchIndices of indices) {
    batch.fill(batchIndices.map((index) => shape.request(index)));
    // The thread has the core to itself for the microseconds of a batch; CPU time is too coarse for them.
    const start = process.hrtime.bigint();
    for (let i = 0; i < BATCH; i++) {
      batch.moveTo(i);
      if (router.match(batch) !== batchIndices[i]) wrong++;
    }
    used += Number(process.hrtime.bigint() - start);
  }
  if (wrong > 0) throw new Error(`${wrong} requests got another route`);
  return used / (indices.length * BATCH);
}

/** A fixed shuffle of the routes, in batches: step `round` of a walk by a prime that does not divide the count. */
function spread(count: number, round: number): number[][] {
  const at = (i: number) => ((round * BATCHES * BATCH + i) * 48_271) % count;
  return Array.from({ length: BATCHES }, (_, k) => Array.from({ length: BATCH }, (_unused, i) => at(k * BATCH + i)));
}

const HOT = spread(1, 0);

const HEADER = [
  "routes, ns a match",
  "10 hot",
  "100 000 hot",
  "10 spread",
  "100 000 spread",
  "compile 10 000",
  "100 000",
];

function compileMs(routes: readonly RouteSpec[]): string {
  const start = performance.now();
  compileRouter(routes, 0);
  return `${Math.round(performance.now() - start)} ms`;
}

function bench(shape: Shape, rounds: number): readonly string[] {
  const sides = [FEW, MANY].map((count) => {
    const router = compileRouter(routesOf(shape, count), 0);
    return { router, count, hot: [] as number[], spread: [] as number[] };
  });
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      side.hot.push(measure(side.router, shape, HOT));
      side.spread.push(measure(side.router, shape, spread(side.count, round)));
    }
  }
  const figures = [...sides.map((side) => side.hot), ...sides.map((side) => side.spread)];
  const compiled = [MANY / 10, MANY].map((count) => compileMs(routesOf(shape, count)));
  return [shape.name, ...figures.map((values) => median(values).toFixed(0)), ...compiled];
}

const rounds = Number(process.argv[2] ?? 25);
process.stdout.write(
  `${textTable(
    HEADER,
    shapes.map((shape) => bench(shape, rounds)),
  )}\n`,
);
