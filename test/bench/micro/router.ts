/**
 * What a match costs with 10 and with 100 000 routes, and what compiling them costs.
 *
 *     node test/bench/micro/router.ts [seconds]
 *
 * CPU time of this process, the median of interleaved rounds. `hot` asks for one route again and again; `spread` asks
 * for every route in a shuffled order, so that with many routes nearly every look-up misses the caches.
 */
import { internName } from "#http/names.ts";
import { compileRouter, type Router } from "#router/router.ts";
import type { RoutedHead } from "#router/routed-head.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { median } from "#test/bench/figures.ts";

const FEW = 10;
const MANY = 100_000;
const ROUNDS = 9;
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

/** Requests laid out beside each other in one memory, as in an arena; one object that moves over them. */
class Requests implements RoutedHead {
  readonly memory: Uint8Array;
  readonly methodStart = 0;
  readonly methodEnd = 3;
  hostStart = 0;
  hostEnd = 0;
  pathStart = 0;
  pathEnd = 0;
  readonly #offsets: Int32Array;
  readonly #ids: Int32Array;
  #at = 0;

  constructor(texts: readonly (readonly [string, string, string])[]) {
    this.memory = Buffer.from(`GET${texts.flat().join("")}`);
    this.#offsets = new Int32Array(texts.length * 3 + 1);
    let offset = 3;
    let cell = 0;
    for (const text of texts.flat()) {
      this.#offsets[cell++] = offset;
      offset += text.length;
    }
    this.#offsets[cell] = offset;
    this.#ids = Int32Array.from([...FIELDS, "x-user"], internName);
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

/** A fixed shuffle of 0…count−1: steps by a prime that does not divide the count. */
function shuffled(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 48_271) % count);
}

/** CPU nanoseconds a match, over about `seconds`. Fails when a match is wrong: a fast wrong answer is no figure. */
function measure(router: Router, requests: Requests, order: Int32Array, seconds: number): number {
  let matches = 0;
  let wrong = 0;
  const start = process.cpuUsage();
  const stop = performance.now() + seconds * 1000;
  while (performance.now() < stop) {
    for (let i = 0; i < 100_000; i++) {
      const index = order[i % order.length] as number;
      requests.moveTo(index);
      if (router.match(requests) !== index) wrong++;
    }
    matches += 100_000;
  }
  const used = process.cpuUsage(start);
  if (wrong > 0) throw new Error(`${wrong} of ${matches} requests got another route`);
  return ((used.user + used.system) * 1000) / matches;
}

function bench(shape: Shape, seconds: number): Record<string, string | number> {
  const sides = [FEW, MANY].map((count) => {
    const routes = routesOf(shape, count);
    const start = performance.now();
    const router = compileRouter(routes, 0);
    const compileMs = performance.now() - start;
    const requests = new Requests(routes.map((_, i) => shape.request(i)));
    return { router, compileMs, requests, order: shuffled(count), hot: [] as number[], spread: [] as number[] };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of sides) {
      side.hot.push(measure(side.router, side.requests, new Int32Array(1), seconds / ROUNDS / 4));
      side.spread.push(measure(side.router, side.requests, side.order, seconds / ROUNDS / 4));
    }
  }
  const [few, many] = sides;
  const ns = (values: readonly number[] = []) => Math.round(median(values));
  return {
    shape: shape.name,
    "10, hot (ns)": ns(few?.hot),
    "100 000, hot (ns)": ns(many?.hot),
    "10, spread (ns)": ns(few?.spread),
    "100 000, spread (ns)": ns(many?.spread),
    "compile 100 000 (ms)": Math.round(many?.compileMs ?? 0),
  };
}

const seconds = Number(process.argv[2] ?? 8);
console.table(shapes.map((shape) => bench(shape, seconds)));
