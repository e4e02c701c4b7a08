/**
 * Chooses the route of a request: of all routes whose conditions the request meets, the first by precedence (see
 * condition.ts). A host whose routes all refuse does not end the search; less specific hosts are asked then.
 *
 * A router is immutable but for scratch cells that live during one `match`, and is used by one thread. `match` makes no
 * strings and allocates nothing.
 */
import { randomBytes } from "node:crypto";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { type Explanation, explain } from "./explain.ts";
import { filing } from "./filing.ts";
import { Layout } from "./layout.ts";
import type { RoutedHead } from "./routed-head.ts";
import { cellsOf, equals, hashByte } from "./table.ts";
import {
  asksForMethod,
  depthBit,
  FEW_CELLS,
  FEW_EXACT,
  FEW_LENGTH,
  FIRST_BUCKET,
  GROUP_CELLS,
  GROUP_CLASS,
  GROUP_NAME_COUNT,
  GROUP_NAMES,
  GROUP_ROUTE,
  HOST_CELLS,
  HOST_DEPTH,
  HOST_DEPTHS,
  HOST_EXACTS,
  HOST_FEW,
  HOST_ROOT,
  SCOPE_EXACT,
  SCOPE_SUFFIX,
  type Tables,
  TARGET_METHODS,
  TARGET_ROUTE,
} from "./tables.ts";

const NUL = 0;
const COMMA = 0x2c;
const DOT = 0x2e;
const SLASH = 0x2f;

export class Router {
  /** By number: what `match` answers. */
  readonly routes: readonly RouteSpec[];
  readonly listener: number;
  readonly tables: Tables;
  /** By dots: hash and start of the request's host from that dot on. */
  readonly #suffixHashes: Int32Array;
  readonly #suffixStarts: Int32Array;
  #suffixCount = 0;
  /** By slashes: hash and end of the request's path before the next slash. */
  readonly #prefixHashes: Int32Array;
  readonly #prefixEnds: Int32Array;
  #prefixCount = 0;
  #pathHash = 0;
  #pathHashed = false;

  constructor(routes: readonly RouteSpec[], listener: number, tables: Tables) {
    this.routes = routes;
    this.listener = listener;
    this.tables = tables;
    this.#suffixHashes = new Int32Array(this.tables.suffixDepth + 1);
    this.#suffixStarts = new Int32Array(this.tables.suffixDepth + 1);
    this.#prefixHashes = new Int32Array(this.tables.pathDepth + 1);
    this.#prefixEnds = new Int32Array(this.tables.pathDepth + 1);
  }

  /** Index into the routes, or −1 when no route takes the request. */
  match(head: RoutedHead): number {
    const { hosts, suffixDepths, anyHost } = this.tables;
    const { memory, hostStart, hostEnd } = head;
    this.#pathHashed = false;
    if (hostEnd > hostStart) {
      const hash = this.#hashHost(memory, hostStart, hostEnd);
      const host = hosts.find(SCOPE_EXACT, hash, memory, hostStart, hostEnd);
      if (host >= 0) {
        const route = this.#matchHost(host, head);
        if (route >= 0) return route;
      }
      for (let dots = this.#suffixCount; dots > 0; dots--) {
        if ((suffixDepths & depthBit(dots)) === 0) continue;
        const start = this.#suffixStarts[dots] as number;
        const suffix = hosts.find(SCOPE_SUFFIX, this.#suffixHashes[dots] as number, memory, start, hostEnd);
        if (suffix < 0) continue;
        const route = this.#matchHost(suffix, head);
        if (route >= 0) return route;
      }
    }
    return anyHost < 0 ? -1 : this.#matchHost(anyHost, head);
  }

  /** Which routes of the request's host were considered, in order of precedence, and what became of each. Allocates. */
  explain(head: RoutedHead): Explanation {
    return explain(this.routes, this.listener, head, this.match(head));
  }

  /** The hash of the whole host; leaves those of its suffixes in the scratch cells, as far as a wildcard could ask. */
  #hashHost(memory: Uint8Array, start: number, end: number): number {
    const deepest = this.tables.suffixDepth;
    let hash = this.tables.seed;
    let dots = 0;
    for (let i = end - 1; i >= start; i--) {
      const byte = memory[i] as number;
      hash = hashByte(hash, byte);
      // A wildcard stands for at least one label: a dot in front of everything ends none.
      if (byte === DOT && dots < deepest && i > start) {
        dots++;
        this.#suffixHashes[dots] = hash;
        this.#suffixStarts[dots] = i;
      }
    }
    this.#suffixCount = dots;
    return hash;
  }

  /** Leaves the hashes of the path and of its prefixes in the scratch cells; once a match. */
  #hashPath(head: RoutedHead): void {
    if (this.#pathHashed) return;
    this.#pathHashed = true;
    const { memory, pathStart, pathEnd } = head;
    const deepest = this.tables.pathDepth;
    let hash = this.tables.seed;
    let slashes = 0;
    for (let i = pathStart; i < pathEnd; i++) {
      const byte = memory[i] as number;
      if (byte === SLASH && slashes < deepest && i > pathStart) {
        slashes++;
        this.#prefixHashes[slashes] = hash;
        this.#prefixEnds[slashes] = i;
      }
      hash = hashByte(hash, byte);
    }
    if (slashes < deepest) {
      slashes++;
      this.#prefixHashes[slashes] = hash;
      this.#prefixEnds[slashes] = pathEnd;
    }
    this.#prefixCount = slashes;
    this.#pathHash = hash;
  }

  /** `record` in the cells of `hosts`. */
  #matchHost(record: number, head: RoutedHead): number {
    const { cells } = this.tables.hosts;
    const few = cells[record + HOST_FEW] as number;
    let route = -1;
    if (few > 0) {
      route = this.#matchFew(record + HOST_CELLS, few, head);
    } else if (cells[record + HOST_EXACTS] !== 0 || cells[record + HOST_DEPTHS] !== 0) {
      route = this.#matchMany(record, head);
    }
    return route >= 0 ? route : this.#matchTarget(cells, record + HOST_ROOT, head);
  }

  #matchFew(first: number, few: number, head: RoutedHead): number {
    const { cells, bytes } = this.tables.hosts;
    const { memory, pathStart, pathEnd } = head;
    let at = first;
    for (let i = 0; i < few; i++) {
      const length = cells[at + FEW_LENGTH] as number;
      const end = pathStart + length;
      const ends = pathEnd === end || (pathEnd > end && cells[at + FEW_EXACT] === 0 && memory[end] === SLASH);
      if (ends && equals(bytes, (at + FEW_CELLS) << 2, memory, pathStart, end)) {
        const route = this.#matchTarget(cells, at, head);
        if (route >= 0) return route;
      }
      at += FEW_CELLS + cellsOf(length);
    }
    return -1;
  }

  #matchMany(record: number, head: RoutedHead): number {
    const { hosts, paths } = this.tables;
    const { memory, pathStart, pathEnd } = head;
    this.#hashPath(head);
    if (hosts.cells[record + HOST_EXACTS] !== 0) {
      const target = paths.find(2 * record, this.#pathHash, memory, pathStart, pathEnd);
      const route = target < 0 ? -1 : this.#matchTarget(paths.cells, target, head);
      if (route >= 0) return route;
    }
    const depths = hosts.cells[record + HOST_DEPTHS] as number;
    for (let n = Math.min(this.#prefixCount, hosts.cells[record + HOST_DEPTH] as number); n > 0; n--) {
      if ((depths & depthBit(n)) === 0) continue;
      const hash = this.#prefixHashes[n] as number;
      const target = paths.find(2 * record + 1, hash, memory, pathStart, this.#prefixEnds[n] as number);
      const route = target < 0 ? -1 : this.#matchTarget(paths.cells, target, head);
      if (route >= 0) return route;
    }
    return -1;
  }

  #matchTarget(cells: Int32Array, target: number, head: RoutedHead): number {
    const route = cells[target + TARGET_ROUTE] as number;
    if (route <= FIRST_BUCKET) return this.#matchBucket(FIRST_BUCKET - route, head);
    const methods = cells[target + TARGET_METHODS] as number;
    return methods === -1 || (methods & (1 << head.method)) !== 0 ? route : -1;
  }

  #matchBucket(bucket: number, head: RoutedHead): number {
    const { buckets, groups, ages } = this.tables;
    const last = buckets[bucket + 1] as number;
    let best = -1;
    let bestClass = 0;
    for (let group = buckets[bucket] as number; group < last; group++) {
      const groupClass = groups[group * GROUP_CELLS + GROUP_CLASS] as number;
      if (best >= 0 && groupClass !== bestClass) return best;
      const route = groupClass === 0 ? (groups[group * GROUP_CELLS + GROUP_ROUTE] as number) : this.#find(group, head);
      if (route >= 0 && (best < 0 || (ages[route] as number) < (ages[best] as number))) {
        best = route;
        bestClass = groupClass;
      }
    }
    return best;
  }

  /** The route of a group that asks for this request's method and values, or −1. */
  #find(group: number, head: RoutedHead): number {
    const { groups, names, values, seed } = this.tables;
    const { memory, methodStart, methodEnd } = head;
    const cells = group * GROUP_CELLS;
    const first = groups[cells + GROUP_NAMES] as number;
    const last = first + (groups[cells + GROUP_NAME_COUNT] as number);
    const asksMethod = asksForMethod(groups[cells + GROUP_CLASS] as number);
    let hash = seed;
    if (asksMethod) for (let i = methodStart; i < methodEnd; i++) hash = hashByte(hash, memory[i] as number);
    for (let k = first; k < last; k++) {
      const index = head.find(names[k] as number, 0);
      if (index < 0) return -1;
      hash = hashField(hashByte(hash, NUL), head, names[k] as number, index);
    }
    for (let slot = values.first(group, hash); slot >= 0; slot = values.next(slot, group, hash)) {
      const entry = values.entry(slot);
      let at = values.keyStart(entry);
      const end = at + values.keyLength(entry);
      if (asksMethod) at = skipBytes(values.bytes, at, end, memory, methodStart, methodEnd);
      for (let k = first; k < last && at >= 0; k++) at = skipField(values.bytes, at, end, head, names[k] as number);
      if (at === end) return values.cells[values.record(entry)] as number;
    }
    return -1;
  }
}

/** A repeated field is its values with a comma between them (RFC 9110 section 5.3). */
function hashField(seed: number, head: RoutedHead, name: number, first: number): number {
  const { memory } = head;
  let hash = seed;
  for (let index = first; index >= 0; index = head.find(name, index + 1)) {
    if (index !== first) hash = hashByte(hash, COMMA);
    const end = head.valueEnd(index);
    for (let i = head.valueStart(index); i < end; i++) hash = hashByte(hash, memory[i] as number);
  }
  return hash;
}

/** The offset after `memory[start, end)` when these bytes stand in `keys` at `at`; −1 otherwise, and for an `at` of −1. */
function skipBytes(
  keys: Uint8Array,
  at: number,
  limit: number,
  memory: Uint8Array,
  start: number,
  end: number,
): number {
  if (at < 0 || end - start > limit - at) return -1;
  return equals(keys, at, memory, start, end) ? at + end - start : -1;
}

function skipByte(keys: Uint8Array, at: number, limit: number, byte: number): number {
  return at >= 0 && at < limit && keys[at] === byte ? at + 1 : -1;
}

/** The offset after NUL and the field's joined value, or −1 when something else stands in `keys` at `at`. */
function skipField(keys: Uint8Array, from: number, limit: number, head: RoutedHead, name: number): number {
  let at = skipByte(keys, from, limit, NUL);
  const first = head.find(name, 0);
  for (let index = first; index >= 0 && at >= 0; index = head.find(name, index + 1)) {
    if (index !== first) at = skipByte(keys, at, limit, COMMA);
    at = skipBytes(keys, at, limit, head.memory, head.valueStart(index), head.valueEnd(index));
  }
  return at;
}

/**
 * The router of one listener of a snapshot. `seed` is for tests; without it the hashes start from a random one. Throws
 * PenstockError when header names can't be interned, so that a worker refuses the snapshot.
 */
export function compileRouter(
  routes: readonly RouteSpec[],
  listener: number,
  seed: number = randomBytes(4).readInt32LE(0),
): Router {
  const work = compilingRouter(routes, listener, seed);
  let step = work.next();
  while (step.done !== true) step = work.next();
  return step.value;
}

/** The same in small steps, for who has other things to do in between. */
export function* compilingRouter(
  routes: readonly RouteSpec[],
  listener: number,
  seed: number = randomBytes(4).readInt32LE(0),
): Generator<void, Router, void> {
  const { hosts, ages } = yield* filing(routes, listener);
  const layout = new Layout(seed);
  for (const host of hosts.values()) yield* layout.addHost(host);
  return new Router(routes, listener, layout.build(ages, 0));
}
